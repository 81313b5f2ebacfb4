"""Tables that tell the scanner what each character may do under ``ftfy.fix_text`` with given options.

Everything is read from ftfy's own functions and from ``unicodedata``; nothing is a copied list. A character's
class is a byte; per class stand the mojibake masks (``normalise_badness``), its canonical combining class and
the flags below. Class 0 is the inert character: nothing can happen to it, whatever stands beside it.
"""

import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import ftfy
import numpy as np
from ftfy import chardata, fixes
from numpy.typing import NDArray

from winnow.text.normalise.badness import BadnessMasks, badness_masks
from winnow.text.normalise.encoding import evidence, named_characters
from winnow.text.normalise.form import NormalForm, normal_form

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
"""The character has a plain substitute."""
MAKES_ASCII = 16
"""The substitute could become part of an HTML entity."""
DECOMPOSES = 32
"""The character is a composition itself (or vanishes): a mark after it may do more than compose with it."""
STARTS_ANEW = 64
"""The substitute is a starter with marks: the class holds the combining class of its end."""

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
    """uint8[C]: CAN_BEGIN .. STARTS_ANEW."""
    combining: NDArray[np.uint8]
    """uint8[C]: canonical combining class, 0 for a starter."""
    substitutes: NDArray[np.int64]
    """int64[0x10000]: number of bytes << 56 | the bytes of the substitute, first byte lowest. A substitute
    of no bytes is for the begin of a segment, or between ASCII characters."""
    compositions: NDArray[np.int64]
    """int64[P], rising: first << 21 | second of every canonical composition."""
    evidence: NDArray[np.uint64]
    """uint64[2, 0x10000]: what a character tells about encodings, see ``normalise_encoding``: before and
    after the plain substitutions."""


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
        if code_point >= 0xA0 and (after := apply(chr(code_point))) != chr(code_point)
    }


def _c1_substitutes(config: ftfy.TextFixerConfig) -> dict[int, str]:
    """The C1 controls that the encoding step reads as Windows-1252; the five that it lacks stay with ftfy."""
    if not (config.fix_encoding and config.fix_c1_controls):
        return {}
    fixed = {code_point: fixes.fix_c1_controls(chr(code_point)) for code_point in range(0x80, 0xA0)}
    return {code_point: after for code_point, after in fixed.items() if after >= "\xa0"}


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
        self.encodable = named_characters()
        form = config.normalization
        empty: frozenset[int] = frozenset()
        self.form = normal_form(form) if form else NormalForm(empty, {}, frozenset(), empty, empty, empty)
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
        flags |= DECOMPOSES if code_point in form.decomposing else 0
        flags |= MAY_COMPOSE if code_point in form.may_compose else 0
        flags |= TO_FTFY if code_point in form.changed else 0
        return flags, form.combining.get(code_point, 0)

    def ordinary(self, code_point: int) -> int:
        flags, combining = self.form_flags(code_point)
        if 0x80 <= code_point < 0xA0:
            flags |= TO_FTFY  # C1 controls are mojibake by themselves
        return self.number(self.masks_of(code_point), flags, combining)

    def unnamed(self, text: str) -> bool:
        """Whether no character of the text has to do with mojibake."""
        return not any(ord(c) in self.bad.here or c in self.encodable for c in text)

    def substituted(self, versions: list[str]) -> tuple[int, int]:
        """Class and packed bytes of a character that the steps change, given as it stands and after each
        step.

        All versions must be harmless where they stand, for ftfy looks for mojibake before and after each.
        """
        character, substitute = versions[0], versions[-1]
        encoded = substitute.encode()
        flags, combining = CAN_BEGIN | DECOMPOSES, 0
        if substitute:
            flags, combining = self.form_flags(ord(substitute[-1]))
        plain = len(substitute) == 1 or substitute.isascii()
        if not plain and self.unnamed(character + substitute) and not self.form_flags(ord(substitute[0]))[1]:
            # A starter with marks, none of them of use in mojibake: Indic letters with a nukta.
            plain = all(unicodedata.combining(mark) for mark in substitute[1:])
            flags = STARTS_ANEW | DECOMPOSES | self.form_flags(ord(substitute[0]))[0]
            plain &= not flags & MAY_COMPOSE
        # At most seven bytes are packed, and the output has twice the room of the input. An ampersand could
        # begin an entity that ftfy would decode in its second round.
        if not plain or len(encoded) > min(7, 2 * len(character.encode())) or "&" in substitute:
            return self.number(self.masks_of(ord(character)), TO_FTFY, 0), 0
        masks = (0, 0, 0)
        for version in filter(None, versions):
            ends = self.masks_of(ord(version[-1])), self.masks_of(ord(version[0]))
            masks = (masks[0] | ends[0][0], masks[1] | ends[1][1], masks[2] | ends[1][2])
        if substitute.isascii() and substitute not in ("'", '"', "\n"):
            flags |= MAKES_ASCII
        packed = len(encoded) << 56 | int.from_bytes(encoded, "little")
        return self.number(masks, flags | SUBSTITUTE, combining), packed


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
    substitutes = np.zeros(0x10000, np.int64)
    known = np.zeros((2, 0x10000), np.uint64)
    for character in build.encodable:
        known[:, ord(character)] = evidence([character])
    apply = _plain_steps(config)
    versions = {code_point: [chr(code_point), after] for code_point, after in _substitutes(apply).items()}
    for code_point, after in _c1_substitutes(config).items():
        versions[code_point] = [chr(code_point), after, apply(after)]
    if config.normalization == "NFC":
        for code_point in sorted(form.changed - set(versions)):
            if 0xA0 <= code_point < 0x10000:
                versions[code_point] = [chr(code_point), unicodedata.normalize("NFC", chr(code_point))]
    for code_point, steps in versions.items():
        if apply(steps[-1]) == steps[-1]:
            numbers[code_point], substitutes[code_point] = build.substituted(steps)
            if not build.unnamed("".join(steps)) or "" in steps:
                known[0, code_point] = evidence(steps[:-1])
                known[1, code_point] = evidence(steps[-1:])
        else:
            numbers[code_point] = build.number(build.masks_of(code_point), TO_FTFY, 0)
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
        compositions=np.array(sorted(a << 21 | b for a, b in form.compositions), np.int64),
        evidence=known,
    )
