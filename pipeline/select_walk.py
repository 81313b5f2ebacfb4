"""The stages of select, in order: from kept documents to those that go into the shards."""

from typing import TYPE_CHECKING

from pipeline.engine.records import Json, Record
from pipeline.select.config import SelectConfig
from pipeline.select.encoder import encoder_settings
from pipeline.stages import clusters, components, embed, scores, select, semantic
from pipeline.stages.keepers import DedupConfig, part_starts

if TYPE_CHECKING:
    from pipeline.walk import Walk
from pipeline.stages.ledger_tables import survivor_units


def select_documents(walk: "Walk", config: SelectConfig) -> list[Record]:
    """Embed, cluster, find semantic duplicates, sample; returns the records of the final ledger."""
    engine = walk.engine
    sources = [source.name for source in walk.config.sources]
    assigned, fates = None, None
    if config.needs_vectors:
        assigned = assign(walk, config)
        if config.semantic is not None:
            fates = _semantic_duplicates(walk, config, assigned)
    scoring = scores.scores_stage()
    walk.scored = engine.run(scoring, scores.plan_scores(walk.tokenised, walk.decided, walk.filtered, assigned, fates))
    drops = None
    if config.sample is not None and walk.parts:
        sampling = scores.sample_stage(config.sample, sources)
        listing = engine.listing(scoring, walk.scored, "scores")
        starts = engine.publish_list(sampling, "starts", part_starts(walk.parts))
        walk.sampled = engine.run(sampling, scores.plan_sample(listing, walk.scored, starts))
        drops = engine.listing(sampling, walk.sampled, "drops")
    return engine.run(select.stage(sources), select.plan(walk.decided, walk.filtered, fates, drops))


def assign(walk: "Walk", config: SelectConfig) -> list[Record]:
    """Embed, fit centres, find each document's cluster."""
    engine = walk.engine
    gpus = walk.config.compute.gpus not in ("auto", 0)
    dimensions = encoder_settings(config.encoder, gpus)["dimensions"]
    centring = clusters.centres_stage(config.clusters, dimensions)  # looks at stored centres before hours of work
    embedding = embed.stage(config.encoder, gpus)
    walk.embedded = engine.run(embedding, survivor_units(walk.parts, walk.decided))
    listing = engine.listing(embedding, walk.embedded, "embeddings")
    centred = engine.run(centring, clusters.plan_centres(listing, walk.embedded, config.clusters, dimensions))
    threshold = config.semantic.threshold if config.semantic else None
    neighbours = config.semantic.neighbours if config.semantic else 0
    assigning = clusters.assign_stage(dimensions, threshold, neighbours)
    units = clusters.plan_assign(walk.embedded, centred, dimensions, neighbours, walk.config.compute.partition_mb)
    return engine.run(assigning, units)


def _semantic_duplicates(walk: "Walk", config: SelectConfig, assigned: list[Record]) -> Json | None:
    """Links, components, candidates, keepers. Returns where the fates of removed documents are listed."""
    if not walk.parts:
        return None
    assert config.semantic is not None
    engine, partition_mb = walk.engine, walk.config.compute.partition_mb
    threshold, neighbours = config.semantic.threshold, config.semantic.neighbours
    dimensions = encoder_settings(config.encoder, walk.config.compute.gpus not in ("auto", 0))["dimensions"]
    members = engine.listing(clusters.assign_stage(dimensions, threshold, neighbours), assigned, "members")
    linking = semantic.links_stage(threshold)
    partitions = assigned[0].notes["partitions"]
    linked = engine.run(linking, semantic.plan_links(members, assigned, partitions, dimensions))
    connecting = components.components_stage("semantic_components")
    edges = engine.listing(linking, linked, "edges")
    connected = engine.run(connecting, components.plan_components(edges, linked))
    gathering = semantic.candidates_stage(dimensions)
    units = semantic.plan_candidates(walk.embedded, walk.filtered, connected, dimensions, partition_mb)
    gathered = engine.run(gathering, units)
    keep = (walk.config.dedup or DedupConfig()).keep
    choosing = semantic.keepers_stage(threshold, keep)
    starts = engine.publish_list(choosing, "starts", part_starts(walk.parts))
    candidates = engine.listing(gathering, gathered, "candidates")
    partitions = units[0].description["partitions"]
    planned = semantic.plan_keepers(candidates, gathered, partitions, starts, dimensions)
    walk.semantic = engine.run(choosing, planned)
    return engine.listing(choosing, walk.semantic, "fates")
