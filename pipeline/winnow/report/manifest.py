"""The books of a finished walk: they close, and the manifest says what is in them."""

from winnow import schemas
from winnow.engine.records import Json, content_hash, total, totals_under
from winnow.flow.context import RunContext
from winnow.flow.labels import described_labels, documents_by_label, label_balances
from winnow.flow.mixture import mixture_balances, mixture_of
from winnow.report.balances import Balance, close_books
from winnow.report.operators import operator_balances, operator_counts
from winnow.report.row_accounting import row_accounting, row_balances
from winnow.report.selection_report import selection_report
from winnow.shards.manifest import manifest_bytes
from winnow.stages.shards.shard_set import folder_of, format_entries, written_shards
from winnow.stages.shards.shards import written_columns
from winnow.stages.versions import library_versions


def close_and_describe(context: RunContext) -> bytes:
    """Close the books over all stages and write the manifest's bytes.

    Raises:
        BooksError: a document or token is missing, or one too many.
    """
    config = context.config
    readable = totals_under(context.measured, "readable")
    unreadable = totals_under(context.measured, "unreadable")
    outcomes = totals_under(context.ledger, "outcome")
    kept = totals_under(context.decided, "outcome").get(schemas.KEPT, 0)  # what select then leaves out has tokens, too
    copies = total(context.ledger, "copies")
    tokens = total(context.shuffled, "tokens")
    balances = [
        Balance(
            "rows of all parts against readable documents",
            sum(readable.values()),
            sum(p.rows for p in context.parts),
        ),
        Balance("documents filtered against readable", sum(readable.values()), total(context.filtered, "documents")),
        Balance("outcomes against readable documents", sum(readable.values()), sum(outcomes.values())),
        Balance(
            "duplicates decided against duplicates found",
            total(context.clustered, "removed"),
            outcomes.get(schemas.EXACT_DUPLICATE, 0) + outcomes.get(schemas.NEAR_DUPLICATE, 0),
        ),
        Balance("documents tokenised against kept", kept, total(context.tokenised, "documents")),
        Balance("documents shuffled against copies of kept", copies, total(context.shuffled, "documents")),
        *row_balances(context),
    ]
    if context.selected is not None:
        balances.append(
            Balance(
                "semantic duplicates decided against found",
                total(context.semantic, "removed"),
                outcomes.get(schemas.SEMANTIC_DUPLICATE, 0),
            )
        )
    balances += [*mixture_balances(context), *label_balances(context), *operator_balances(config, context.measured)]
    if context.sampled and context.mixed is None:
        balances.append(
            Balance("tokens shuffled against tokens sampled", total(context.sampled, "taken_tokens"), tokens)
        )
    for source in config.sources:
        decided = totals_under(context.ledger, f"source/{source.name}")
        balances.append(
            Balance(f"outcomes of source {source.name}", readable.get(source.name, 0), sum(decided.values()))
        )
    close_books(balances)
    return manifest_bytes(_manifest(context, {**outcomes, schemas.UNREADABLE: sum(unreadable.values())}))


def removed_lines(context: RunContext) -> dict[str, dict[str, int]]:
    """By source: lines, characters and bytes removed as boilerplate, documents that lost some, documents emptied."""
    if not (context.config.dedup and context.config.dedup.lines):
        return {}
    counts = {
        source.name: totals_under(context.measured, f"boilerplate/{source.name}") for source in context.config.sources
    }
    return {source: numbers for source, numbers in counts.items() if numbers}


def _manifest(context: RunContext, outcomes: dict[str, int]) -> Json:
    config = context.config
    vocabulary = context.vocabulary
    assert vocabulary is not None
    described = _described_files(context)
    main, *others = described
    splits, packed = {}, row_accounting(context)
    for name in config.shards.split_names:
        splits[name] = {
            "documents": total(context.shuffled, f"documents/{name}"),
            "tokens": total(context.shuffled, f"tokens/{name}"),
            **packed[name],
            **({} if context.labels is None else {"labels": documents_by_label(context, name)}),
            **described[main][name],
        }
    unreadable = totals_under(context.measured, "unreadable")
    removed, mixture = removed_lines(context), mixture_of(context)
    operators = operator_counts(config, context.measured)
    sources = {
        source.name: {
            "licence": source.licence,
            "weight": source.weight,
            "outcomes": {
                **totals_under(context.ledger, f"source/{source.name}"),
                schemas.UNREADABLE: unreadable.get(source.name, 0),
            },
            "tokens": total(context.tokenised, f"source_tokens/{source.name}"),
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
            "dtype": context.id_dtype.name,
            "splits": splits,
        },
        "vocabulary": {
            "name": vocabulary.name,
            "size": vocabulary.size,
            "sha256": vocabulary.sha256,
            "end_of_text": vocabulary.end_of_text,
        },
        **described_labels(context),
        "books": {"records": sum(outcomes.values()), "outcomes": outcomes},
        "sources": sources,
        **({"operators": operators} if operators else {}),
        **({} if context.config.select is None else {"select": selection_report(context)}),
        "config": config.model_dump(mode="json", exclude={"run", "compute", "storage"}),
        "versions": library_versions(
            "winnow-corpus", "ftfy", "py3langid", "gigatoken", "tiktoken", "pyarrow", "unicodedata"
        ),
    }


def _described_files(context: RunContext) -> dict[str, dict[str, Json]]:
    """By format and split, the files of the shard set."""
    folder, config = shards_folder(context), context.config.shards
    indexes = {(r.metadata["format"], r.metadata["split"]): r.outputs["index"] for r in context.shard_indexes}
    return {
        name: {
            split: format_entries(folder, name, written_shards(context.sharded, number), indexes.get((name, number)))
            for number, split in enumerate(config.split_names)
        }
        for name in config.ordered_formats
    }


def shards_folder(context: RunContext) -> str:
    """Folder of the shard set; named by the shards stage, and by its inputs where there are no shards."""
    if context.sharded:
        return folder_of(next(iter(context.sharded[0].outputs.values())).path)
    named = [*context.config.shards.split_names, *(record.key for record in context.ledger)]
    return f"shards/{content_hash(named, 16)}"
