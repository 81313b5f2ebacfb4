"""Addresses against lists: what hosts, exact addresses and words are; nothing is met by chance; odd lists."""

import gzip
import random
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pytest
import zstandard

from tests.support import url_reference as reference
from tests.support.configs import unread_config
from winnow.config.config import Config, parse_config
from winnow.errors import ConfigError, StorageError
from winnow.numeric.arrow_strings import string_buffers
from winnow.text.urls.config import KINDS, UrlsConfig, list_name
from winnow.text.urls.lists import MOST_BYTES, keys, look_at_list, read_bytes, read_lines
from winnow.text.urls.match import match
from winnow.text.urls.table import NOTHING, Table, build, entries_at, find, open_table, parts_of_file


def table(kind: str, *entries: str) -> Table:
    data, offsets = keys(read_lines("\n".join(entries).encode(), kind), kind)
    return build(data, offsets, np.zeros(len(offsets) - 1, np.uint8))


def tables(**lists: list[str]) -> dict[str, Table]:
    return dict.fromkeys(KINDS, NOTHING) | {kind: table(kind, *entries) for kind, entries in lists.items()}


def found(addresses: list[str], given: dict[str, Table], kind: str) -> list[str | None]:
    places = match(pa.array(addresses, pa.large_string()), given).places[:, KINDS.index(kind)]
    return [None if p < 0 else entries_at(given[kind], np.array([p]))[1][0].as_py().decode() for p in places]


LISTED = ["Example.com.", "bücher.example", "xn--90a3ac.test", "1.2.3.4", "a.b.co.uk", ".dotted.example", "[::1]"]


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("http://example.com", "example.com"),
        ("HTTPS://A.b.EXAMPLE.com:8443/x?y#z", "example.com"),
        ("http://user:pa@ss@example.com./", "example.com"),
        ("http://badexample.com/", None),
        ("http://example.com.evil.test/", None),
        ("http://evil.test/?u=http://example.com/", None),
        ("http://evil.test#@example.com", None),
        ("http://evil.test\\@example.com", None),
        ("//www.example.com/x", "example.com"),
        ("www.example.com/x", "example.com"),
        ("example.com:80/x", "example.com"),
        ("http:example.com", "example.com"),
        ("http:///example.com/", "example.com"),
        ("  http://example.com/ \n", "example.com"),
        ("http://exa\tmple.com/", "example.com"),
        ("http://ex%61mple.com/", "example.com"),
        ("http://ｅｘａｍｐｌｅ。com/", "example.com"),
        ("http://www.BÜCHER.example/", "xn--bcher-kva.example"),
        ("http://b%C3%BCcher.example/", "xn--bcher-kva.example"),
        ("http://xn--BCHER-kva.example/", "xn--bcher-kva.example"),
        ("http://срб.test/", "xn--90a3ac.test"),
        ("http://1.2.3.4:99/x", "1.2.3.4"),
        ("http://[::1]:80/", "[::1]"),
        ("http://co.uk/", None),
        ("http://x.a.b.co.uk/", "a.b.co.uk"),
        ("http://www.dotted.example/", "dotted.example"),
        ("mailto:me@example.com", None),
        ("urn:uuid:example.com", None),
        ("/example.com", None),
        ("data:text/html,example.com", None),
        ("ftp://example.com/", "example.com"),
        ("gopher://example.com/", "example.com"),
        ("", None),
        ("http://", None),
        ("http://...", None),
    ],
)
def test_hosts(address, entry):
    assert found([address], tables(domains=LISTED), "domains") == [entry]


@pytest.mark.parametrize(
    ("address", "hit"),
    [
        ("http://x.org/a", True),
        ("https://u@X.org:443/a/#top", True),
        ("x.org/a/", True),
        ("http://x.org/A", False),
        ("http://x.org/a/b", False),
        ("http://x.org/a?q=1", False),
        ("http://www.x.org/a", False),
        ("http://x.org/q?b=1&a=2", True),
        ("http://y.org", True),
        ("http://y.org/", True),
        ("http://y.org/z", False),
    ],
)
def test_exact_addresses(address, hit):
    given = tables(urls=["http://X.org/a/", "x.org/q?b=1&a=2", "https://y.org/"])
    assert (found([address], given, "urls") != [None]) == hit


