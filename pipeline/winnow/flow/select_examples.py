"""What select learns from the user's example files: importance toward a target set, and a quality head."""

from winnow.engine.records import Record, Unit, total, totals_under
from winnow.errors import InputError
from winnow.flow.context import RunContext
from winnow.select.encoder_config import EncoderConfig
from winnow.select.step_configs import TARGET, ExamplesConfig, ImportanceConfig, QualityConfig
from winnow.stages.decide.ledger_tables import survivor_units
from winnow.stages.select import importance, quality
from winnow.stages.select.examples import check_faults, has_fault, plan_examples

BATCH_BYTES = 8_000_000
"""Text of examples that is normalised at a time."""


def weigh_importance(context: RunContext, config: ImportanceConfig) -> list[Record]:
    """Features of the target and of the corpus, their ratio, a weight for every kept document.

    Raises:
        InputError: the target has no words, or a file of it cannot be read to its end.
    """
    engine = context.engine
    targeting = importance.target_stage(config, context.config.measure.normalise, BATCH_BYTES)
    target = engine.run(targeting, _plan(context, config.example_sets), recompute_if=has_fault)
    check_faults(target)
    if total(target, "words") == 0:
        read, bad = (sum(totals_under(target, name).values()) for name in ("read", "unreadable"))
        raise InputError(
            f"{TARGET}: no words in {read:,} texts ({bad:,} records cannot be read); name files with "
            "texts that the sample should be like, and in `text` the field that holds them"
        )
    units = survivor_units(context.run.parts, context.run.survivors)
    counting = importance.counts_stage(config.buckets)
    counted = engine.run(counting, units)
    dividing = importance.ratio_stage(config)
    listings = engine.listing(targeting, target, "counts"), engine.listing(counting, counted, "counts")
    ratio = engine.run(dividing, importance.plan_ratio(*listings, counted, config.buckets))
    return engine.run(importance.weights_stage(config.buckets), importance.plan_weights(units, ratio[0]))


def judge_quality(context: RunContext, encoder: EncoderConfig, config: QualityConfig, *, gpus: bool) -> list[Record]:
    """Embed the examples, fit a head, judge every embedded document.

    Raises:
        InputError: too few examples of a class, or a file of them cannot be read to its end.
    """
    engine = context.engine
    reading = quality.examples_stage(context.config.measure.normalise, BATCH_BYTES)
    read = engine.run(reading, _plan(context, config.example_sets), recompute_if=has_fault)
    check_faults(read)
    embedding = quality.embed_stage(encoder, gpus, context.config.storage)
    embedded = engine.run(embedding, quality.plan_embed(read))
    dimensions: int = embedding.settings["dimensions"]
    fitting = quality.fit_stage(config, dimensions)
    listings = engine.listing(reading, read, "examples"), engine.listing(embedding, embedded, "embeddings")
    fitted = engine.run(fitting, quality.plan_fit(*listings, embedded))
    if "refused" in fitted[0].metadata:
        raise InputError(fitted[0].metadata["refused"])
    return engine.run(
        quality.judge_stage(dimensions), quality.plan_judge(context.run.parts, context.run.of("embed"), fitted[0])
    )


def _plan(context: RunContext, sets: dict[str, ExamplesConfig]) -> list[Unit]:
    return plan_examples(sets, context.engine.store, context.sizes.unit_mb * 1_000_000, context.config.written_folders)
