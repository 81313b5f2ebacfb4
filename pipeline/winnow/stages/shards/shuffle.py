"""Shuffle: every kept document gets its place in the global order, and goes to the partition of that place."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.exchange import Columns, partition_of_hash, partitions_for
from winnow.engine.records import Json, Record, Unit, total
from winnow.engine.stage import Stage, Workspace
from winnow.shards.order import order_keys
from winnow.shards.packing.narrow import NARROW, narrowed
from winnow.shards.packing.stream import gather_documents
from winnow.stages.ingest.labels import labels_of, read_labels
from winnow.stages.tables import column_to_numpy, exchange_output, read_ipc, read_parquet


def stage(seed: int, epoch: int, splits: list[str], phases: list[str] | None = None) -> Stage:
    """Map side of the global shuffle; ``phases`` are those of split train, where it has some."""
    settings = {"seed": seed, "epoch": epoch, "splits": splits, **({"phases": phases} if phases else {})}
    return Stage("shuffle", 2, settings, run)


def plan(
    tokenised: list[Record],
    decided: list[Record],
    id_bytes: int,
    partition_mb: int,
    labelled: list[Json] | None = None,
    *,
    phases: list[Record] | None = None,
) -> list[Unit]:
    """One unit a part. Partitions (in each section: a split, or a phase) follow from the number of tokens alone.

    ``labelled`` says for each part where its documents and the labels of the run are (``documents``, ``labels``);
    ``phases`` are the records that tell how many copies are in each phase.
    """
    partitions = partitions_for(total(tokenised, "tokens") * id_bytes, partition_mb)
    return [
        Unit(
            tokens.number,
            {
                "tokens": tokens.outputs["tokens"].reference(),
                "decisions": decisions.outputs["decisions"].reference(),
                "partitions": partitions,
                **({"phases": phases[number].outputs["phases"].reference()} if phases else {}),
                **more,
            },
            tokens.outputs["tokens"].bytes,
        )
        for number, (tokens, decisions, more) in enumerate(
            zip(tokenised, decided, labelled or [{}] * len(tokenised), strict=True)
        )
    ]


def run(unit: Unit, workspace: Workspace) -> None:
    """Sort the part's documents (and their copies) into the global order, split by split."""
    _write_in_order(unit, workspace)
    workspace.store.drop_page_cache(unit.inputs["tokens"]["path"])  # nothing maps it any more


def _write_in_order(unit: Unit, workspace: Workspace) -> None:
    store, settings, partitions = workspace.store, workspace.settings, unit.inputs["partitions"]
    with workspace.timed("read"):
        tokens = read_ipc(store, unit.inputs["tokens"]).combine_chunks()
        decisions = read_parquet(store, unit.inputs["decisions"], ["doc", "split", "copies"]).combine_chunks()
    docs = column_to_numpy(tokens, "doc")
    row = np.searchsorted(column_to_numpy(decisions, "doc"), docs)
    split_column = decisions.column("split").combine_chunks()
    codes = np.array([settings["splits"].index(name) for name in split_column.dictionary.to_pylist()] or [0])
    split = codes[split_column.indices.fill_null(0).to_numpy()[row]]
    copies = column_to_numpy(decisions, "copies")[row].astype(np.int64)

    with workspace.timed("order"):
        place = np.repeat(np.arange(len(docs)), copies)  # one entry a (document, copy)
        copy = np.arange(len(place)) - np.repeat(np.cumsum(copies) - copies, copies)
        section, first, among = _sections(unit, workspace, docs, split, copies, place, copy)
        high, low = order_keys(
            docs[place],
            (copy - first).astype(np.uint64),
            among.astype(np.uint64),
            settings["seed"],
            settings["epoch"],
            first.astype(np.uint64),
        )
        order = np.lexsort((copy, docs[place], low, high, section))
        place, copy, high, low, section = place[order], copy[order], high[order], low[order], section[order]

    ids = tokens.column("ids").combine_chunks()
    if isinstance(ids, pa.ChunkedArray):  # an empty table keeps a chunked column
        ids = pa.concat_arrays(ids.chunks) if ids.num_chunks else pa.array([], ids.type)
    starts = ids.offsets.to_numpy()
    flat = ids.values.to_numpy()
    lengths = np.diff(starts)[place]
    columns: Columns = {
        "key_high": high,
        "key_low": low,
        "doc": docs[place],
        "copy": copy.astype(np.uint16),
        "length": lengths.astype(np.uint32),
    }
    if "end_mark" in tokens.column_names:
        columns["end_mark"] = column_to_numpy(tokens, "end_mark")[place]
    if "labels" in unit.inputs:
        known = read_labels(store, unit.inputs["documents"], unit.inputs["labels"])
        columns["label"] = labels_of(docs, known)[place]
    partition = section * partitions + partition_of_hash(high, partitions)

    with workspace.timed("write"):
        payload = gather_documents(flat, starts[:-1][place], lengths)
        phases = settings.get("phases", [])
        num_partitions = partitions * (len(settings["splits"]) + max(0, len(phases) - 1))
        narrow = flat.dtype == np.uint32 and "end_mark" not in columns  # with marks, all bits of an id are taken
        stored = narrowed(payload) if narrow else payload
        exchange_output(workspace, "rows", partition, columns, num_partitions, stored, NARROW if narrow else flat.dtype)
    workspace.count("documents", len(place))
    workspace.count("tokens", int(lengths.sum()) + len(place))
    for index, name in enumerate(phases):
        workspace.count(f"phase_documents/{name}", (section == index).sum())
        workspace.count(f"phase_tokens/{name}", int(lengths[section == index].sum()) + int((section == index).sum()))
    for index, name in enumerate(settings["splits"]):
        chosen = split[place] == index
        workspace.count(f"documents/{name}", chosen.sum())
        workspace.count(f"tokens/{name}", int(lengths[chosen].sum()) + int(chosen.sum()))
        if "label" in columns:
            found, documents = np.unique(columns["label"][chosen], return_counts=True)
            for label, number in zip(found.tolist(), documents.tolist(), strict=True):
                workspace.count(f"labels/{name}/{label}", number)


def _sections(
    unit: Unit,
    workspace: Workspace,
    docs: NDArray[np.uint64],
    split: NDArray[np.int64],
    copies: NDArray[np.int64],
    place: NDArray[np.int64],
    copy: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each copy of ``docs[place]`` its section, the document's first copy there, and how many are there."""
    names = workspace.settings.get("phases")
    if not names:
        return split[place], np.zeros(len(place), np.int64), copies[place]
    told = read_ipc(workspace.store, unit.inputs["phases"])
    in_phases = column_to_numpy(told, "doc")
    stay = np.isin(in_phases, docs)  # not what was removed since
    each = np.zeros((len(docs), len(names)), np.int64)
    each[np.searchsorted(docs, in_phases[stay])] = np.stack(
        [column_to_numpy(told, f"copies{n}")[stay] for n in range(len(names))], axis=1
    )
    each[split > 0, 0] = copies[split > 0]
    ends = np.cumsum(each, axis=1)
    phase = (copy[:, None] >= ends[place]).sum(axis=1)
    first = ends[place, phase] - each[place, phase]
    section = np.where(split[place] > 0, split[place] + len(names) - 1, phase)
    return section, first, each[place, phase]