@pytest.mark.parametrize(
    ("address", "hard", "soft"),
    [
        ("http://a.org/casino", "casino", []),
        ("http://CASINO.org/", "casino", []),
        ("http://a.org/casinos", None, []),
        ("http://a.org/free%20casino", "casino", []),
        ("http://a.org/c%61sino", "casino", []),
        ("http://a.org/игра-ПОРНО", "порно", []),
        ("http://a.org/hot_girls-hot", None, ["hot", "girls"]),
        ("http://a.org/hot/hot", None, ["hot"]),
        ("not an address: casino", "casino", []),
    ],
)
def test_words(address, hard, soft):
    given = tables(words=["Casino", "порно"], soft_words=["hot", "girls"])
    assert found([address], given, "words") == [hard]
    places = match(pa.array([address], pa.large_string()), given).soft_places[0]
    entries = entries_at(given["soft_words"], places[places >= 0])[1].to_pylist()
    assert [entry.decode() for entry in entries] == soft


def test_random_addresses_are_judged_as_plain_python_judges_them():
    rng = random.Random(3)
    labels = ["a", "b", "ab", "x1", "é", "ß", "日本", "-", "www", "com", "Z"]
    listed = {".".join(rng.choices(labels, k=rng.randint(2, 3))) for _ in range(200)}
    listed = sorted(host for host in listed if reference.host_of(f"http://{host}/"))
    paths = ["", "/", "/a", "/A/", "/a/b?c=d", "/%61-b_c", "/?q", "/hot//girls/", "/日本/a#f"]
    hosts = [".".join(rng.choices(labels, k=rng.randint(1, 5))) for _ in range(4000)]
    begins, ends = ["http://", "https://", "http://u@", "http://u:p@"], ["", ":80", "."]
    addresses = [f"{rng.choice(begins)}{host}{rng.choice(ends)}{rng.choice(paths)}" for host in hosts]
    exact = rng.sample(addresses, 60)
    given = tables(domains=listed, urls=exact, words=["a", "hot", "日本"])
    entries = {reference.host_of(f"http://{host}/") for host in listed}
    expected = [reference.listed_domain(address, entries) for address in addresses]
    assert found(addresses, given, "domains") == expected and len(set(expected)) > 20
    whole = {reference.exact(address) for address in exact}
    for address, entry in zip(addresses, found(addresses, given, "urls"), strict=True):
        assert (reference.exact(address) in whole) == (entry is not None), address
    for address, entry in zip(addresses, found(addresses, given, "words"), strict=True):
        assert next((word for word in reference.words(address) if word in ("a", "hot", "日本")), None) == entry, address


def test_an_entry_is_found_by_its_own_bytes_alone(monkeypatch):
    """All entries and strangers share one hash here, so only bytes can tell them apart."""
    names = [f"h{n}.example" for n in range(300)]
    arrays = pa.array(names, pa.large_string())
    one = np.full(len(names), 77, np.uint64)
    monkeypatch.setattr("winnow.text.urls.table._hashes", lambda _d, _o, out: out.__setitem__(slice(None), one))
    made = build(*string_buffers(arrays), np.zeros(len(names), np.uint8))
    assert made.entries == 300 and int(np.diff(made.starts).max()) == len(made.heap)
    for name, there in (("h7.example", True), ("h299.example", True), ("h300.example", False), ("h7.exampl", False)):
        data = np.frombuffer(name.encode(), np.uint8)
        place = find(np.uint64(77), data, 0, len(data), made.starts, made.shift, made.heap)
        assert (place >= 0) == there


def test_a_table_is_the_same_from_the_same_lists_and_refused_when_it_is_cut(tmp_path):
    rng = random.Random(1)
    entries = [f"{rng.getrandbits(40):x}.example" for _ in range(5000)]
    made, again = table("domains", *entries, *entries[:50]), table("domains", *entries, *entries[:50])
    files = [b"".join(bytes(memoryview(part).cast("B")) for part in parts_of_file(one)) for one in (made, again)]
    assert files[0] == files[1] and made.entries == 5000
    path = tmp_path / "t.bin"
    path.write_bytes(files[0])
    opened = open_table(str(path))
    assert opened.entries == 5000 and opened.shift == made.shift and (opened.heap == made.heap).all()
    for damaged in (files[0][:-1], files[0][:20], b"x" + files[0][1:], b""):
        path.write_bytes(damaged or b"\0")
        with pytest.raises(StorageError, match="remove it and run again"):
            open_table(str(path))


