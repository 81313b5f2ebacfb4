"""Lists of removal requests: documents that no run may take, by keys of ids and texts, and by where addresses begin.

A list holds no text and no id, but their 128-bit hashes (XXH3-128): of a text as `measure` leaves it, and of an id
together with its source's name. So it can lie beside an index for years. The beginnings of addresses stand as they are.

Legend: N documents, K keys.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from winnow.dedup.exact import text_hashes
from winnow.engine.records import Json
from winnow.errors import ConfigError
from winnow.storage.store import Store

FOLDER = "forget"
"""In a run folder: a folder of each request, ``forget/001``, with what was found, its list, and its proof."""
LIST, FOUND, PROOF = "list.json", "found.json", "proof.json"
IN_INDEX = "removed"
"""In the folder of an index: the lists of all requests to its runs."""
FORMAT = "winnow-removal-list-1"
_KEY = re.compile(r"[0-9a-f]{32}")
_EMPTY = xxhash.xxh3_128_hexdigest(b"")
_KEYS = pa.schema([("kind", pa.uint8()), ("high", pa.uint64()), ("low", pa.uint64())])
_ID, _TEXT = 0, 1
_ADDRESS = re.compile(r"https?://(?P<host>[^/?#@\s\\]+)(?P<rest>[^\s\x00-\x1f]*)", re.IGNORECASE)

Keys = NDArray[np.uint64]
"""uint64[K, 2], upper and lower half."""


@dataclass(frozen=True)
class RemovalList:
    """Keys in hexadecimal, sorted, each once."""

    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    url_prefixes: tuple[str, ...] = ()
    reason: str = ""

    def __bool__(self) -> bool:
        return bool(self.ids or self.texts or self.url_prefixes)

    def to_json(self) -> bytes:
        """As it is stored."""
        names = ("reason", "url_prefixes", "ids", "texts")
        return orjson.dumps(
            {"format": FORMAT, **{name: getattr(self, name) for name in names}}, option=orjson.OPT_INDENT_2
        )

    @staticmethod
    def from_json(data: bytes, where: str) -> "RemovalList":
        """Read a stored list; ``where`` is how messages call it.

        Raises:
            ConfigError: it is damaged.
        """
        try:
            fields = orjson.loads(data)
            if fields.pop("format") != FORMAT:
                raise ValueError(f"expected the format {FORMAT}")
            ids, texts, prefixes = (tuple(map(str, fields.pop(name))) for name in ("ids", "texts", "url_prefixes"))
            found = RemovalList(ids, texts, prefixes, **fields)
            if not all(_KEY.fullmatch(key) for key in (*found.ids, *found.texts)):
                raise ValueError("a key is not of 32 hexadecimal digits")
            for prefix in found.url_prefixes:
                address_pattern(prefix)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{where}: a list of removal requests that is damaged ({error}); restore it: without it, documents "
                "that were removed on request would come back"
            ) from error
        return found


def merged(lists: Iterable[RemovalList]) -> RemovalList:
    """One list that holds what any of them holds."""
    several = tuple(lists)
    ids, texts, prefixes = (
        tuple(sorted({key for one in several for key in getattr(one, name)}))
        for name in ("ids", "texts", "url_prefixes")
    )
    return RemovalList(ids, texts, prefixes)


def read_lists(store: Store) -> dict[str, RemovalList]:
    """The lists of a run folder, by number of the request.

    Raises:
        ConfigError: one is damaged.
    """
    found = {}
    for name in store.folders(FOLDER):
        path = f"{FOLDER}/{name}/{LIST}"
        if store.exists(path):
            found[name] = RemovalList.from_json(store.read(path), store.location(path))
    return found


def unproven(store: Store) -> list[str]:
    """Requests that are part of the run and have no proof yet; of lists that were copied here nothing is proven."""
    names = [name for name in store.folders(FOLDER) if store.exists(f"{FOLDER}/{name}/{LIST}")]
    return [
        name
        for name in names
        if store.exists(f"{FOLDER}/{name}/{FOUND}") and not store.exists(f"{FOLDER}/{name}/{PROOF}")
    ]


def refuse_unproven(store: Store) -> None:
    """Before anything of a run's shard set is given away.

    Raises:
        ConfigError: a removal request is under way, so the set may still hold what it lists.
    """
    if names := unproven(store):
        raise ConfigError(
            f"{store.root}: the removal request {FOLDER}/{names[0]} is not done, so the shard set may still hold what "
            "it removes; nothing was done. Give the same `winnow forget` again, then this command"
        )


def read_lists_of_index(store: Store) -> list[RemovalList]:
    """The lists that lie in an index.

    Raises:
        ConfigError: one is damaged.
    """
    paths = [f"{IN_INDEX}/{name}" for name in store.list(IN_INDEX, ".json")]
    return [RemovalList.from_json(store.read(path), store.location(path)) for path in paths]


@dataclass(frozen=True)
class Listed:
    """What a run may not take: its own lists and those of its index, as one, and where its units find the keys."""

    all: RemovalList
    path: str
    content: bytes
    hash: str

    @staticmethod
    def of(run: Store, index: Store | None = None) -> "Listed | None":
        """The lists of a run folder and of an index; None where they hold nothing.

        Raises:
            ConfigError: one is damaged.
        """
        found = merged([*read_lists(run).values(), *(read_lists_of_index(index) if index is not None else ())])
        if not found:
            return None
        keys = np.concatenate([numbers_of(found.ids), numbers_of(found.texts)])
        kind = np.repeat(np.array([_ID, _TEXT], np.uint8), [len(found.ids), len(found.texts)])
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, _KEYS) as file:
            file.write_table(pa.table({"kind": kind, "high": keys[:, 0], "low": keys[:, 1]}, schema=_KEYS))
        content = sink.getvalue().to_pybytes()
        digest = xxhash.xxh3_128_hexdigest(content)
        return Listed(found, f"{FOLDER}/keys-{digest[:16]}.arrow", content, f"xxh3_128:{digest}")

    @property
    def name(self) -> str:
        """Equal for equal lists."""
        return xxhash.xxh3_128_hexdigest(orjson.dumps([self.hash, self.all.url_prefixes]))

    @property
    def reference(self) -> Json:
        """As a unit's inputs name the table of keys."""
        return {"path": self.path, "hash": self.hash}

    def publish(self, store: Store) -> None:
        """Write the table of keys into a run folder, unless it is there."""
        if store.size(self.path) != len(self.content):
            store.replace(self.path, self.content)


