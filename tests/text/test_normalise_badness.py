"""The masks against ftfy's own regular expression: they may raise a false alarm, never miss a match."""

import random

from ftfy.badness import is_bad

from winnow.text.normalise.badness import BadnessMasks, badness_masks

MASKS = badness_masks()


def alarm(masks: BadnessMasks, text: str) -> bool:
    """The slow, readable twin of what the scanner does with the masks."""

    def bits(place: int, at: int) -> int:
        if not 0 <= at < len(text):
            return masks.edge[place]
        return masks[place].get(ord(text[at]), masks.unnamed[place])

    return any(bits(0, at - 1) & bits(1, at) & bits(2, at + 1) for at in range(len(text)) if ord(text[at]) >= 0x80)


def test_no_match_is_missed_and_alarms_are_few() -> None:
    named = [chr(code_point) for code_point in MASKS.here if code_point >= 0x80]
    alphabet = [*named, *"aZ09 .,?!_\n\t-", "中", "\u3000", "\u2003"]
    choose = random.Random(3)
    bad = false_alarms = harmless = 0
    for _ in range(60_000):
        text = "".join(choose.choices(alphabet, k=choose.choice([1, 2, 2, 3, 3, 4])))
        if is_bad(text):
            bad += 1
            assert alarm(MASKS, text), ascii(text)
        else:
            harmless += 1
            false_alarms += alarm(MASKS, text)
    assert bad > 10_000
    assert false_alarms < harmless / 100


def test_every_single_character_and_every_named_pair_before_a_letter() -> None:
    for code_point in range(0x80, 0x30000):
        if not 0xD800 <= code_point < 0xE000 and is_bad(f"a{chr(code_point)} "):
            assert alarm(MASKS, f"a{chr(code_point)} "), hex(code_point)
    named = [chr(code_point) for code_point in sorted(MASKS.here) if code_point >= 0x80]
    for number, first in enumerate(named):
        for second in named[number % 7 :: 7]:
            text = f"{first}{second}e"
            assert alarm(MASKS, text) or not is_bad(text), ascii(text)


def test_ascii_and_other_scripts_raise_no_alarm() -> None:
    for text in (
        "plain ASCII, 'quoted'",
        "中文，日本語。",
        "한국어",
        "हिन्दी",
        "Привет, мир",
        "naïve café",
        "Ελληνικά",
    ):
        assert not alarm(MASKS, text)
