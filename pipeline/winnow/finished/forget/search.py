"""Which documents of a run a removal request means: those that it names, their copies, and what was kept for them.

Tables are read part by part, several at a time, on this machine; nothing is written, so that a dry run leaves no trace.

Legend: N documents of a part, D found documents.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.executors.private_ray import cores_of
from winnow.engine.records import Json, Record
from winnow.finished.earlier import is_earlier, read_earlier, run_of
from winnow.finished.families import links_of
from winnow.finished.forget.request import Request
from winnow.flow.records import RunRecords
from winnow.flow.removals import address_field
from winnow.looking.list_documents import names_of
from winnow.looking.texts import parts_holding
from winnow.stages.removals.lists import Keys, RemovalList, among, begins_so, hexadecimal, is_empty, keys_of_ids
from winnow.stages.tables import column_to_numpy, parquet_batches, read_ipc, read_parquet
from winnow.text.normalise.normalise import Normaliser

ID, URL, MATCH, COPY, NEAR, MADE = "id", "url_prefix", "match", "exact copy", "near-duplicate", "made of one"
NAMED = (ID, URL, MATCH)
T = TypeVar("T")
Docs = NDArray[np.uint64]


@dataclass(frozen=True)
class FoundDocument:
    """A document that is to go."""

    doc: int
    id: str
    source: str
    why: str
    outcome: str
    """In the ledger as it is."""
    rule: str | None
    split: str | None
    copies: int
    text: str
    """Key of its text, in hexadecimal."""


@dataclass
class Found:
    """What was found."""

    documents: list[FoundDocument] = field(default_factory=list)
    """By number."""
    removals: RemovalList = field(default_factory=RemovalList)
    unknown_ids: tuple[str, ...] = ()
    without_text: tuple[str, ...] = ()
    """Ids of documents that no list can name: they hold no text, and their ids are made of path and row."""
    near_kept: tuple[str, ...] = ()
    """Ids of kept documents that are near-duplicates of what goes, and stay."""
    near_dropped: int = 0
    """Near-duplicates of what goes that were dropped for it; they stay dropped."""
    elsewhere: tuple[Json, ...] = ()
    """Documents of earlier runs of the index that what goes is a duplicate of: id and run."""
    without_addresses: tuple[str, ...] = ()
    """Sources of which no address is known."""
    kept_left: int = 0
    """Documents that stay in the set."""

    def of(self, *outcomes: str) -> list[FoundDocument]:
        """Those with one of these outcomes."""
        return [found for found in self.documents if found.outcome in outcomes]


class _Duplicates(NamedTuple):
    """What dedup decided of the documents of a part."""

    docs: Docs
    keeper: Docs
    """[N] NO_DOC for none."""
    refused: Docs
    """[N] the one that the guard would not let a kept document go for; NO_DOC for none."""


def search(run: RunRecords, request: Request) -> Found:
    """Look through all parts of a run."""
    return _Search(run, request).found()


class _Search:
    def __init__(self, run: RunRecords, request: Request) -> None:
        self.run, self.request = run, request
        self.why: dict[int, str] = {}
        self.seen_ids: set[str] = set()
        self.ids = pa.array(request.ids, pa.string())
        self.texts = _as_measured(run, request.match)
        self.field = f"keep.{address_field(run)}"

    def found(self) -> Found:
        for part in self._each(self._named):
            for name, (docs, ids) in part.items():
                for doc in docs:
                    self.why.setdefault(doc, name)
                self.seen_ids |= ids
        self._add_copies()
        self._add_synthetic()
        found = Found()
        if self.why and self.run.config.dedup is not None:
            self._add_near(found)
        self._describe(found)
        found.unknown_ids = tuple(name for name in self.request.ids if name not in self.seen_ids)
        if self.request.url_prefixes:
            found.without_addresses = self._without_addresses()
        return found

    def _each(self, look: Callable[[int], T]) -> Iterator[T]:
        """What ``look`` finds in each part, in order; several parts at a time."""
        with ThreadPoolExecutor(cores_of(self.run.config.compute.workers)) as pool:
            yield from pool.map(look, range(len(self.run.parts)))

    def _named(self, number: int) -> dict[str, tuple[list[int], set[str]]]:
        """Documents of a part that the request names, by how; and ids that are there."""
        request, documents = self.request, self.run.parts[number].documents
        with pq.ParquetFile(self.run.store.columns_of(documents["path"])) as file:
            there = set(file.schema_arrow.names)
        columns = ["doc", "id", *(["text"] if self.texts else [])]
        columns += [self.field] if request.url_prefixes and self.field in there else []
        found: dict[str, tuple[list[int], set[str]]] = {name: ([], set()) for name in NAMED}
        for batch in parquet_batches(self.run.store, documents, columns):
            docs, ids = batch.column("doc").to_numpy(), batch.column("id")
            hits = {ID: np.asarray(pc.is_in(ids, value_set=self.ids), bool)}
            found[ID][1].update(ids.filter(pa.array(hits[ID])).to_pylist())
            hits[URL] = begins_so(ids, request.url_prefixes)
            if self.field in columns:
                hits[URL] |= begins_so(batch.column(self.field), request.url_prefixes)
            hits[MATCH] = np.zeros(len(docs), bool)
            for text in self.texts:
                hits[MATCH] |= np.asarray(pc.match_substring(batch.column("text"), text), bool)
            for name, hit in hits.items():
                found[name][0].extend(docs[hit].tolist())
        return found

    def _keys(self, docs: Docs) -> Iterator[tuple[Docs, Keys]]:
        """Keys of the texts of documents (rising), part by part."""
        for number, places in parts_holding(self.run, docs):
            table = read_ipc(self.run.store, self.run.parts[number].signatures)
            row = np.searchsorted(column_to_numpy(table, "doc"), docs[places])
            yield docs[places], np.stack([column_to_numpy(table, n)[row] for n in ("exact_high", "exact_low")], axis=1)

    def _all(self) -> Docs:
        return np.array(sorted(self.why), np.uint64)

    def _add_copies(self) -> None:
        """Every document with the text of one that is found."""
        keys = [found for _, found in self._keys(self._all())]
        if not keys:
            return
        wanted = np.unique(np.concatenate(keys), axis=0)
        wanted = wanted[~is_empty(wanted)]

        def copies(number: int) -> list[int]:
            table = read_ipc(self.run.store, self.run.parts[number].signatures)
            held = np.stack([column_to_numpy(table, name) for name in ("exact_high", "exact_low")], axis=1)
            docs: list[int] = column_to_numpy(table, "doc")[among(held, wanted)].tolist()
            return docs

        for docs in self._each(copies):
            for doc in docs:
                self.why.setdefault(doc, COPY)

    def _add_synthetic(self) -> None:
        """Every text that was made of one that is found, or of one that was made of it, and so on."""
        if not self.run.of("family_links"):
            return
        links = links_of(self.run)
        docs, parents = column_to_numpy(links, "doc"), column_to_numpy(links, "parent")
        while new := set(docs[np.isin(parents, self._all())].tolist()) - self.why.keys():
            self.why.update(dict.fromkeys(new, MADE))
            self._add_copies()

    def _add_near(self, found: Found) -> None:
        """The clusters of what is found: its keepers, and everything that was dropped for these or for itself."""
        mine = self._all()
        own = [_duplicates_of(self.run, self.run.of("decide")[n]) for n, _ in parts_holding(self.run, mine)]
        rows = [np.isin(part.docs, mine) for part in own]
        kept_for = np.concatenate([np.concatenate([p.keeper[r], p.refused[r]]) for p, r in zip(own, rows, strict=True)])
        keepers = np.unique(np.concatenate([mine, kept_for[kept_for != schemas.NO_DOC]]))
        found.elsewhere = tuple(_earlier(self.run, doc) for doc in keepers.tolist() if is_earlier(doc))

        def near(number: int) -> tuple[Docs, NDArray[np.bool_]]:
            part = _duplicates_of(self.run, self.run.of("decide")[number])
            hit = np.isin(part.docs, keepers) | np.isin(part.keeper, keepers) | np.isin(part.refused, keepers)
            hit &= ~np.isin(part.docs, mine)
            return part.docs[hit], (part.keeper == schemas.NO_DOC)[hit]

        both = list(self._each(near))
        if self.request.near:
            for docs, _ in both:
                self.why.update(dict.fromkeys(docs.tolist(), NEAR))
            self._add_copies()
            self._add_synthetic()
            return
        kept = np.concatenate([docs[stays] for docs, stays in both])
        found.near_kept = tuple(name for _, name in self._stays(kept))
        found.near_dropped = sum(int((~stays).sum()) for _, stays in both)

    def _stays(self, docs: Docs) -> Iterator[tuple[int, str]]:
        """Of documents that dedup kept, those that are in the set, with their ids."""
        for number, places in parts_holding(self.run, docs):
            decided = _rows_of(self.run.store, self.run.ledger[number], docs[places], ["doc", "copies"])
            stays = decided.filter(pc.greater(decided.column("copies"), 0)).column("doc").to_numpy()
            yield from ((doc, name) for doc, (name, _) in names_of(self.run, number, stays))

    def _describe(self, found: Found) -> None:
        """All that is told of what goes, and the list that keeps it out."""
        docs, id_keys, texts, nameless = self._all(), list[str](), list[str](), list[str]()
        columns = ["doc", "outcome", "rule", "split", "copies"]
        for number, (some, keys) in zip((n for n, _ in parts_holding(self.run, docs)), self._keys(docs), strict=True):
            decided = _rows_of(self.run.store, self.run.ledger[number], some, columns).to_pylist()
            names, empty, hashes = dict(names_of(self.run, number, some)), is_empty(keys).tolist(), hexadecimal(keys)
            own = [not _is_derived(doc, *names[doc]) for doc in some.tolist()]  # of copies, too: texts can be read anew
            id_keys += _id_keys([names[doc] for doc, mine in zip(some.tolist(), own, strict=True) if mine])
            texts += [key for key, nothing in zip(hashes, empty, strict=True) if not nothing]
            for row, key, nothing, mine in zip(decided, hashes, empty, own, strict=True):
                doc = row.pop("doc")
                name, source = names[doc]
                if nothing and not mine and self.why[doc] != URL:
                    nameless.append(name)
                else:
                    found.documents.append(FoundDocument(doc, name, source, self.why[doc], **row, text=key))
        found.without_text = tuple(nameless)
        found.removals = RemovalList(
            tuple(sorted(set(id_keys))), tuple(sorted(set(texts))), self.request.url_prefixes, self.request.reason
        )
        kept = self.run.totals(self.run.ledger_stage, "outcome").get(schemas.KEPT, 0)
        found.kept_left = kept - len(found.of(schemas.KEPT))

    def _without_addresses(self) -> tuple[str, ...]:
        """Sources whose ids are no addresses and that do not keep the field of addresses."""
        missing = {source.name for source in self.run.config.sources if self.field[5:] not in source.keep}
        for part in self.run.parts if missing else ():
            for batch in parquet_batches(self.run.store, part.documents, ["id", "source"]):
                has = np.asarray(pc.match_substring_regex(batch.column("id"), "^(?i:https?://)"), bool)
                missing -= set(batch.column("source").cast(pa.string()).filter(pa.array(has)).unique().to_pylist())
        return tuple(sorted(missing))


def _as_measured(run: RunRecords, texts: Iterable[str]) -> list[str]:
    """The texts as they are, and as `measure` writes them (quotes, composed letters, case)."""
    given = list(texts)
    if not given:
        return []
    made = Normaliser(run.config.measure.normalise)(pa.array(given, pa.large_string())).texts.to_pylist()
    return sorted({text for text in [*given, *made] if text.strip()})


def _duplicates_of(run: RunRecords, record: Record) -> _Duplicates:
    columns = ["doc", "keeper", "guard_keeper"]
    table = read_parquet(run.store, record.outputs["decisions"].reference(), columns).combine_chunks()
    keeper, refused = (table.column(name).fill_null(int(schemas.NO_DOC)).to_numpy() for name in columns[1:])
    return _Duplicates(column_to_numpy(table, "doc"), keeper, refused)


def _earlier(run: RunRecords, doc: int) -> Json:
    """What is known of a document of an earlier run."""
    known = read_earlier(run, doc)
    return {"id": None if known is None else known.id, "run": run_of(run, doc)}


def _rows_of(store: Any, record: Record, docs: Docs, columns: list[str]) -> pa.Table:
    table = read_parquet(store, record.outputs["decisions"].reference(), columns)
    return table.filter(pc.is_in(table.column("doc"), value_set=pa.array(docs, pa.uint64())))


def _is_derived(doc: int, name: str, source: str) -> bool:
    """Whether an id is made of source, path and row, because the record has none: another record can have it later."""
    _, row = schemas.split_document_number(doc)
    return name.startswith(f"{source}:") and name.endswith(f":{row}")


def _id_keys(named: list[tuple[str, str]]) -> list[str]:
    ids, sources = ([pair[place] for pair in named] for place in (0, 1))
    return hexadecimal(keys_of_ids(pa.array(sources, pa.large_string()), pa.array(ids, pa.large_string())))
