"""The decoder of gzip and deflate beside Python's zlib: the same text, ends and words about damage."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.sources.readers.decoders import InflateError, inflater

TEXTS = [b"".join(b"%d, some words of row %d\n" % (n * 7919 % 1000, n) for n in range(rows)) for rows in (0, 3, 900)]
TEXTS.append(random.Random(1).randbytes(3000))
WAYS = [(level, way) for level in (0, 1, 6, 9) for way in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY)]


def packed(text: bytes, level: int, way: int, wbits: int) -> bytes:
    made = zlib.compressobj(level, zlib.DEFLATED, wbits, 9, way)
    return made.compress(text) + made.flush()


def outcome(decoder, error: type[Exception], data: bytes, fed: int, most: int) -> tuple:
    """All that a reader sees: what every call gives, and how it ends."""
    calls, at, end = [], 0, ""
    try:
        while not decoder.eof and (at < len(data) or decoder.unconsumed_tail):
            tail = decoder.unconsumed_tail
            calls.append(decoder.decompress(tail + data[at : at + fed], most))
            at += fed
    except error as said:
        end = str(said)
    return calls, decoder.eof, decoder.unused_data, end


@pytest.mark.parametrize("wbits", [31, 15, -15])
@settings(max_examples=250, deadline=None)
@given(
    text=st.sampled_from(TEXTS),
    how=st.sampled_from(WAYS),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=3),
    among=st.sampled_from([16, 1 << 20]),
    cut=st.floats(0, 2),
    behind=st.binary(max_size=20),
    fed=st.sampled_from([1, 7, 512, 32 << 10]),
    most=st.sampled_from([0, 100, 64 << 10]),
)
def test_damaged_and_whole_streams_give_what_zlib_gives(wbits, text, how, flips, among, cut, behind, fed, most):
    data = bytearray(packed(text, *how, wbits))
    for place, bit in flips:
        data[int(place * (min(len(data), among) - 1))] ^= 1 << bit
    data = data[: int(cut * len(data))] + (behind if cut >= 1 else b"")
    theirs = outcome(zlib.decompressobj(wbits), zlib.error, bytes(data), fed, most)
    assert outcome(inflater(wbits), InflateError, bytes(data), fed, most) == theirs


def test_a_wrong_checksum_and_a_wrong_size_are_refused():
    member = packed(TEXTS[1], 6, zlib.Z_DEFAULT_STRATEGY, 31)
    for place, said in ((-8, "incorrect data check"), (-4, "incorrect length check")):
        damaged = bytearray(member)
        damaged[place] ^= 1
        with pytest.raises(InflateError, match=said):
            inflater(31).decompress(bytes(damaged))
