"""The proof that the encoding step is idle, against ftfy's encoding step."""

import random

import ftfy
import numpy as np
import pyarrow as pa
from ftfy import chardata

from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.encoding import encoding_is_idle, evidence, named_characters
from winnow.text.normalise.normalise import Normaliser

EVIDENCE = np.zeros(0x10000, np.uint64)
for _character in named_characters():
    EVIDENCE[ord(_character)] = evidence([_character])


def is_idle(text: str) -> bool:
    data = np.frombuffer(text.encode() + b"   ", np.uint8)
    return bool(encoding_is_idle(data, 0, len(data) - 3, EVIDENCE, True))


def _lines(count: int, seed: int) -> list[str]:
    """Lines of everything that an encoding can hold, and real mojibake among them."""
    choose = random.Random(seed)
    leads = sorted({*"".join(chardata.UTF8_CLUES[f"utf8_first_of_{length}"] for length in (2, 3, 4))})
    pools = [
        sorted(named_characters()),
        [chr(code_point) for code_point in range(0xA0, 0x100)],
        [chr(code_point) for code_point in range(0x80, 0xA0)],
        [*"abcXYZ  ??.,;'-"],
        leads,
        [*"‘’“”–—…ﬁŉ中\ufffd"],
        ["Ã ", "à ", "é", "\ufffd", "?", " "],
    ]
    lines = []
    for _ in range(count):
        chosen = [*choose.choices(pools, k=choose.randint(1, 3)), pools[3]]
        line = "".join(choose.choice(choose.choice(chosen)) for _ in range(choose.randint(1, 12)))
        if choose.random() < 0.3:
            line += line[:3].encode().decode(choose.choice(chardata.CHARMAP_ENCODINGS), "replace")
        lines.append(line)
    return lines


def test_idle_lines_are_left_alone_by_ftfy() -> None:
    proven_bad = 0
    for line in _lines(30_000, 1):
        if is_idle(line):
            # C1 controls are read as Windows-1252, and nothing else happens.
            expected = ftfy.fixes.fix_c1_controls(line)
            once = ftfy._fix_encoding_one_step_and_explain(line, ftfy.TextFixerConfig()).text
            if any(character in line for character in "\x81\x8d\x8f\x90\x9d"):
                continue  # these make ftfy take another road; the scanner leaves them to it
            assert once == (expected if ftfy.badness.is_bad(line) else line), ascii(line)
            proven_bad += ftfy.badness.is_bad(line)
    assert proven_bad > 2000


def test_hostile_lines_equal_ftfy() -> None:
    lines = _lines(20_000, 2)
    result = Normaliser(NormaliseConfig(fix_character_width=True, uncurl_quotes=True))(
        pa.array(lines, pa.large_string())
    )
    assert result.texts.to_pylist() == [ftfy.fix_text(line) for line in lines]
    assert result.ftfy_bytes < sum(len(line.encode()) for line in lines)


def test_spaces_that_were_no_break_spaces() -> None:
    # In code page 437 lead bytes are box drawings, unknown to the detector; ftfy restores A0 after them.
    choose = random.Random(4)
    leads = [bytes([byte]).decode("cp437") for byte in range(0xC2, 0xE4)]
    continuations = [bytes([byte]).decode("cp437") for byte in range(0x80, 0xC0)]
    lines = []
    for _ in range(4000):
        parts = [choose.choice(leads) + choose.choice([*continuations, *" " * 40]) for _ in range(choose.randint(1, 4))]
        lines.append(choose.choice(["", "a"]).join(parts))
    changed = [line for line in lines if ftfy.fix_encoding(line) != line]
    assert len(changed) > 200
    assert not any(map(is_idle, changed))


def test_what_can_be_repaired_is_not_called_idle() -> None:
    for text in (
        "sÃ³",
        "voilÃ  le travail",
        "â€œquotedâ€\ufffd",
        "Ð´Ð°",
        "ã\x83\x84",
        "l’humanitÃ©",
        "\xe2\x80\x9c",
    ):
        assert not is_idle(text), text
    for text in ("it\x92s", "a \x96 b", "été à ñandú", "ky\ufffdtt\ufffd\ufffdn", "plain"):
        assert is_idle(text), text