def mapping(path) -> dict[str, int]:
    """What the kernel says of a file's mapping in this process: bytes by name; nothing where it has none."""
    found: dict[str, int] = {}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if " " in name:  # addresses, rights and the file
            inside = line.endswith(str(path))
        elif inside and value.endswith("kB"):
            found[name] = found.get(name, 0) + 1024 * int(value[:-2])
    return found


ANOTHER = """
import sys
from winnow.text.urls.table import open_table
table = open_table(sys.argv[1])
print(int(table.heap.sum()) + int(table.starts.sum()), flush=True)
sys.stdin.read()
"""


asks_linux = pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="asks Linux which pages are whose")


@asks_linux
def test_a_table_is_mapped_and_never_read(tmp_path):
    path = tmp_path / "t.bin"
    path.write_bytes(
        b"".join(bytes(memoryview(part).cast("B")) for part in parts_of_file(table("domains", "a.example")))
    )
    opened = open_table(str(path))
    assert opened.entries == 1 and mapping(path)["Size"] >= path.stat().st_size
    assert not opened.heap.flags.owndata and not opened.heap.flags.writeable


@pytest.mark.slow
@asks_linux
def test_a_table_of_a_million_hosts_is_opened_without_reading_it_and_held_once_a_machine(tmp_path):
    text = "\n".join(f"host-{n * 7919 % 1_000_003:07}.example" for n in range(1_000_000))
    made = table("domains", text)
    path = tmp_path / "table.bin"
    path.write_bytes(b"".join(bytes(memoryview(part).cast("B")) for part in parts_of_file(made)))
    opened = open_table(str(path))
    assert opened.entries == 1_000_000 and path.stat().st_size > 20 << 20
    assert mapping(path)["Size"] >= path.stat().st_size and mapping(path)["Rss"] <= 4 << 20
    given = dict.fromkeys(KINDS, NOTHING) | {"domains": opened}
    asked = ["http://a.host-0007919.example/x", "http://host-1000003.example/", "http://example/"]
    assert found(asked, given, "domains") == ["host-0007919.example", None, None]
    every = int(opened.heap.sum()) + int(opened.starts.sum())
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and int(other.stdout.readline()) == every
        held = mapping(path)  # Pss: a page that n processes have counts as a n-th
        assert held["Rss"] >= path.stat().st_size and held["Pss"] < 0.6 * held["Rss"] and held["Anonymous"] == 0
        other.communicate()


def test_of_equal_entries_the_first_list_has_it():
    data, offsets = string_buffers(pa.array(["b.org", "a.org", "a.org"], pa.large_string()))
    made = build(data, offsets, np.array([2, 1, 0], np.uint8))
    given = dict.fromkeys(KINDS, NOTHING) | {"domains": made}
    places = match(pa.array(["http://a.org", "http://b.org"], pa.large_string()), given).places[:, 0]
    assert entries_at(made, places)[0].tolist() == [1, 2]


def test_hostile_addresses_end_and_match_nothing():
    deep = "http://" + "a." * 500_000 + "example.com/"
    long_word = "http://x.org/" + "casino" * 200_000
    many = "http://x.org/" + "hot-" * 300_000
    nulls = "http://\0\0/\0"
    lone = "http://" + "é" * 5000 + ".example.com/"
    given = tables(domains=["example.com"], words=["casino"], soft_words=["hot", "girls"], urls=["x.org/a"])
    got = match(pa.array([deep, long_word, many, nulls, lone], pa.large_string()), given)
    assert (got.places[:, 0] >= 0).tolist() == [True, False, False, False, True]
    assert (got.places[:, 1:] < 0).all()
    assert (got.soft_places >= 0).sum(axis=1).tolist() == [0, 0, 1, 0, 0]


LONG = "a" * 70_000


