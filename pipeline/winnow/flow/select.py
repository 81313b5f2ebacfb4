"""The stages of select, in order: from kept documents to those that go into the shards."""

import orjson

from winnow.config.config import Config
from winnow.dedup.config import DedupConfig
from winnow.engine.records import Json, Record
from winnow.engine.stage import Stage
from winnow.errors import CentresError, ConfigError, ModelFolderError
from winnow.flow.components import find_components, rows_of_rounds, stages_of_components
from winnow.flow.context import RunContext
from winnow.flow.select_accounting import selection_balances, selection_lines, selection_manifest
from winnow.flow.select_examples import judge_quality, weigh_importance
from winnow.flow.select_sample import PASSED, find_sample, stages_of_sample
from winnow.flow.step import Step
from winnow.schemas import SAMPLED_OUT, SEMANTIC_DUPLICATE
from winnow.select.config import SelectConfig
from winnow.select.encoder import encoder_settings
from winnow.select.encoder_config import HASHING
from winnow.select.model_folder import inspect_model, model_folder
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.dedup.keepers import part_starts
from winnow.stages.select import clusters, embed, scores, select, semantic
from winnow.storage.node_copy import with_user_addresses


def select_documents(context: RunContext) -> None:
    """Embed, cluster, find semantic duplicates, judge, weigh, sample; writes the ledger anew."""
    engine, run, config = context.engine, context.run, context.config.select
    assert config is not None
    sources = [source.name for source in context.config.sources]
    assigned, found, judged, weighed = None, None, None, None
    if config.needs_clusters:
        assigned = assign(context, config)
        if config.semantic is not None:
            found = _semantic_duplicates(context, config, assigned)
    elif config.needs_vectors:
        embedding = embed.stage(config.encoder, asks_for_gpus(context.config), context.config.storage)
        engine.run(embedding, survivor_units(run.parts, run.survivors))
    if config.quality is not None:
        judged = judge_quality(context, config.encoder, config.quality, gpus=asks_for_gpus(context.config))
    if config.importance is not None:
        weighed = weigh_importance(context, config.importance)
    decided, filtered = run.survivors, run.of("filter")
    scoring = scores.scores_stage(context.config.shards.cutting_rows)
    units = scores.plan_scores(run.of("tokenise"), decided, filtered, assigned, found, weighed, judged)
    scored = engine.run(scoring, units)
    sampled = find_sample(context, config, scored) if config.leaves_out_by_score and run.parts else None
    engine.run(select.stage(sources), select.plan(decided, filtered, found, sampled))
    context.release(("assign", "members"), ("semantic_links", "edges"), *rows_of_rounds("semantic_"))
    context.release(("semantic_candidates", "candidates"), *PASSED)


def check_encoder(config: Config) -> None:
    """Look whether the encoder and stored centres can be used, before any work is done.

    Raises:
        ConfigError: they cannot.
    """
    if config.select is None or not config.select.needs_vectors:
        return
    encoder, _ = _encoder_and_centres(config, config.select)
    if config.select.encoder.model != HASHING:
        from winnow.select.transformer import check_model  # noqa: PLC0415 - not needed for hashing

        model = embed.on_this_node(config.select.encoder, config.storage).model
        try:
            check_model(model_folder(model), encoder["config"]["precision"])
        except ModelFolderError as error:
            raise ConfigError(with_user_addresses(error, config.storage, config.select.encoder.model)) from error


def _encoder_and_centres(config: Config, select: SelectConfig) -> tuple[Json, Stage]:
    """Settings of the encoder, and the stage that brings the centres.

    Raises:
        ConfigError: the model cannot be used, or stored centres are not for it.
    """
    try:
        encoder = encoder_settings(embed.on_this_node(select.encoder, config.storage), asks_for_gpus(config))
        return encoder, clusters.centres_stage(select.clusters, encoder, config.storage)
    except (ModelFolderError, CentresError) as error:
        message = with_user_addresses(error, config.storage, select.encoder.model, select.clusters.centres)
        raise ConfigError(message) from error


def encoder_files(config: Config) -> dict[str, str]:
    """Hashes of the files of the encoder's model; none where no document is embedded, or no model does it.

    Raises:
        ConfigError: the model cannot be used.
    """
    if config.select is None or not config.select.needs_vectors or config.select.encoder.model == HASHING:
        return {}
    model = config.select.encoder.model
    try:
        return inspect_model(model_folder(embed.on_this_node(config.select.encoder, config.storage).model)).hashes
    except ModelFolderError as error:
        raise ConfigError(with_user_addresses(error, config.storage, model)) from error


def asks_for_gpus(config: Config) -> bool:
    """Whether the config says how many GPUs; then half precision is the encoder's default."""
    return config.compute.gpus not in ("auto", 0)


