"""Personal data: the kernels against plain regular expressions, on planted data, on real text, on hostile text."""

import io
import itertools
import random
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import pii_reference as reference
from tests.support.linear import grows_linearly
from winnow.text.pii.find import find_personal_data
from winnow.text.pii.kinds import KINDS, NAMES

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def found(text: str, *kinds: str) -> list[tuple[str, str]]:
    spans = find_personal_data(pa.array([text], pa.large_string()), kinds or NAMES)
    data = text.encode()
    return [
        (NAMES[kind], data[start:end].decode())
        for start, end, kind in zip(spans.start.tolist(), spans.end.tolist(), spans.kind.tolist(), strict=True)
    ]


def places(texts: list[str], kind: str) -> list[list[tuple[int, int]]]:
    spans = find_personal_data(pa.array(texts, pa.large_string()), [kind])
    rows = spans.row.tolist()
    listed: list[list[tuple[int, int]]] = [[] for _ in texts]
    for row, start, end in zip(rows, spans.start.tolist(), spans.end.tolist(), strict=True):
        listed[row].append((start, end))
    return listed


PIECES = {
    "email": [
        "a",
        "b.c",
        "@",
        "@",
        ".",
        "-",
        "_",
        "%",
        "com",
        "uk",
        "png",
        "x" * 65,
        " ",
        "é",
        "1",
        ":",
        "co.uk",
        "A@b.cc",
    ],
    "ipv4": [
        "1.2.3.4",
        "8.8.8.8",
        "10.0.0.1",
        "255",
        "256",
        ".",
        "-",
        ":",
        "80",
        "v",
        "version ",
        "release-",
        " ",
        "0",
        "a",
        "é",
        "01",
        "9",
    ],
    "ipv6": [
        "2606:4700::1111",
        "2001:db8::1",
        "::",
        ":",
        "2a00",
        "1",
        "fe80",
        "2606",
        "abcde",
        " ",
        ".",
        "-",
        "g",
        "9",
        "2002:1::",
    ],
    "card": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "378282246310005",
        "30569309025904",
        "0",
        " ",
        "-",
        ".1",
        "a",
        "123",
        "6011111111111117",
        "4222222222222",
    ],
    "ssn": ["123-45-6789", "000-12-3456", "9", "-", ".", "1", " ", "a", "666-11-1111", "078-05-1120", ":a"],
}


@pytest.mark.parametrize("kind", list(PIECES))
def test_kernels_find_what_regular_expressions_find(kind):
    @settings(deadline=None, max_examples=150)
    @given(st.lists(st.lists(st.sampled_from(PIECES[kind]), max_size=9).map("".join), min_size=1, max_size=4))
    def check(texts: list[str]) -> None:
        assert places(texts, kind) == [reference.apart(reference.REFERENCE[kind](text.encode())) for text in texts]

    check()


@pytest.fixture(scope="module")
def real_texts() -> list[str]:
    """The first documents of some files."""
    if not CORPUS.is_dir():
        pytest.skip("needs ../shared/corpus")
    texts: list[str] = []
    for name in ("01-helm-www", "05-readability-pages", "10-spamassassin", "11-ruanyf-weekly", "13-amiga-docs"):
        records = itertools.islice(first_lines(CORPUS / f"{name}.jsonl.zst"), 20)
        texts += [str(orjson.loads(line)["text"])[:10_000] for line in records]
    return texts


def first_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(file, read_across_frames=True)
        yield from io.BufferedReader(stream)


@pytest.mark.parametrize("kind", list(PIECES))
def test_real_text_gives_what_regular_expressions_give(kind, real_texts):
    want = [reference.apart(reference.REFERENCE[kind](text.encode())) for text in real_texts]
    assert places(real_texts, kind) == want


def test_public_addresses_are_those_of_the_standard_library():
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 256, (3000, 4))
    edges = [
        (a, b, c, 9)
        for a in (0, 10, 100, 127, 169, 172, 192, 198, 203, 224)
        for b in (0, 15, 18, 51, 64, 168, 254)
        for c in (0, 2, 100, 113)
    ]
    texts = [".".join(map(str, each)) for each in (*numbers.tolist(), *edges)]
    special = (
        "192.0.0.9",
        "192.0.0.10",
        "192.31.196",
        "192.52.193",
        "192.175.48",
        "192.88.99",
    )  # differ between Pythons
    texts = [text for text in texts if not text.startswith(special)]
    assert [bool(each) for each in places(texts, "ipv4")] == [reference.is_public(text.encode()) for text in texts]


