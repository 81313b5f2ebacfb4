"""A removal request to a finished run, from its search to its proof; killed anywhere, the same command goes on.

A request becomes part of the run at the moment at which its list stands in the run folder (``forget/NNN/list.json``):
from then on this command, and every `winnow run`, leaves out what it lists. Nothing is decided anew: the ledger is
written once more without it, and what depends on that. The new set is the current one when ``state.json`` names it;
the proof comes last.
"""

import hashlib
from dataclasses import dataclass, field

import orjson

from winnow.engine.engine import Engine
from winnow.engine.lease import hold_lease
from winnow.engine.records import Json
from winnow.engine.stopping import Stop
from winnow.errors import ConfigError
from winnow.finished.forget.check import check
from winnow.finished.forget.leftovers import files_of_set, remove_files, still_held
from winnow.finished.forget.request import Request
from winnow.finished.forget.search import Found, FoundDocument, search
from winnow.finished.locate import DocumentLocation, locate
from winnow.flow.context import RunContext
from winnow.flow.flow import FLOW, balances, close_books, published_files, run_steps
from winnow.flow.records import RunRecords
from winnow.flow.shards import shards_folder
from winnow.index.folder import Index
from winnow.report.manifest import manifest_of
from winnow.report.reports import write_reports
from winnow.runs.corpus import relist
from winnow.runs.folder import run_folder
from winnow.runs.run import load_run_vocabulary
from winnow.runs.state import load_run, save_state
from winnow.schemas import KEPT, REMOVED_ON_REQUEST
from winnow.stages.removals.lists import FOLDER, FOUND, IN_INDEX, LIST, PROOF, Listed, RemovalList, read_lists, unproven
from winnow.storage.store import Store
from winnow.tokens.vocabulary import Vocabulary

FORMAT = "winnow-removal-1"
_STEPS = FLOW[[step.name for step in FLOW].index("removals") :]


@dataclass
class Forgotten:
    """What came of a request."""

    found: Found | None
    """None where an earlier attempt had found it."""
    unknown_ids: tuple[str, ...] = ()
    number: str = ""
    """Of the request; empty where nothing was written."""
    proof: Json = field(default_factory=dict)
    """Empty where nothing was written."""
    notes: list[str] = field(default_factory=list)
    """What else is to be said."""


def forget(
    folder: str,
    request: Request,
    *,
    dry_run: bool = False,
    all_documents: bool = False,
    delete_old: bool = False,
    executor: str | None = None,
    stop: Stop | None = None,
) -> Forgotten:
    """Make a new shard set of a finished run, without what a request means.

    Args:
        folder: the run folder.
        request: what is asked for.
        dry_run: only find it; nothing is written.
        all_documents: a request that leaves no document is meant so.
        delete_old: the old shard set and its clean text go once the new one is out.
        executor: where the work is done; None as the run had it.
        stop: whether this process is asked to stop.

    Raises:
        ConfigError: no run has finished there; the request finds nothing, or everything.
        LeaseHeldError, StageFailedError, BooksError, StorageError, StoppedError: as a run.
    """
    store = run_folder(folder)
    if dry_run:
        run = load_run(folder)
        looked = search(run, request)
        _refuse(run, looked, all_documents=all_documents)
        return Forgotten(looked, looked.unknown_ids)
    stop = stop or Stop()
    with hold_lease(store) as lease:
        store.remove_drafts()
        run = load_run(folder)
        store = run.store  # which encrypts as the run does
        stop.grace_seconds = run.config.compute.grace_seconds
        number, found = _begin(run, request, all_documents=all_documents)
        told = Forgotten(found, tuple(_read(store, number, FOUND)["unknown_ids"]), number)
        index = _tell_index(run, read_lists(store), told.notes)
        if unproven(store):
            if executor is not None:
                compute = run.config.compute.model_copy(update={"executor": executor})
                run.config = run.config.model_copy(update={"compute": compute})
            engine = Engine(store, run.config.compute, guard=lease.check, stop=stop, committed=run.records)
            _make_set(run, engine, index)
        if (note := relist(store)) is not None:  # also of what an attempt that was killed has made
            told.notes.append(note)
        told.proof = _read(store, number, PROOF)
        if delete_old:
            removed, size = remove_files(run, _read(store, number, FOUND)["old_set"]["files"])
            told.notes.append(f"the old set is deleted: {removed:,} files, {size / 1e6:,.1f} MB")
            told.proof["still_holds"] = still_held(run, _read(store, number, FOUND))
            store.replace(_path(number, PROOF), _json(told.proof))
    return told


def _path(number: str, name: str) -> str:
    return f"{FOLDER}/{number}/{name}"


def _read(store: Store, number: str, name: str) -> Json:
    try:
        found: Json = orjson.loads(store.read(_path(number, name)))
        return found
    except ValueError as error:
        path = store.location(_path(number, name))
        raise ConfigError(f"{path}: damaged ({error}); remove it, and give the request again") from error


def _begin(run: RunRecords, request: Request, *, all_documents: bool) -> tuple[str, Found | None]:
    """The number of the request: that of an equal one that stands there, or a new one, with what it found.

    Raises:
        ConfigError: it finds nothing, or everything.
    """
    lists, store = read_lists(run.store), run.store
    told = [number for number in lists if store.exists(_path(number, FOUND))]
    equal = [number for number in told if _read(store, number, FOUND)["identity"] == request.identity]
    for number in unproven(store):
        if number in equal:
            return number, None  # killed on its way
    found = search(run, request)
    if equal and all(document.outcome == REMOVED_ON_REQUEST for document in found.documents):
        return equal[-1], found
    _refuse(run, found, all_documents=all_documents)
    number = f"{max((int(name) for name in lists if name.isdecimal()), default=0) + 1:03d}"
    store.replace(_path(number, FOUND), _json(_described(run, request, found)))
    store.replace(_path(number, LIST), found.removals.to_json())  # from here on it is part of the run
    return number, found


