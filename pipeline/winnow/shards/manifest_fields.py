"""Fields of a manifest, each checked where it is read: what is damaged or foreign is told by the field that is wrong.

A manifest may come from anybody, and its paths are followed: none may leave its folder. Training ranks read manifests
with the standard library alone, so nothing else is used here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from winnow.storage.address import inside

FORMAT = "winnow-shards-1"
DTYPES = ("uint16", "uint32")
"""Of token ids."""
_SHA256_DIGITS = 64


@dataclass(frozen=True)
class Part:
    """A value of a manifest, and where it stands there. All methods raise ValueError, which names that place."""

    value: Any
    name: str = "the manifest"

    def __getitem__(self, key: str) -> "Part":
        """What a section holds under this key."""
        if key not in self.section():
            self._wrong(f"lacks {key!r}")
        return Part(self.value[key], f"{self.name}.{key}" if self.name != "the manifest" else key)

    def get(self, key: str) -> "Part | None":
        """The same; None where the section has no such key."""
        return self[key] if key in self.section() else None

    def section(self) -> dict[str, Any]:
        """A section: keys and values."""
        return self.value if isinstance(self.value, dict) else self._expected("a section")

    def items(self) -> Iterator[tuple[str, "Part"]]:
        """Keys and values of a section whose keys become parts of file names: splits and formats."""
        for key in self.section():
            if not key.replace("-", "_").isidentifier():
                self._wrong(f"{key[:40]!r} is no name of a split or format")
            yield key, self[key]

    def each(self) -> Iterator["Part"]:
        """Items of a list."""
        if not isinstance(self.value, list):
            self._expected("a list")
        yield from (Part(item, f"{self.name}.{number}") for number, item in enumerate(self.value))

    def whole(self, least: int = 0) -> int:
        """A whole number."""
        if type(self.value) is not int or not least <= self.value < 1 << 48:
            self._expected(f"a whole number of at least {least}")
        return int(self.value)

    def text(self, *known: str) -> str:
        """A text; one of those that are known, if any are given."""
        if not isinstance(self.value, str) or (known and self.value not in known):
            self._expected(" or ".join(known) or "text")
        return str(self.value)

    def path(self) -> str:
        """A path below the manifest's folder."""
        try:
            return inside(self.text())
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def sha256(self) -> str:
        """A SHA-256 in hexadecimal."""
        text = self.text()
        if len(text) != _SHA256_DIGITS or not set(text) <= set("0123456789abcdef"):
            self._expected(f"a sha256 of {_SHA256_DIGITS} hexadecimal digits")
        return text

    def _expected(self, what: str) -> NoReturn:
        self._wrong(f"{repr(self.value)[:60]} stands where {what} belongs")

    def _wrong(self, what: str) -> NoReturn:
        raise ValueError(f"{self.name}: {what}")


class FileFields(NamedTuple):
    """What a manifest says of one file."""

    path: str
    bytes: int
    sha256: str


def file_fields(file: Part) -> FileFields:
    """A file as every manifest lists it."""
    return FileFields(file["path"].path(), file["bytes"].whole(), file["sha256"].sha256())


def files_of(entry: Part) -> tuple[FileFields, ...]:
    """Files that a shard or a split has beside its main ones."""
    listed = entry.get("files")
    return () if listed is None else tuple(map(file_fields, listed.each()))


class ShardFields(NamedTuple):
    """What a manifest says of one shard."""

    file: FileFields
    rows: int
    tokens: int
    files: tuple[FileFields, ...]
    footer: tuple[int, str] | None


def shard_fields(entry: Part, row_tokens: int) -> ShardFields:
    """A shard of rows of so many ids."""
    rows, tokens, footer = entry["rows"].whole(), entry["tokens"].whole(), entry.get("footer")
    if tokens > rows * row_tokens:
        raise ValueError(f"{entry.name}.tokens: {tokens:,} do not fit {rows:,} rows of {row_tokens:,}")
    told = None if footer is None else (footer["bytes"].whole(), footer["sha256"].sha256())
    return ShardFields(file_fields(entry), rows, tokens, files_of(entry), told)


def check_rows(split: Part, rows: int) -> None:
    """Compare the rows of a split's shards with what the main format's entry says of all, where it does."""
    told = split.get("rows")
    if told is not None and told.whole() != rows:
        raise ValueError(f"{told.name}: {told.value:,}, but its shards hold {rows:,}")


def row_fields(shards: Part) -> tuple[int, str]:
    """Ids of a row, and their dtype."""
    return shards["row_tokens"].whole(1), shards["dtype"].text(*DTYPES)


def formats_of(shards: Part) -> dict[str, Part]:
    """Splits by format, the set's main format first."""
    main = shards.get("format")
    more = shards.get("formats")
    found = {"parquet" if main is None else main.text(): shards["splits"]}
    return found | (dict(more.items()) if more is not None else {})


class SourceFields(NamedTuple):
    """What a manifest says of a source, for those who ask whose a row is."""

    name: str
    licence: str | None
    """Of all its documents; None where the config states none."""
    own_licences: bool
    """Whether its documents may state licences of their own, which go before this one."""
    files: tuple[tuple[int, int], ...]
    """Ranges of the numbers of its files, ends included; none in sets of older versions."""


def source_fields(manifest: Part) -> tuple[SourceFields, ...]:
    """The sources, in the manifest's order; none where it names none."""
    found: list[SourceFields] = []
    if manifest.get("sources") is None:
        return ()
    for name in manifest["sources"].section():
        entry = manifest["sources"][name]
        licence, files = entry.get("licence"), entry.get("files")
        own = entry.get("own_licences")
        said = None if licence is None or licence.value is None else licence.text()
        ranges = () if files is None else tuple(map(_range, files.each()))
        found.append(SourceFields(name, said, own is not None and own.value is True, ranges))
    return tuple(found)


def _range(pair: Part) -> tuple[int, int]:
    """First and last number of a range."""
    ends = [end.whole() for end in pair.each()]
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"{pair.name}: {ends} stands where a first and a last number belong")
    return ends[0], ends[1]


def label_names(manifest: Part) -> tuple[str, ...]:
    """Names of labels by number; none where documents have no labels."""
    labels = manifest.get("labels")
    return () if labels is None else tuple(name.text() for name in labels["names"].each())
