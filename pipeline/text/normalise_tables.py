"""Tables that tell the scanner what each character may do under ``ftfy.fix_text`` with given options.

Everything is read from ftfy's own functions and from ``unicodedata``; nothing is a copied list. A character's
class is a byte; per class stand the mojibake masks (``normalise_badness``), its canonical combining class and
the flags below. Class 0 is the inert character: nothing can happen to it, whatever stands beside it.

Quick check of the normal form (Unicode Standard Annex 15, section 9), made sharper: a character that may
compose with the one before it (``MAY_COMPOSE``) does so only if the last starter can be the first of a
composition (``CAN_BEGIN``). So Bengali or Thai text is proven, and a letter followed by its combining accent
is not.
"""

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import ftfy
import numpy as np
from ftfy import chardata, fixes
from numpy.typing import NDArray

from pipeline.text.normalise_badness import BadnessMasks, badness_masks

INERT = 0
BEGIN_CLASS = 1
"""Stands before the first character of a segment."""
END_CLASS = 2
"""Stands after the last character of a segment."""

CAN_BEGIN = 1
"""The character can be the first of a canonical composition."""
MAY_COMPOSE = 2
"""The character may compose with the starter before it."""
TO_FTFY = 4
"""The segment needs ftfy."""
SUBSTITUTE = 8
"""The character has a plain substitute of at most as many bytes."""
MAKES_ASCII = 16
"""The substitute could become part of an HTML entity."""

PLAIN = 0
NEWLINE = 1
CARRIAGE_RETURN = 2
AMPERSAND = 3
CONTROL = 4
NEEDS_FTFY = 5


class Tables(NamedTuple):
    """What the scanner looks up. C classes, C <= 256."""

    ascii_kind: NDArray[np.uint8]
    """uint8[256]: PLAIN .. NEEDS_FTFY of an ASCII byte; the bytes above are 0 and not used."""
    code_class: NDArray[np.uint8]
    """uint8[0x110000]: the class of a code point."""
    masks: NDArray[np.uint64]
    """uint64[C, 3]: the bits of the class before, at and after the middle of a mojibake window."""
    flags: NDArray[np.uint8]
    """uint8[C]: CAN_BEGIN .. MAKES_ASCII."""
    combining: NDArray[np.uint8]
    """uint8[C]: canonical combining class, 0 for a starter."""
    substitutes: NDArray[np.uint32]
    """uint32[0x10000]: number of bytes << 24 | the bytes of the substitute, first byte lowest."""


class _NormalForm(NamedTuple):
    changed: frozenset[int]
    combining: dict[int, int]
    can_begin: frozenset[int]
    may_compose: frozenset[int]


_BLOCK = 128
_LAST_PLANE_WITH_MARKS = 0x20000
"""Above it Unicode has no combining mark (a test holds this against ``unicodedata``)."""


