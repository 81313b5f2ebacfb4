"""ftfy's mojibake heuristic as bit masks over three neighbouring characters.

``ftfy.badness.BADNESS_RE`` decides whether the encoding step may act at all. It is a union of short sequences
of character sets. Every alternative gets one bit. From it we keep a window of at most three sets (x, y, z)
whose middle set holds no ASCII, so a scanner has to look only where a non-ASCII character y stands, at its
neighbours x and z::

    before[x] & here[y] & after[z] != 0    is necessary for a match of the regular expression

Necessary, not sufficient: a longer alternative is cut to its window, ``^`` is ignored, and ``\\s``, ``\\w``,
``.`` and negated sets accept every non-ASCII character that the expression does not name. A false alarm costs
a call of ftfy; a miss is impossible. The masks are read from the installed ftfy's own expression, so they
cannot drift from it.
"""

from re import _parser  # type: ignore[attr-defined]  # private: an unknown node raises below
from typing import Any, NamedTuple

from ftfy.badness import BADNESS_RE


class BadnessMasks(NamedTuple):
    """One bit an alternative of ``BADNESS_RE``; dictionaries from code point to bits (Python integers below
    2**64)."""

    before: dict[int, int]
    here: dict[int, int]
    after: dict[int, int]
    unnamed: tuple[int, int, int]
    """before, here and after of every non-ASCII character that the expression does not name."""
    edge: tuple[int, int, int]
    """before, here and after of the place where no character stands (begin or end of a segment)."""


class _CharacterSet:
    """One element of an alternative: the characters it names, and whether it takes others too."""

    def __init__(self, nodes: list[tuple[Any, Any]]) -> None:
        self.named: set[int] = set()
        self.categories: list[str] = []
        self.negated = False
        for operation, argument in nodes:
            name = str(operation)
            if name == "LITERAL":
                self.named.add(argument)
            elif name == "RANGE":
                self.named.update(range(argument[0], argument[1] + 1))
            elif name == "CATEGORY" and str(argument) in ("CATEGORY_SPACE", "CATEGORY_WORD"):
                self.categories.append(str(argument))
            elif name == "NEGATE":
                self.negated = True
            else:
                raise ValueError(
                    f"ftfy's BADNESS_RE holds {name} {argument}, which this reader does not know; "
                    "pin ftfy to a version it was tested with (6.3)"
                )

    def accepts(self, code_point: int) -> bool:
        """Whether the set may match the character; never False where it does match."""
        character = chr(code_point)
        inside = code_point in self.named
        for category in self.categories:
            if code_point >= 0x80:
                inside = True
            elif category == "CATEGORY_SPACE":
                inside |= character.isspace()
            else:
                inside |= character.isalnum() or character == "_"
        return (not inside) if self.negated else inside

    def accepts_unnamed(self) -> bool:
        """Whether the set may match a non-ASCII character that the expression does not name."""
        return self.negated or bool(self.categories)

    def without_ascii(self) -> bool:
        return not self.accepts_unnamed() and min(self.named) >= 0x80


_ANYTHING = None
"""A place of the window that matches every character and also the edge of the segment."""


def _sequences(nodes: list[tuple[Any, Any]]) -> list[list[_CharacterSet]]:
    """The sequences of character sets that an alternative stands for (an optional element gives two)."""
    sequences: list[list[_CharacterSet]] = [[]]
    for operation, argument in nodes:
        name = str(operation)
        if name == "AT":
            continue
        if name == "MAX_REPEAT" and argument[:2] == (0, 1):
            sequences += [[*sequence, *rest] for sequence in sequences for rest in _sequences(list(argument[2]))]
            continue
        if name == "IN":
            element = _CharacterSet(argument)
        elif name == "ANY":
            element = _CharacterSet([("NEGATE", None)])
        else:
            element = _CharacterSet([(operation, argument)])
        sequences = [[*sequence, element] for sequence in sequences]
    return sequences


def _window(sequence: list[_CharacterSet]) -> list[_CharacterSet | None]:
    """Three neighbouring elements whose middle one holds no ASCII."""
    padded: list[_CharacterSet | None] = [_ANYTHING, *sequence, _ANYTHING]
    inner = [at for at in range(1, len(padded) - 1) if sequence[at - 1].without_ascii()]
    if not inner:
        raise ValueError("ftfy's BADNESS_RE holds an alternative of ASCII alone; the proof needs a non-ASCII one")
    # The window with the fewest open places rejects most.
    best = min(inner, key=lambda at: (padded[at - 1] is _ANYTHING) + (padded[at + 1] is _ANYTHING))
    return padded[best - 1 : best + 2]


def badness_masks() -> BadnessMasks:
    """Read the masks from ftfy's expression.

    Raises:
        ValueError: the installed ftfy's expression has a form that this reader does not know.
    """
    tree = list(_parser.parse(BADNESS_RE.pattern, BADNESS_RE.flags))
    if len(tree) != 1 or str(tree[0][0]) != "BRANCH":
        raise ValueError("ftfy's BADNESS_RE is no longer a plain union; pin ftfy to a tested version (6.3)")
    windows = [_window(sequence) for branch in tree[0][1][1] for sequence in _sequences(list(branch))]
    if len(windows) > 64:
        raise ValueError(f"ftfy's BADNESS_RE has {len(windows)} alternatives, the masks hold 64; widen the masks")
    named = set(range(0x80)).union(*(element.named for window in windows for element in window if element))
    places: tuple[dict[int, int], ...] = ({}, {}, {})
    unnamed = [0, 0, 0]
    edge = [0, 0, 0]
    for place in range(3):
        for number, window in enumerate(windows):
            element = window[place]
            if element is _ANYTHING:
                edge[place] |= 1 << number
            if element is _ANYTHING or element.accepts_unnamed():
                unnamed[place] |= 1 << number
        places[place].update(
            {
                code_point: sum(
                    1 << number
                    for number, window in enumerate(windows)
                    if (element := window[place]) is _ANYTHING or element.accepts(code_point)
                )
                for code_point in sorted(named)
            }
        )
    edge[1] = 0
    return BadnessMasks(*places, tuple(unnamed), tuple(edge))  # type: ignore[call-arg, arg-type]