def _refuse(run: RunRecords, found: Found, *, all_documents: bool) -> None:
    if not found.documents:
        unknown = f"; ids that no document has: {len(found.unknown_ids):,}" if found.unknown_ids else ""
        empty = f"; {len(found.without_text):,} documents that hold no text" if found.without_text else ""
        raise ConfigError(
            f"{run.config.run}: no document fits the request{unknown}{empty}; nothing was done (ids are exact and "
            "case-sensitive, texts are looked for letter by letter; `winnow why ID RUN` tells of one document)",
        )
    if found.kept_left == 0 and found.of(KEPT) and not all_documents:
        raise ConfigError(
            f"{run.config.run}: the request fits all {len(found.of(KEPT)):,} documents of the shard set; nothing was "
            "done. If that is meant, give --all-documents"
        )


def _described(run: RunRecords, request: Request, found: Found) -> Json:
    """What was asked, what was found, and where the old set holds it."""
    kept = [document for document in found.documents if document.copies]
    places = locate(run, [{"doc": d.doc, "split": d.split, "copies": d.copies} for d in kept])
    manifest = run.store.read(f"{run.shards}/manifest.json")
    return {
        "format": FORMAT,
        "identity": request.identity,
        "asked": request.described(),
        "unknown_ids": list(found.unknown_ids),
        "without_text": list(found.without_text),
        "documents": [_document(document, places.get(document.doc, ())) for document in found.documents],
        "near_duplicates": {"kept": list(found.near_kept), "dropped": found.near_dropped},
        "elsewhere": list(found.elsewhere),
        "without_addresses": list(found.without_addresses),
        "old_set": {"folder": run.shards, "manifest_sha256": _sha256(manifest), "files": files_of_set(run)},
    }


def _document(document: FoundDocument, places: tuple[DocumentLocation, ...]) -> Json:
    return {
        "doc": document.doc,
        "id": document.id,
        "source": document.source,
        "found_by": document.why,
        "outcome": document.outcome,
        "text_xxh3_128": document.text,
        "places": [
            {"split": p.split, "copy": p.copy, "rows": _ranges(list(p.rows)), "shards": list(p.shards)} for p in places
        ],
    }


def _ranges(rows: list[int]) -> list[list[int]]:
    """Rows as first and last of those that follow each other."""
    found: list[list[int]] = []
    for row in rows:
        if found and found[-1][1] == row - 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return found


def _tell_index(run: RunRecords, lists: dict[str, RemovalList], notes: list[str]) -> Store | None:
    """Leave the lists in the index that the run belongs to; its store, or None where there is none."""
    path = run.config.dedup.index if run.config.dedup is not None else None
    if path is None:
        return None
    index = Index(path, run.config.storage)
    if index.header() is None:
        notes.append(f"WARNING: the index {path} is gone: later runs are not told of this request")
        return None
    with hold_lease(index.store, "index"):
        for one in lists.values():
            content = one.to_json()
            name = f"{IN_INDEX}/{hashlib.blake2b(content, digest_size=12).hexdigest()}.json"
            if not index.store.exists(name):
                index.store.replace(name, content)
    return index.store


def _make_set(run: RunRecords, engine: Engine, index: Store | None) -> None:
    """The ledger and the shard set without what is listed; checked, published, proven."""
    store, vocabulary = run.store, _vocabulary(run)
    context = RunContext(run, engine, {}, vocabulary, removals=Listed.of(store, index))
    run.ledger_stage = run.decided_stage
    run_steps(context, _STEPS)
    close_books(balances(run))
    run.shards = shards_folder(run)
    manifest = manifest_of(run)
    checked = {}
    for number in unproven(store):
        docs = [document["doc"] for document in _read(store, number, FOUND)["documents"]]
        checked[number] = check(run, engine, vocabulary, docs, manifest, f"{FOLDER}/{number}")
    engine.guard()
    for path, content in published_files(run).items():
        store.replace(path, content)
    store.replace(f"{run.shards}/manifest.json", manifest)
    save_state(run)
    for number, result in checked.items():
        found = _read(store, number, FOUND)
        new = {"folder": run.shards, "manifest_sha256": _sha256(manifest)}
        proof = {**found, "request": number, "new_set": new, "check": result, "still_holds": still_held(run, found)}
        proof["old_set"] = {name: value for name, value in found["old_set"].items() if name != "files"}
        store.replace(_path(number, PROOF), _json(proof))
    write_reports(run)


def _vocabulary(run: RunRecords) -> Vocabulary:
    """The run's.

    Raises:
        ConfigError: it is gone, or another one.
    """
    vocabulary = load_run_vocabulary(run.config)
    if run.vocabulary is not None and vocabulary.sha256 != run.vocabulary.sha256:
        raise ConfigError(
            f"tokenise.encoding: {run.config.tokenise.encoding} is no longer the vocabulary of this run; restore it, "
            "or run `winnow run` again with the new one, and give the request then"
        )
    return vocabulary


def _json(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
