"""Passages that stand earlier in what is kept: cut where texts leave; what is left of next to nothing leaves whole.

It comes behind every other step that leaves documents out before tokenising, so that the first copy of a passage, the
one that stays, is in a document that all of them keep.
"""

from winnow.config.config import Config
from winnow.engine.records import Json
from winnow.flow.context import RunContext
from winnow.flow.records import RunRecords
from winnow.flow.step import Balance, ManifestPart, PartWork, Step
from winnow.schemas import KEPT, REPEATED
from winnow.stages.passages import anchors, passages, spans, windows
from winnow.stages.passages.passages import RULE
from winnow.stages.passages.searched import settings_of


def find_passages(context: RunContext) -> None:
    """Anchors, then the windows of those that are repeated, then cuts, then the ledger."""
    config, engine, run = context.config.passages, context.engine, context.run
    assert config is not None
    if not run.parts:
        return
    partition_mb, before = context.sizes.partition_mb, run.decided_before("passages")
    settings = settings_of(config.words, config.gram, searched_sources(context.config), config.max_marks_per_word)

    anchoring, sharing = anchors.stage(settings), anchors.shared_stage()
    units = anchors.plan(run.parts, before, config.words, config.gram, partition_mb)
    anchored = engine.run(anchoring, units)
    listing = engine.listing(anchoring, anchored, "anchors")
    shared = engine.run(sharing, anchors.plan_shared(listing, anchored, units[0].inputs["partitions"]))

    finding, comparing = windows.stage(settings), windows.repeats_stage()
    listing = engine.listing(sharing, shared, "shared")
    units = windows.plan(run.parts, anchored, shared, listing, partition_mb)
    found = engine.run(finding, units)
    listing = engine.listing(finding, found, "windows")
    compared = engine.run(comparing, windows.plan_repeats(listing, found, units[0].inputs["partitions"]))

    cutting = spans.stage(config.words, config.min_words)
    listing = engine.listing(comparing, compared, "repeats")
    cut = engine.run(cutting, spans.plan(run.parts, anchored, found, listing, run.edits_before("passage_spans")))
    stage = passages.stage(config.min_words, [source.name for source in context.config.sources])
    engine.run(stage, passages.plan(before, run.of("filter"), cut))


def searched_sources(config: Config) -> list[str]:
    """Names of the sources that take part, in the order of the config."""
    chosen = config.passages.sources if config.passages else None
    return [
        source.name
        for source in config.sources
        if not source.structure_fields and (chosen is None or source.name in chosen)
    ]


def _stages(_context: RunContext) -> list[str]:
    return [
        "passage_anchors",
        "passage_shared",
        "passage_windows",
        "passage_repeats",
        "passage_spans",
        "passages",
    ]


def _balances(run: RunRecords) -> list[Balance]:
    earlier = run.earlier("passages")
    kept, left = (run.totals(stage, "outcome").get(KEPT, 0) for stage in (earlier, "passages"))
    gone = run.totals("passages", "outcome").get(REPEATED, 0)
    cut = run.total("passage_spans", "cut_words")
    return [
        Balance("documents kept with passages cut against the others", kept - gone, left),
        Balance("documents too short after cuts against repeated", run.total("passage_spans", "short_documents"), gone),
        Balance("documents left out by passages against repeated", run.total("passages", "left_out"), gone),
        Balance("words cut, source by source", cut, sum(run.totals("passage_spans", "cut_words_of").values())),
    ]


def by_source(run: RunRecords) -> dict[str, Json]:
    """Words looked through, documents and words that were cut, documents left out, in the order of the config."""
    words = run.totals("passage_anchors", "words_of")
    cut, documents, short = (
        run.totals("passage_spans", f"{name}_of") for name in ("cut_words", "cut_documents", "short_documents")
    )
    return {
        name: {
            "words": words.get(name, 0),
            "cut_documents": documents.get(name, 0),
            "cut_words": cut.get(name, 0),
            "left_out": short.get(name, 0),
        }
        for name in searched_sources(run.config)
    }


def _manifest(run: RunRecords) -> ManifestPart:
    top = {
        "documents": run.total("passage_anchors", "documents"),
        "markup_documents": run.total("passage_anchors", "markup_documents"),
        "words": run.total("passage_anchors", "words"),
        "bytes": run.total("passage_anchors", "bytes"),
        **{name: run.total("passage_spans", name) for name in _COUNTED},
    }
    sources: dict[str, Json] = {name: {"passages": numbers} for name, numbers in by_source(run).items()}
    return ManifestPart(top={"passages": top}, sources=sources)


_COUNTED = (
    "passages",
    "repeated_words",
    "cut_documents",
    "cut_words",
    "cut_bytes",
    "short_documents",
    "lost_words",
)


def _summary(run: RunRecords) -> list[str]:
    config = run.config.passages
    assert config is not None
    looked, markup, words = (run.total("passage_anchors", name) for name in ("documents", "markup_documents", "words"))
    numbers = {name: run.total("passage_spans", name) for name in _COUNTED}
    lines = [
        f"passages: {numbers['passages']:,} passages of {config.words:,} words and more stand earlier in the "
        f"{looked:,} documents that were compared; {numbers['cut_words']:,} of {words:,} words "
        f"({numbers['cut_words'] / max(1, words):.1%}, {numbers['cut_bytes'] / 1e6:,.1f} MB) are cut out of "
        f"{numbers['cut_documents']:,} documents, and {numbers['short_documents']:,} documents left out, of which "
        f"fewer than {config.min_words:,} words would be left ({numbers['lost_words']:,} words in all)"
    ]
    if markup:
        lines.append(
            f"passages: {markup:,} documents took no part: program text or markup, by more than "
            f"{config.max_marks_per_word:g} marks a word (passages.max_marks_per_word)"
        )
    apart = [source.name for source in run.config.sources if source.structure_fields]
    if apart:
        lines.append(f"passages: conversations and pairs took no part: {', '.join(apart)}")
    if run.index is not None:
        lines.append("passages: compared within this run; what earlier runs of the index kept is not looked through")
    if len(run.config.sources) > 1:
        for name, found in by_source(run).items():
            if found["cut_words"] or found["left_out"]:
                lines.append(
                    f"  passages of source {name}: {found['cut_words']:,} of {found['words']:,} words "
                    f"({found['cut_words'] / max(1, found['words']):.1%}) cut out of {found['cut_documents']:,} "
                    f"documents; {found['left_out']:,} documents left out"
                )
    return lines


def _enabled(config: Config) -> bool:
    return config.passages is not None


STEP = Step(
    name="passages",
    run=find_passages,
    stages=_stages,
    enabled=_enabled,
    part_work=PartWork(files=10, records=4, opens=17),
    ledger="passages",
    outcomes=(REPEATED,),
    reasons={RULE: "has {0:.4g} words left where passages that stand earlier are cut, and needs {1:.4g}"},
    balances=_balances,
    manifest=_manifest,
    summary=_summary,
)