def keys_of(table: pa.Table) -> tuple[Keys, Keys]:
    """Keys of ids and of texts, from the table that :class:`Listed` publishes."""
    kind, high, low = (table.column(name).to_numpy() for name in _KEYS.names)
    both = np.stack([high, low], axis=1)
    return both[kind == _ID], both[kind == _TEXT]


def numbers_of(keys: Iterable[str]) -> Keys:
    """Keys as numbers."""
    joined = bytes.fromhex("".join(keys))
    return np.frombuffer(joined, ">u8").astype(np.uint64).reshape(-1, 2)


def hexadecimal(keys: Keys) -> list[str]:
    """Keys as lists write them."""
    return [f"{high:016x}{low:016x}" for high, low in keys.tolist()]


def keys_of_ids(sources: pa.Array, ids: pa.Array) -> Keys:
    """Of documents by their sources' names and ids, string[N] both."""
    if len(ids) == 0:
        return np.empty((0, 2), np.uint64)
    joined = pc.binary_join_element_wise(
        sources.cast(pa.large_string()), ids.cast(pa.large_string()), pa.scalar("\0", pa.large_string())
    )
    return text_hashes(joined)


def is_empty(keys: Keys) -> NDArray[np.bool_]:
    """bool[K], which are of the empty text: no list holds it, since it says nothing of anybody."""
    high, low = numbers_of([_EMPTY])[0]
    return np.asarray((keys[:, 0] == high) & (keys[:, 1] == low))


def among(keys: Keys, listed: Keys) -> NDArray[np.bool_]:
    """bool[N], which of ``keys`` stand in ``listed``."""
    found = np.isin(keys[:, 0], listed[:, 0])
    known = set(map(tuple, listed[np.isin(listed[:, 0], keys[found, 0])].tolist()))
    for row in np.flatnonzero(found).tolist():
        found[row] = tuple(keys[row].tolist()) in known
    return found


def address_pattern(prefix: str) -> str:
    """A regular expression of the addresses that begin so; host and scheme in any case, with or without a port.

    A prefix without a path means the host: ``https://x.org`` is not the beginning of ``https://x.org.example``.

    Raises:
        ConfigError: it is no beginning of an address.
    """
    known = _ADDRESS.fullmatch(prefix)
    if known is None:
        raise ConfigError(
            f"--url-prefix {prefix!r}: expected the beginning of an address, such as https://example.org/people/"
        )
    host, rest = known["host"].lower(), known["rest"]
    end = re.escape(rest) if rest else r"(?:[/?#]|$)"
    port = "" if re.search(r":\d+$", host) else r"(?::\d+)?"
    return rf"^(?i:https?://(?:[^/?#@]*@)?{re.escape(host)}){port}{end}"


def begins_so(addresses: pa.Array, prefixes: Iterable[str]) -> NDArray[np.bool_]:
    """bool[N], which addresses string[N] (null: none) begin with one of these."""
    found = np.zeros(len(addresses), bool)
    for prefix in prefixes:
        hit: Any = pc.match_substring_regex(addresses, address_pattern(prefix))
        found |= np.asarray(pc.fill_null(hit, False), bool)
    return found