@lru_cache(maxsize=8)
def _normal_form(form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> _NormalForm:
    """What ``unicodedata.normalize(form, text)`` may do, a character."""
    changed: set[int] = set()
    for start in range(0x80, 0x110000, _BLOCK):
        if 0xD800 <= start < 0xE000:
            continue  # surrogates do not occur in UTF-8
        # The separator keeps neighbours from composing; most blocks hold nothing that changes.
        if not unicodedata.is_normalized(form, "\n".join(map(chr, range(start, start + _BLOCK)))):
            changed.update(
                code_point
                for code_point in range(start, start + _BLOCK)
                if unicodedata.normalize(form, chr(code_point)) != chr(code_point)
            )
    combining = {
        code_point: combining
        for code_point in range(0x80, _LAST_PLANE_WITH_MARKS)
        if (combining := unicodedata.combining(chr(code_point)))
    }
    if form in ("NFD", "NFKD"):
        return _NormalForm(frozenset(changed), combining, frozenset(), frozenset())
    can_begin = set(range(0x1100, 0x1113)) | set(range(0xAC00, 0xD7A4, 28))  # Hangul L, LV
    may_compose = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # Hangul V, T
    for code_point in range(0x80, _LAST_PLANE_WITH_MARKS):
        decomposed = unicodedata.decomposition(chr(code_point))
        if not decomposed or decomposed[0] == "<":
            continue
        can_begin.add(code_point)  # a lower mark after it goes between its parts: e-acute, dot below
        if " " not in decomposed:
            continue
        first, second = (int(part, 16) for part in decomposed.split())
        if unicodedata.normalize("NFC", chr(first) + chr(second)) == chr(code_point):
            can_begin.add(first)
            may_compose.add(second)
    return _NormalForm(frozenset(changed), combining, frozenset(can_begin), frozenset(may_compose))


def _plain_steps(config: ftfy.TextFixerConfig) -> Callable[[str], str]:
    """The steps that put a fixed string in the place of one character, in ftfy's order."""
    steps = [
        step
        for wanted, step in [
            (config.fix_latin_ligatures, fixes.fix_latin_ligatures),
            (config.fix_character_width, fixes.fix_character_width),
            (config.uncurl_quotes, fixes.uncurl_quotes),
            (config.fix_line_breaks, fixes.fix_line_breaks),
            (config.remove_control_chars, fixes.remove_control_chars),
        ]
        if wanted
    ]

    def apply(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return apply


def _substitutes(apply: Callable[[str], str]) -> dict[int, str]:
    """Every non-ASCII character that the plain steps change, with what they make of it."""
    candidates = {*chardata.LIGATURES, *chardata.WIDTH_MAP, *chardata.CONTROL_CHARS, *range(0x80, 0xA0)}
    candidates |= {0x02BC, *range(0x2010, 0x2070)}  # quotes and line separators
    return {
        code_point: after
        for code_point in sorted(candidates)
        if code_point >= 0x80 and (after := apply(chr(code_point))) != chr(code_point)
    }


def _ascii_kinds(config: ftfy.TextFixerConfig) -> NDArray[np.uint8]:
    kinds = np.zeros(256, np.uint8)
    kinds[ord("\n")] = NEWLINE
    if config.fix_line_breaks:
        kinds[ord("\r")] = CARRIAGE_RETURN
    if config.unescape_html:
        kinds[ord("&")] = AMPERSAND
    if config.remove_control_chars:
        kinds[[code_point for code_point in chardata.CONTROL_CHARS if code_point < 0x80]] = CONTROL
    if config.remove_control_chars or config.remove_terminal_escapes:
        kinds[0x1B] = NEEDS_FTFY  # an escape may belong to a terminal sequence, which goes as a whole
    return kinds


class _Builder:
    def __init__(self, config: ftfy.TextFixerConfig) -> None:
        self.config = config
        self.bad: BadnessMasks = badness_masks()
        form = config.normalization
        empty: frozenset[int] = frozenset()
        self.form = _normal_form(form) if form else _NormalForm(empty, {}, empty, empty)
        self.classes: dict[tuple[int, int, int, int, int], int] = {}
        bad = self.bad
        self.number(bad.unnamed, 0, 0)  # INERT
        self.number(bad.edge, CAN_BEGIN, 0)  # BEGIN_CLASS; its flag only keeps it apart from class 0
        self.number(bad.edge, MAY_COMPOSE, 0)  # END_CLASS, likewise

    def number(self, masks: tuple[int, int, int], flags: int, combining: int) -> int:
        if not self.config.fix_encoding:
            masks = (0, 0, 0)
        return self.classes.setdefault((*masks, flags, combining), len(self.classes))

    def masks_of(self, code_point: int) -> tuple[int, int, int]:
        bad = self.bad
        return (
            bad.before.get(code_point, bad.unnamed[0]),
            bad.here.get(code_point, bad.unnamed[1]),
            bad.after.get(code_point, bad.unnamed[2]),
        )

    def form_flags(self, code_point: int) -> tuple[int, int]:
        """Flags and combining class that follow from the normal form."""
        form = self.form
        flags = CAN_BEGIN if code_point in form.can_begin or code_point < 0x80 else 0
        flags |= MAY_COMPOSE if code_point in form.may_compose else 0
        flags |= TO_FTFY if code_point in form.changed else 0
        return flags, form.combining.get(code_point, 0)

    def ordinary(self, code_point: int) -> int:
        flags, combining = self.form_flags(code_point)
        if 0x80 <= code_point < 0xA0:
            flags |= TO_FTFY  # C1 controls are mojibake by themselves
        return self.number(self.masks_of(code_point), flags, combining)

    def substituted(self, code_point: int, substitute: str, stable: bool) -> tuple[int, int]:
        """Class and packed bytes. Both the character and its substitute must be harmless where they stand."""
        encoded = substitute.encode()
        plain = len(substitute) == 1 or (len(substitute) > 1 and substitute.isascii())
        # An ampersand could begin an entity that ftfy would decode in its second round.
        if not plain or not stable or len(encoded) > len(chr(code_point).encode()) or "&" in substitute:
            return self.number(self.masks_of(code_point), TO_FTFY, 0), 0
        here, first, last = (self.masks_of(ord(c)) for c in (chr(code_point), substitute[0], substitute[-1]))
        # ftfy looks for mojibake before and after the substitution: join the masks of both texts.
        masks = (here[0] | last[0], here[1] | first[1], here[2] | first[2])
        flags, combining = self.form_flags(ord(substitute[-1]))
        flags |= SUBSTITUTE
        if substitute.isascii() and substitute not in ("'", '"', "\n"):
            flags |= MAKES_ASCII
        packed = len(encoded) << 24 | int.from_bytes(encoded, "little")
        return self.number(masks, flags, combining), packed


def build_tables(config: ftfy.TextFixerConfig) -> Tables:
    """The tables of one set of options; takes a few hundredths of a second."""
    build = _Builder(config)
    form = build.form
    code_class = np.zeros(0x110000, np.uint8)
    special = {*build.bad.here, *form.changed, *form.combining, *form.can_begin, *form.may_compose}
    numbers = {code_point: build.ordinary(code_point) for code_point in sorted(special | set(range(0xA0)))}
    # A carriage return may become a newline: both must be harmless.
    both = zip(build.masks_of(0x0D), build.masks_of(0x0A), strict=True)
    numbers[0x0D] = build.number(tuple(a | b for a, b in both), CAN_BEGIN, 0)  # type: ignore[arg-type]
    substitutes = np.zeros(0x10000, np.uint32)
    apply = _plain_steps(config)
    for code_point, substitute in _substitutes(apply).items():
        if 0x80 <= code_point < 0xA0:
            continue
        stable = apply(substitute) == substitute
        numbers[code_point], substitutes[code_point] = build.substituted(code_point, substitute, stable)
    if len(build.classes) > 256:
        raise ValueError(f"{len(build.classes)} character classes, a byte holds 256; widen code_class")
    code_class[list(numbers)] = list(numbers.values())
    columns = list(build.classes)
    return Tables(
        ascii_kind=_ascii_kinds(config),
        code_class=code_class,
        masks=np.array([column[:3] for column in columns], np.uint64),
        flags=np.array([column[3] for column in columns], np.uint8),
        combining=np.array([column[4] for column in columns], np.uint8),
        substitutes=substitutes,
    )
