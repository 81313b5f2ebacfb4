"""The books of a finished walk: they close, and the manifest says what is in them."""

from pipeline import schemas
from pipeline.engine.ledger import Balance, close_books
from pipeline.engine.records import Json, content_hash, total, totals_under
from pipeline.label_walk import described_labels, documents_by_label, label_balances
from pipeline.mixture_walk import mixture_balances, mixture_of
from pipeline.row_books import row_balances, row_books
from pipeline.select_books import select_books
from pipeline.shards.manifest import manifest_bytes
from pipeline.stages.shard_set import folder_of, format_entries, written_shards
from pipeline.stages.shards import written_columns
from pipeline.stages.versions import library_versions
from pipeline.walk import Walk


def close_and_describe(walk: Walk) -> bytes:
    """Close the books over all stages and write the manifest's bytes.

    Raises:
        BooksError: a document or token is missing, or one too many.
    """
    config = walk.config
    readable = totals_under(walk.measured, "readable")
    unreadable = totals_under(walk.measured, "unreadable")
    outcomes = totals_under(walk.ledger, "outcome")
    kept = totals_under(walk.decided, "outcome").get(schemas.KEPT, 0)  # what select then leaves out has tokens, too
    copies = total(walk.ledger, "copies")
    tokens = total(walk.shuffled, "tokens")
    balances = [
        Balance(
            "rows of all parts against readable documents",
            sum(readable.values()),
            sum(p.rows for p in walk.parts),
        ),
        Balance("documents filtered against readable", sum(readable.values()), total(walk.filtered, "documents")),
        Balance("outcomes against readable documents", sum(readable.values()), sum(outcomes.values())),
        Balance(
            "duplicates decided against duplicates found",
            total(walk.clustered, "removed"),
            outcomes.get(schemas.EXACT_DUPLICATE, 0) + outcomes.get(schemas.NEAR_DUPLICATE, 0),
        ),
        Balance("documents tokenised against kept", kept, total(walk.tokenised, "documents")),
        Balance("documents shuffled against copies of kept", copies, total(walk.shuffled, "documents")),
        *row_balances(walk),
    ]
    if walk.selected is not None:
        balances.append(
            Balance(
                "semantic duplicates decided against found",
                total(walk.semantic, "removed"),
                outcomes.get(schemas.SEMANTIC_DUPLICATE, 0),
            )
        )
    balances += [*mixture_balances(walk), *label_balances(walk)]
    if walk.sampled and walk.mixed is None:
        balances.append(Balance("tokens shuffled against tokens sampled", total(walk.sampled, "taken_tokens"), tokens))
    for source in config.sources:
        decided = totals_under(walk.ledger, f"source/{source.name}")
        balances.append(
            Balance(f"outcomes of source {source.name}", readable.get(source.name, 0), sum(decided.values()))
        )
    close_books(balances)
    return manifest_bytes(_manifest(walk, {**outcomes, schemas.UNREADABLE: sum(unreadable.values())}))


def removed_lines(walk: Walk) -> dict[str, dict[str, int]]:
    """By source: lines, characters and bytes removed as boilerplate, documents that lost some, documents emptied."""
    if not (walk.config.dedup and walk.config.dedup.lines):
        return {}
    counts = {source.name: totals_under(walk.measured, f"boilerplate/{source.name}") for source in walk.config.sources}
    return {source: numbers for source, numbers in counts.items() if numbers}


def _manifest(walk: Walk, outcomes: dict[str, int]) -> Json:
    config = walk.config
    vocabulary = walk.vocabulary
    assert vocabulary is not None
    described = _described_files(walk)
    main, *others = described
    splits, packed = {}, row_books(walk)
    for name in config.shards.split_names:
        splits[name] = {
            "documents": total(walk.shuffled, f"documents/{name}"),
            "tokens": total(walk.shuffled, f"tokens/{name}"),
            **packed[name],
            **({} if walk.labels is None else {"labels": documents_by_label(walk, name)}),
            **described[main][name],
        }
    unreadable = totals_under(walk.measured, "unreadable")
    removed, mixture = removed_lines(walk), mixture_of(walk)
    sources = {
        source.name: {
            "licence": source.licence,
            "weight": source.weight,
            "outcomes": {
                **totals_under(walk.ledger, f"source/{source.name}"),
                schemas.UNREADABLE: unreadable.get(source.name, 0),
            },
            "tokens": total(walk.tokenised, f"source_tokens/{source.name}"),
            **({"boilerplate": removed[source.name]} if source.name in removed else {}),
            **({"mixture": mixture[source.name]} if source.name in mixture else {}),
        }
        for source in config.sources
    }
    return {
        "shards": {
            "format": main,
            "formats": {name: described[name] for name in others},
            "row": config.shards.row,
            "sequence_tokens": config.shards.sequence_tokens,
            "row_tokens": config.shards.row_tokens,
            "columns": written_columns(config.shards, vocabulary, config.marks, labelled=config.labelled),
            "dtype": walk.id_dtype.name,
            "splits": splits,
        },
        "vocabulary": {
            "name": vocabulary.name,
            "size": vocabulary.size,
            "sha256": vocabulary.sha256,
            "end_of_text": vocabulary.end_of_text,
        },
        **described_labels(walk),
        "books": {"records": sum(outcomes.values()), "outcomes": outcomes},
        "sources": sources,
        **({} if walk.config.select is None else {"select": select_books(walk)}),
        "config": config.model_dump(mode="json", exclude={"run", "compute", "storage"}),
        "versions": library_versions(
            "winnow-corpus", "ftfy", "py3langid", "gigatoken", "tiktoken", "pyarrow", "unicodedata"
        ),
    }


def _described_files(walk: Walk) -> dict[str, dict[str, Json]]:
    """By format and split, the files of the shard set."""
    folder, config = shards_folder(walk), walk.config.shards
    indexes = {(r.notes["format"], r.notes["split"]): r.outputs["index"] for r in walk.shard_indexes}
    return {
        name: {
            split: format_entries(folder, name, written_shards(walk.sharded, number), indexes.get((name, number)))
            for number, split in enumerate(config.split_names)
        }
        for name in config.ordered_formats
    }


def shards_folder(walk: Walk) -> str:
    """Folder of the shard set; named by the shards stage, and by its inputs where there are no shards."""
    if walk.sharded:
        return folder_of(next(iter(walk.sharded[0].outputs.values())).path)
    named = [*walk.config.shards.split_names, *(record.key for record in walk.ledger)]
    return f"shards/{content_hash(named, 16)}"