def assign(context: RunContext, config: SelectConfig) -> list[Record]:
    """Embed, fit centres, find each document's cluster; one pass over the vectors where centres are there before."""
    engine, gpus, partition_mb = context.engine, asks_for_gpus(context.config), context.sizes.partition_mb
    encoder, centring = _encoder_and_centres(context.config, config)
    dimensions: int = encoder["dimensions"]
    threshold = config.semantic.threshold if config.semantic else None
    neighbours = config.semantic.neighbours if config.semantic else 0
    assigning = clusters.assign_stage(dimensions, threshold, neighbours)
    documents = sum(record.outputs["survivors"].rows for record in context.run.survivors)

    def partitions(centres: Record) -> int:
        there = centres.counters["clusters"]
        return clusters.assign_partitions(documents, there, dimensions, neighbours, partition_mb)

    units = survivor_units(context.run.parts, context.run.survivors)
    if config.clusters.centres is not None:
        (centres,) = engine.run(centring, clusters.plan_given_centres())
        settings = {"dimensions": dimensions, "threshold": threshold, "neighbours": neighbours}
        following = {
            "settings": settings,
            "centres": orjson.loads(centres.to_json()),
            "partitions": partitions(centres),
        }
        embedded = engine.run(embed.stage(config.encoder, gpus, context.config.storage, following), units)
    else:
        embedding = embed.stage(config.encoder, gpus, context.config.storage)
        embedded = engine.run(embedding, units)
        listing = engine.listing(embedding, embedded, "embeddings")
        (centres,) = engine.run(centring, clusters.plan_fit(listing, embedded, config.clusters, dimensions))
    count = partitions(centres)
    planned = [
        clusters.assign_unit(part.number, part.documents, record.outputs["embeddings"], centres, count)
        for part, record in zip(context.run.parts, embedded, strict=True)
    ]
    return engine.run(assigning, planned)


def _semantic_duplicates(context: RunContext, config: SelectConfig, assigned: list[Record]) -> Json | None:
    """Links, components, candidates, keepers. Returns where the fates of removed documents are listed."""
    if not context.run.parts:
        return None
    assert config.semantic is not None
    engine, partition_mb = context.engine, context.sizes.partition_mb
    threshold, neighbours = config.semantic.threshold, config.semantic.neighbours
    encoder = embed.on_this_node(config.encoder, context.config.storage)
    dimensions = encoder_settings(encoder, asks_for_gpus(context.config))["dimensions"]
    members = engine.listing(clusters.assign_stage(dimensions, threshold, neighbours), assigned, "members")
    linking = semantic.links_stage(threshold)
    partitions = assigned[0].metadata["partitions"]
    linked = engine.run(linking, semantic.plan_links(members, assigned, partitions, dimensions))
    connected = find_components(context, linking, linked, prefix="semantic_")
    gathering = semantic.candidates_stage(dimensions)
    run = context.run
    units = semantic.plan_candidates(run.parts, run.of("embed"), run.of("filter"), connected, dimensions, partition_mb)
    gathered = engine.run(gathering, units)
    keep = (context.config.dedup or DedupConfig()).keep
    choosing = semantic.keepers_stage(threshold, keep, context.config.synthetic_sources)
    starts = engine.publish_list(choosing, "starts", part_starts(context.run.parts))
    candidates = engine.listing(gathering, gathered, "candidates")
    partitions = units[0].inputs["partitions"]
    planned = semantic.plan_keepers(candidates, gathered, partitions, starts, dimensions)
    found = engine.run(choosing, planned)
    return engine.listing(choosing, found, "member_decisions")


def _stages(context: RunContext) -> list[str]:
    config = context.config.select
    assert config is not None
    groups = {
        ("embed",): config.needs_vectors,
        ("centres", "assign"): config.needs_clusters,
        (
            "semantic_links",
            *stages_of_components(context, "semantic_"),
            "semantic_candidates",
            "semantic_keepers",
        ): config.semantic is not None,
        ("quality_examples", "quality_embed", "quality_fit", "quality"): config.quality is not None,
        ("importance_target", "importance_counts", "importance_ratio", "importance"): config.importance is not None,
        ("scores",): True,
        tuple(stages_of_sample(config)): config.leaves_out_by_score,
        ("select",): True,
    }
    return [name for names, there in groups.items() if there for name in names]


def _enabled(config: Config) -> bool:
    return config.select is not None


_BY_PLACE = "place {0:.6g}, the sample ends at {1:.6g}"

STEP = Step(
    name="select",
    run=select_documents,
    stages=_stages,
    enabled=_enabled,
    ledger="select",
    outcomes=(SEMANTIC_DUPLICATE, SAMPLED_OUT),
    reasons={
        "select.budget": _BY_PLACE,
        "select.quality": "quality {0:.6g}, threshold {1:.6g}",
        "select.prototypes": "cosine with its cluster's centre {0:.6g}, those from {1:.6g} on are dropped",
    },
    balances=selection_balances,
    manifest=selection_manifest,
    summary=selection_lines,
)
