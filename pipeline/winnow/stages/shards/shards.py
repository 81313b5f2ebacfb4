"""Shards: rows of the global token stream, cut from the exchange, shard by shard.

A shard is a range of rows, so a range of stream tokens or of row groups. Its documents stand in one contiguous
stretch of every map file, because each is sorted by the same key: a shard reads what it needs and nothing else, and no
shard waits for its neighbour.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.records import Json, Unit, content_hash
from winnow.engine.stage import Stage, Workspace
from winnow.shards.config import ShardsConfig
from winnow.shards.formats.formats import FORMATS
from winnow.shards.formats.shard_format import ShardId
from winnow.shards.packed_rows import LABEL
from winnow.shards.packing.windows import num_windows
from winnow.shards.preferences import PARTS
from winnow.stages.shards.postprocess import row_extras
from winnow.stages.shards.shard_files import KEY, document_separator, outside_formats, write_rows
from winnow.stages.shards.shard_rows import read_rows
from winnow.stages.versions import library_versions
from winnow.tokens.vocabulary import Vocabulary


def stage(
    config: ShardsConfig,
    vocabulary: Vocabulary,
    marks: str | None = None,
    *,
    labelled: bool = False,
    key_id: str | None = None,
) -> Stage:
    """Reduce side of the shuffle, packing and writing.

    Args:
        config: of the shards.
        vocabulary: of the run.
        marks: what the marks of tokens become, as ``Config.marks`` says.
        labelled: whether documents have labels.
        key_id: of the key that the shards are encrypted with; None leaves them as they are.
    """
    settings = {
        "row_tokens": config.row_tokens,
        "row": config.row_settings,
        "columns": config.row_columns,
        "seed": config.seed if config.packs_by_groups else None,  # elsewhere it is in the order already
        "epoch": config.epoch if config.packs_by_groups else None,
        "formats": config.ordered_formats,
        "compression": config.compression,
        "end_of_text": vocabulary.end_of_text,
        "vocabulary_size": vocabulary.size,
        "joined_by": document_separator(config.row, vocabulary.end_of_text),
        "versions": _versions(config),
        **outside_formats(config.ordered_formats),
        **row_extras(vocabulary, config.row, marks),
        "labelled": labelled,
        **({KEY: key_id} if key_id else {}),
    }
    return Stage("shards", 3, settings, run)


def _versions(config: ShardsConfig) -> dict[str, str]:
    """Versions of what decides the bytes of the formats asked for."""
    found = library_versions("pyarrow")
    for name in config.ordered_formats:
        found |= FORMATS.get(name).versions(config.compression)
    return found


def written_columns(
    config: ShardsConfig, vocabulary: Vocabulary, marks: str | None, *, labelled: bool = False
) -> list[str]:
    """Further columns of the shards, those included that follow from the sources and the vocabulary."""
    extras = row_extras(vocabulary, config.row, marks)
    more = [extras["marks"]] if marks else ["token_type_ids"] if extras["token_type_ids"] else []
    more = list(PARTS) if marks == "preference" else more
    more += [LABEL] if labelled else []
    return [*config.row_columns, *(name for name in more if name not in config.row_columns)]


def plan(
    sharding: Stage,
    config: ShardsConfig,
    section_tokens: list[int],
    id_bytes: int,
    exchange: Json,
    first_tokens: NDArray[np.int64],
    group_rows: list[NDArray[np.int64]] | None = None,
) -> list[Unit]:
    """One unit a shard. The number of shards follows from the tokens of the section and the size asked for: a section
    is a split, or a phase of train, and the shards of a split are counted through its sections.

    Args:
        sharding: the stage.
        config: of the shards.
        section_tokens: stream tokens of each section.
        id_bytes: of a token.
        exchange: listings of the shuffle's files (``rows``), and of where everything lies in them (``extents``).
        first_tokens: of each section, the token at which each partition begins, and the last one ends: int64[S, P + 1].
        group_rows: rows before each group of each section, int64[G + 1]; only for rows that are packed by groups.
    """
    row_tokens, partitions = config.row_tokens, first_tokens.shape[1] - 1
    units: list[Unit] = []
    # A shard set has a folder of its own: another config or other input never writes over a published set. The splits'
    # names are part of it, because what the stages before hold of them is numbers.
    sizes = [config.shard_mb, config.shard_tokens]
    named = [sharding.fingerprint, exchange["rows"]["hash"], exchange["extents"]["hash"], *sizes, *config.split_names]
    shard_set = content_hash([*named, *config.phase_names], 16)
    rows_of, shards_of = [], []
    for section, tokens in enumerate(section_tokens):
        num_rows = _num_rows(config, tokens, None if group_rows is None else group_rows[section])
        stored = tokens if config.row == "concat" else num_rows * row_tokens
        rows_of.append(num_rows)
        shards_of.append(min(-(-stored * id_bytes // config.shard_bytes(id_bytes)), num_rows))
    for section, (split, tokens) in enumerate(zip(config.sections, section_tokens, strict=True)):
        groups = None if group_rows is None else group_rows[section]
        num_rows, shards, name = rows_of[section], shards_of[section], config.split_names[split]
        before = sum(shards_of[other] for other in config.sections_of(split) if other < section)
        in_split = sum(shards_of[other] for other in config.sections_of(split))
        for shard in range(shards):
            first, last = shard * num_rows // shards, (shard + 1) * num_rows // shards
            inputs = {
                "place": [f"shards/{shard_set}", name, before + shard, in_split],
                "split": section,
                "first_row": first,
                "rows": last - first,
                "exchange": exchange,
            }
            if groups is not None:
                first_group = int(np.searchsorted(groups, first, side="right")) - 1
                inputs |= {
                    "partitions": partitions,
                    "groups": len(groups) - 1,
                    "first_group": first_group,
                    "last_group": int(np.searchsorted(groups, last, side="left")),
                    "skipped_rows": first - int(groups[first_group]),
                }
            elif config.row == "concat":
                begin, end = first * row_tokens, min(tokens, last * row_tokens)
                inputs |= {"tokens": end - begin, **_stretch(first_tokens, section, begin, end)}
            else:
                stride = config.stride_tokens
                own_end = tokens if last == num_rows else last * stride
                begin, end = first * stride, max((last - 1) * stride + row_tokens, own_end)
                inputs |= {"windows": num_rows, "own_end": own_end, **_stretch(first_tokens, section, begin, end)}
            units.append(Unit(len(units), inputs, (last - first) * row_tokens * id_bytes))
    return units


def _stretch(first_tokens: NDArray[np.int64], section: int, begin: int, end: int) -> Json:
    """Which partitions hold tokens [begin, end) of a section's stream, and how many of its tokens stand before them."""
    starts = first_tokens[section]
    low = int(np.searchsorted(starts, begin, side="right")) - 1
    high = int(np.searchsorted(starts, end, side="left"))
    at = section * (len(starts) - 1)
    return {"first_partition": at + low, "last_partition": at + high, "tokens_before": int(starts[low])}


def _num_rows(config: ShardsConfig, tokens: int, groups: NDArray[np.int64] | None) -> int:
    """Rows of a split."""
    if groups is not None:
        return int(groups[-1])
    if config.row == "concat":
        return -(-tokens // config.row_tokens)
    return int(num_windows(np.array([tokens]), config.row_tokens, config.stride_tokens)[0])


def run(unit: Unit, workspace: Workspace) -> None:
    """Read the shard's stretch of every map file, put it in order, pack it and write it."""
    inputs = unit.inputs
    with workspace.timed("pack"):
        packed = read_rows(workspace, inputs)
    write_rows(workspace, ShardId(*inputs["place"]), packed)
    workspace.metadata["split"] = inputs["split"]  # the section
    workspace.count("rows", len(packed.rows))
    workspace.count("tokens", packed.pieces.sum(dtype=np.int64))
    workspace.count("pieces", len(packed.pieces))