@pytest.mark.parametrize(
    ("kind", "lines", "told"),
    [
        ("domains", ["http://a.org/x"], "line 1: a whole address where a host belongs; so are 1 of 1 lines"),
        ("domains", ["a.org", "# no", "", "||ads.example^"], "line 4: characters of a pattern"),
        ("domains", ["*.a.org"], "line 1: characters of a pattern"),
        ("domains", ["0.0.0.0 a.org"], "line 1: white space within the line"),
        ("domains", ["a.org", "b.org/x"], "line 2: a whole address"),
        ("domains", ["a,b"], "line 1: no host"),
        ("domains", [LONG], "line 1: over 65,535 bytes"),
        ("domains", ["# only", "   "], "has no entry; expected one host a line"),
        ("domains", [], "has no entry"),
        ("urls", [r"^http://.*\.org/"], "line 1: characters of a pattern"),
        ("urls", ["mailto:a"], "line 1: no host"),
        ("words", ["two words"], "line 1: white space"),
        ("words", ["half-word"], "line 1: not one word"),
        ("soft_words", ["a.*"], "line 1: characters of a pattern"),
    ],
)
def test_a_list_of_another_kind_is_refused_with_its_line(tmp_path, kind, lines, told):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=told) as error:
        look_at_list(path, kind, "my/list.txt")
    assert str(error.value).startswith("my/list.txt: ")


def test_what_is_no_text_is_refused(tmp_path):
    def refused(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ConfigError) as error:
            look_at_list(path, "domains", str(path))
        return str(error.value)

    assert "line 2: a zero byte" in refused("a", b"a.org\n\0\0")
    assert "line 3: is not UTF-8" in refused("b", b"a.org\nb.org\nb\xfccher.example\n")
    assert "begins like gzip data" in refused("c.txt", gzip.compress(b"a.org"))
    assert "truncated" in refused("d.gz", gzip.compress(b"a.org\n" * 1000)[:-9])
    assert "does not begin like zstd" in refused("e.zst", b"a.org")
    (tmp_path / "adult").mkdir()
    (tmp_path / "adult" / "domains").write_text("a.org")
    with pytest.raises(ConfigError, match=r"is a folder; name the file in it, such as .*/adult/domains"):
        look_at_list(tmp_path / "adult", "domains", "lists/adult")
    with pytest.raises(ConfigError, match="lists/none: No such file or directory; put the list there"):
        look_at_list(tmp_path / "none", "domains", "lists/none")


def test_a_bomb_of_a_list_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.text.urls.lists.MOST_BYTES", 1_000_000)
    path = tmp_path / "l.zst"
    path.write_bytes(zstandard.compress(b"a.org\n" * 2_000_000))
    with pytest.raises(ConfigError, match="over 1,000,000 bytes"):
        read_bytes(path)
    assert MOST_BYTES == 1_000_000_000


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress, zstandard.compress], ids=["txt", "gz", "zst"])
def test_lists_in_every_form_are_the_same_list(tmp_path, pack):
    suffix = {"txt": "", "gz": ".gz", "zst": ".zst"}[{gzip.compress: "gz", zstandard.compress: "zst"}.get(pack, "txt")]
    path = tmp_path / f"domains{suffix}"
    path.write_bytes(pack("\ufeff# comment\r\nA.org\r\n\r\n  bücher.example  \n".encode()))
    facts = look_at_list(path, "domains", "x")
    assert (facts.entries, facts.odd) == (2, {})
    assert keys(read_lines(read_bytes(path), "domains"), "domains")[0].tobytes() == b"a.orgxn--bcher-kva.example"


def test_a_few_odd_lines_are_told_and_the_rest_is_used(tmp_path):
    path = tmp_path / "d"
    path.write_text("\n".join([*(f"h{n}.org" for n in range(300)), "http://x.org/y", "*.z.org"]))
    facts = look_at_list(path, "domains", "d")
    assert facts.entries == 300
    assert [line for _, line in facts.odd.values()] == [302, 301]


def test_the_schema_takes_what_the_config_takes():
    schema = Config.model_json_schema()
    for filtering in ({"urls": {"domains": "x"}, "opt_outs": "drop"}, {"urls": {"words": ["x"]}, "opt_outs": ["noai"]}):
        jsonschema.validate(unread_config(filter=filtering), schema)
        parse_config(unread_config(filter=filtering))


def test_names_of_lists():
    paths = ["lists/adult/domains", "/x/ads/domains.gz", "s3://b/hosts.txt.zst", "my list.txt", "domains", ".gz"]
    assert [list_name(p) for p in paths] == ["adult.domains", "ads.domains", "hosts", "my_list", "domains", ".gz"]
    with pytest.raises(ValueError, match="two lists are called hosts"):
        UrlsConfig.model_validate({"domains": ["a/hosts.txt", "b/hosts"]})
    with pytest.raises(ValueError, match="at least one list"):
        UrlsConfig.model_validate({"field": "url"})
