"""Keys of ids and texts, beginnings of addresses, and lists as they are stored."""

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.errors import ConfigError
from winnow.stages.removals.lists import (
    Listed,
    RemovalList,
    among,
    begins_so,
    hexadecimal,
    is_empty,
    keys_of_ids,
    merged,
    numbers_of,
)
from winnow.storage.open_store import open_store


def key(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def test_keys_are_those_of_the_library():
    ids = keys_of_ids(pa.array(["a", "ab", "a"]), pa.array(["bc", "c", "é\n"]))
    assert hexadecimal(ids) == [key("a\0bc"), key("ab\0c"), key("a\0é\n")]
    assert numbers_of(hexadecimal(ids)).tolist() == ids.tolist()
    assert is_empty(numbers_of([key(""), key("x")])).tolist() == [True, False]
    assert keys_of_ids(pa.array([], pa.string()), pa.array([], pa.string())).shape == (0, 2)


@settings(max_examples=50, deadline=None)
@given(*[st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12)] * 2)
def test_a_key_is_both_of_its_halves(keys, listed):
    one, other = (np.array(pairs, np.uint64).reshape(-1, 2) for pairs in (keys, listed))
    assert among(one, other).tolist() == [pair in listed for pair in keys]


HOST = ["http://X.ORG", "https://x.org/", "https://x.org:81/a", "https://u@x.org?q"]
OTHER_HOSTS = ["https://x.orgs", "https://x.org.example/", "https://ax.org/", "ftp://x.org/"]


@pytest.mark.parametrize(
    ("prefix", "meant", "others"),
    [
        ("https://x.org", HOST, OTHER_HOSTS),
        ("http://x.org/~j", ["https://x.org/~j", "https://x.org/~jo/"], ["https://x.org/j", "https://x.org/~J"]),
        ("http://x.org/a.b(c|d)*", ["http://x.org/a.b(c|d)*e"], ["http://x.org/a.bc", "http://x.org/aXb(c|d)*"]),
        ("http://x.org:80/", ["http://x.org:80/a"], ["http://x.org/a", "http://x.org:8080/a"]),
        ("http://bücher.example/ä", ["http://bücher.example/ä"], ["http://bucher.example/ä"]),
    ],
)
def test_beginnings_of_addresses(prefix, meant, others):
    found = begins_so(pa.array([*meant, *others, None]), [prefix])
    assert found.tolist() == [True] * len(meant) + [False] * (len(others) + 1)


@pytest.mark.parametrize(
    "prefix", ["", "x.org", "https://", "https:///a", "file:///etc", "https://x.org/\na", "https://x y/"]
)
def test_what_is_no_beginning(prefix):
    with pytest.raises(ConfigError, match="expected the beginning of an address"):
        begins_so(pa.array(["https://x.org"]), [prefix])


def test_lists_are_read_as_they_were_written(tmp_path):
    one = RemovalList((key("a"),), (key("b"), key("c")), ("https://x.org/",), "ticket 1")
    assert RemovalList.from_json(one.to_json(), "here") == one
    two = RemovalList(texts=(key("b"), key("d")))
    both = merged([one, two])
    assert (both.ids, both.url_prefixes, len(both.texts)) == (one.ids, one.url_prefixes, 3)
    assert not merged([]) and Listed.of(open_store(str(tmp_path))) is None
    for change in ((b"ticket", b"\xff"), (key("a").encode(), b"0"), (b'"texts"', b'"text"'), (b"https:", b"file:")):
        with pytest.raises(ConfigError, match="here: a list of removal requests that is damaged"):
            RemovalList.from_json(one.to_json().replace(*change), "here")