GOOD = [
    ("email", "mail <jo.doe+x@mail.example.co.uk>.", "jo.doe+x@mail.example.co.uk"),
    ("email", "日本語user@example.jpの", "user@example.jp"),
    ("ipv4", "from [8.8.4.4]:", "8.8.4.4"),
    ("ipv4", "http://9.9.9.9:8080/x", "9.9.9.9"),
    ("ipv6", "[2606:4700:4700::1111]:443", "2606:4700:4700::1111"),
    ("ipv6", "2a00:1450:4001:82a:0:0:0:200e,", "2a00:1450:4001:82a:0:0:0:200e"),
    ("card", "card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
    ("card", "amex 3782-822463-10005", "3782-822463-10005"),
    ("iban", "IBAN DE89 3704 0044 0532 0130 00, BIC", "DE89 3704 0044 0532 0130 00"),
    ("iban", "(GB82WEST12345698765432)", "GB82WEST12345698765432"),
    ("ssn", "SSN: 123-45-6789.", "123-45-6789"),
    ("phone", "Tel. +49 (0)30 1234567, Fax", "+49 (0)30 1234567"),
    ("phone", "+1 212-555-0123 99", "+1 212-555-0123"),
    ("phone", "call (212) 555-0123!", "(212) 555-0123"),
    ("phone", "212.555.0123", "212.555.0123"),
    ("secret", "key=AKIAIOSFODNN7EXAMPLE;", "AKIAIOSFODNN7EXAMPLE"),
    ("secret", "'ghp_16C7e42F292c6912E7710c838347Ae178B4a'", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("secret", "xoxb-" + "123456789012-abcDEF0123", "xoxb-" + "123456789012-abcDEF0123"),
    ("secret", "AIza" + "SyBNj6Jq504-YFNx7I1SQei5x73orklpw12 ", "AIza" + "SyBNj6Jq504-YFNx7I1SQei5x73orklpw12"),
    ("secret", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    ("secret", "sk-proj-" + "Ab1" * 16, "sk-proj-" + "Ab1" * 16),
    (
        "secret",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3",
    ),
    (
        "secret",
        "x\n-----BEGIN RSA PRIVATE KEY-----\nMIIé\n-----END RSA PRIVATE KEY-----\ny",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIé\n-----END RSA PRIVATE KEY-----",
    ),
]
BAD = [
    "v1.2.3.4 version 8.8.8.8 Release: 9.9.9.9 release-9.9.9.9 1.2.3.4.5 8.8.8.8-9 8.8.8.256 08.8.8.8",
    "10.0.0.1 192.168.1.1 127.0.0.1 203.0.113.7 224.0.0.1 ::ffff:8.8.8.8",
    "std::vector ::1 fe80::1 2001:db8::1 12:30:45 2020:10:11 2606:1::2::3 a2606:4700::1",
    "icon@2x.png @home user@localhost a@b.c .@b.cc a.@b.cc",
    "4111111111111112 1234567890123456 0.4111111111111111 41111111111111110 a4111111111111111",
    "DE89370400440532013001 XX89370400440532013000 ADE89370400440532013000",
    "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 1123-45-6789 123-45-6789-1",
    "123-456-7890 (112) 555-0123 2125550123 +0123456789 +1 212 555 012",
    "AKIAIOSFODNN7EXAMPL ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx task-" + "a" * 60 + " sk-" + "ab-" * 20,
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY----- -----BEGIN RSA PRIVATE KEY----- -----BEGIN",
]


@pytest.mark.parametrize(("kind", "text", "span"), GOOD)
def test_planted_data_are_found_whole(kind, text, span):
    assert found(text, kind) == [(kind, span)]
    assert (kind, span) in found(f"{text} {text}")


@pytest.mark.parametrize("text", BAD)
def test_what_only_looks_like_it_is_left(text):
    assert found(text) == []


def test_leftmost_then_longest_then_the_kinds_in_order():
    assert found("call +49 30 1234567 now") == [("phone", "+49 30 1234567")]
    assert found("a@b.cc@d.ee") == [("email", "a@b.cc")]
    assert found("a@b.cc.png") == [("email", "a@b.cc")]
    key = "sk-proj-" + "Ab1" * 16
    assert found(f"{key}@x.org", "secret", "email") == [("email", f"{key}@x.org")]  # as long as 64, and longer
    assert found("378282246310005") == [("card", "378282246310005")]
    card = "4111111111111111@x.org"
    assert found(card) == [("email", card)]
    assert found(card, "card") == [("card", "4111111111111111")]


def test_documents_end_where_they_end():
    texts = ["a@b.c", "c", "", "8.8.8.", "8", "x 8.8.8.8", ".1", "AKIAIOSFODNN7EXAMPL", "E"]
    assert [bool(each) for each in map(found, texts)] == [False] * 5 + [True] + [False] * 3
    spans = find_personal_data(pa.array(texts, pa.large_string()), NAMES)
    assert spans.row.tolist() == [5]
    sliced = find_personal_data(pa.array(texts, pa.large_string())[4:6], NAMES)
    assert (sliced.row.tolist(), sliced.start.tolist()) == ([1], [2])


@pytest.mark.parametrize("room", [8, 9, 16])
def test_more_finds_than_one_call_holds_are_all_there(monkeypatch, room):
    """Those that lie over one another on both sides of a call's end are settled as if there were one call."""
    from winnow.text.pii import find

    draw = random.Random(3)
    key = "sk-proj-" + "Ab1" * 16
    pieces = ["a@b.cc@d.ee", f"{key}@x.org", key, "4111111111111111@x.org", "+49 30 1234567", "8.8.8.8", "\n", "x" * 70]
    texts = [draw.choice([" ", ""]).join(draw.choices(pieces, k=draw.randint(0, 30))) for _ in range(60)]
    column = pa.array(["@", "", *texts, ""], pa.large_string())[1:]
    whole = find_personal_data(column, NAMES)
    monkeypatch.setattr(find, "_ROOM", room)
    assert len(whole.row) > 300
    for once, often in zip(whole, find_personal_data(column, NAMES), strict=True):
        assert once.tolist() == often.tolist()


def test_what_is_found_in_a_text_of_addresses_takes_little_more_than_itself():
    """29 million spans of 200 MB took 3.1 GB: 25 bytes are what a span is, and there is room for a quarter more."""
    data = b"a@b.cc " * 300_000
    text = pa.array([data.decode()], pa.large_string())
    find_personal_data(text[:0], NAMES)
    tracemalloc.start()
    spans = find_personal_data(text, NAMES)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(spans.row) == 300_000
    assert most < 36 * len(spans.row) + 12_000_000, most


HOSTILE = [
    b"@",
    b"a@",
    b"a@b.",
    b"1.",
    b"2001:",
    b"::",
    b"-----BEGIN ",
    b"-----",
    b"sk-",
    b"eyJ",
    b"AKIA",
    b"4111 ",
    b"+1 ",
    b"(2",
    b"DE89 ",
    b"a",
    b"1",
    b"a-",
]


@pytest.mark.parametrize("piece", HOSTILE, ids=[repr(piece) for piece in HOSTILE])
def test_the_time_grows_as_the_text_does(piece):
    """On a quarter and on two MB: a quadratic kernel would take 64 times as long."""

    def find(size: int) -> None:
        find_personal_data(pa.array([(piece * (size // len(piece))).decode()], pa.large_string()), NAMES)

    assert grows_linearly(find, 1 << 18, 1 << 21)


def test_kinds_are_on_as_the_documentation_says():
    assert [kind.name for kind in KINDS if kind.on] == ["secret", "email", "ipv6", "ipv4"]
    page = (Path(__file__).parents[2] / "docs" / "pii.md").read_text()
    for kind in KINDS:
        assert re.search(rf"\| `{kind.name}` \| {'on' if kind.on else 'off'} \| `{re.escape(kind.token)}` \|", page), (
            kind.name
        )
