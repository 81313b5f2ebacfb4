"""The page's sections, but for the one on rules: each a function of the run's records and of the sample."""

from collections import Counter

import numpy as np

from winnow import schemas
from winnow.flow.flow import summary_lines
from winnow.flow.records import RunRecords
from winnow.flow.row_accounting import row_accounting
from winnow.looking.texts import shown_texts
from winnow.report.differences import differences
from winnow.report.languages import outcomes_by_language
from winnow.report.manifest import outcomes_of
from winnow.report.outcomes import outcomes_by_source
from winnow.report.page import charts
from winnow.report.page.fates import Fates, funnel, tokens_by_fate
from winnow.report.page.parts import Figure, Pair, Part, table
from winnow.report.page.sample import Sample

MOST_NAMES = 20
"""Sources or languages in a chart; a table has more."""
TABLE_ROWS = 60
PAIRS = 5
PAIR_CHARACTERS = 1200


def sources_section(run: RunRecords, sample: Sample, *, draw: bool) -> Part:
    """What became of the records of each source, in records and in tokens."""
    by_source, outcomes = outcomes_by_source(run), outcomes_of(run)
    there = [name for name in schemas.OUTCOMES if outcomes.get(name)]
    read = sum(outcomes.values())
    tokens = tokens_by_fate(run, sample, by_source)
    all_tokens = {kind: sum(of.get(kind, 0) for of in tokens.values()) for kind in there}
    whole = sum(all_tokens.values())
    rows = []
    for source in run.config.sources:
        counts = by_source[source.name]
        total, counted = sum(counts.values()), run.total("tokenise", f"source_tokens/{source.name}")
        kept = counts.get(schemas.KEPT, 0)
        share = f"{kept / total:.1%}" if total else ""
        cells = [source.name, source.licence or "not stated", f"{total:,}", f"{kept:,}", share, f"{counted:,}"]
        rows.append([*cells, *(f"{counts.get(name, 0):,}" for name in there if name != schemas.KEPT)])
    part = Part(
        "What came in, and what became of it",
        "Every record ends with exactly one outcome. Tokens of what was dropped are estimated from its characters and "
        "from the tokens a character that its source's kept documents have.",
        f"winnow dropped {run.config.run} --sample 20",
        tables=[
            table(
                ["outcome", "records", "share", "tokens (estimated)", "share of these"],
                [
                    [
                        name,
                        f"{outcomes[name]:,}",
                        f"{outcomes[name] / read:.2%}",
                        f"{all_tokens[name]:,}",
                        f"{all_tokens[name] / whole:.2%}" if whole else "",
                    ]
                    for name in there
                ],
            ),
            table(
                ["source", "licence", "records", "kept", "of them", "tokens", *(n for n in there if n != schemas.KEPT)],
                rows[:TABLE_ROWS],
                texts=2,
                note=_left_out(len(rows), "sources", "the manifest has all"),
            ),
        ],
    )
    if draw and read:
        part.figures = _fates(by_source, tokens, there)
    return part


def _fates(by_source: Fates, tokens: Fates, there: list[str]) -> list[Figure]:
    """Funnels and shares, of records and of tokens."""
    figures = []
    largest = sorted(by_source, key=lambda name: -sum(by_source[name].values()))[:MOST_NAMES]
    for what, fates in (("records", by_source), ("tokens", tokens)):
        if not any(map(sum, (of.values() for of in fates.values()))):
            continue
        about = "" if what == "records" else " (estimated)"
        summed = {kind: sum(of.get(kind, 0) for of in fates.values()) for kind in there}
        steps = [(step, kind, amount) for step, left, ended in funnel(summed) for kind, amount in
                 (("goes on", left), ("ends here", ended))]  # fmt: skip
        svg = charts.stacked_bars(steps, ["goes on", "ends here"], f"{what}{about}", share=False)
        figures.append(Figure(f"What is left after each step, in {what}{about}.", svg))
        shares = [("all", kind, float(summed[kind])) for kind in there]
        shares += [(name, kind, fates[name].get(kind, 0)) for name in largest for kind in there if len(by_source) > 1]
        svg = charts.stacked_bars(shares, there, f"share of {what}{about}", share=True)
        figures.append(Figure(f"Shares of {what}{about} by outcome, of each source.", svg))
    return figures


def languages_section(run: RunRecords, *, draw: bool) -> Part | None:
    """Languages found, and what became of the documents of each."""
    outcomes = outcomes_by_language(run)
    if not outcomes:
        return None
    there = [name for name in schemas.LEDGER_OUTCOMES if any(of[name] for of in outcomes.values())]
    shown = dict(list(outcomes.items())[:MOST_NAMES])
    if rest := list(outcomes.values())[MOST_NAMES:]:
        shown[f"{len(rest):,} more"] = sum(rest, Counter[str]())
    rows = [
        [
            name,
            f"{of.total():,}",
            f"{of[schemas.KEPT]:,}",
            f"{of[schemas.KEPT] / of.total():.1%}",
            *(f"{of[outcome]:,}" for outcome in there if outcome != schemas.KEPT),
        ]
        for name, of in shown.items()
    ]
    part = Part(
        "Languages",
        "As found in the text, codes of ISO 639; numbers of documents by what became of them.",
        f"winnow dropped {run.config.run} --language {next(iter(outcomes))} --sample 20",
        tables=[
            table(
                ["language", "documents", "kept", "of them", *(name for name in there if name != schemas.KEPT)],
                rows,
                note=f"Each of them: winnow summary {run.config.run} --all" if rest else "",
            )
        ],
    )
    if draw:
        bars = [(name, kind, of[kind]) for name, of in shown.items() for kind in there]
        svg = charts.stacked_bars(bars, there, "share of documents", share=True)
        part.figures.append(Figure("What became of the most frequent languages.", svg))
    return part


def lengths_section(sample: Sample, *, draw: bool) -> Part | None:
    """How long documents are, kept and dropped."""
    if not len(sample.docs):
        return None
    groups = {"kept": sample.characters[sample.kept], "dropped": sample.characters[~sample.kept]}
    marks = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
    rows = [
        [name, *(f"{int(value):,}" for value in np.quantile(lengths, marks, method="nearest"))]
        for name, lengths in groups.items()
        if len(lengths)
    ]
    part = Part(
        "Lengths",
        "Characters of a document after cleaning.",
        tables=[table(["", "5 % are up to", "25 %", "half", "75 %", "95 %", "all"], rows)],
    )
    if draw:
        edges = np.geomspace(1, max(10.0, float(sample.characters.max())), 41)
        kinds = {
            name: np.histogram(np.clip(lengths, 1, edges[-1]), edges)[0].tolist() for name, lengths in groups.items()
        }
        part.figures.append(
            Figure("Documents by length.", charts.histogram(edges.tolist(), kinds, "characters", log=True))
        )
    return part


def duplicates_section(run: RunRecords, sample: Sample, *, draw: bool) -> Part | None:
    """What dedup removed, with the removed documents that are least like their keepers."""
    if run.config.dedup is None:
        return None
    outcomes = outcomes_of(run)
    exact, near = (outcomes.get(name, 0) for name in (schemas.EXACT_DUPLICATE, schemas.NEAR_DUPLICATE))
    clusters = [entry for record in run.of("keepers") for entry in record.metadata["largest_clusters"]]
    clusters.sort(key=lambda cluster: (-cluster["documents"], cluster["keeper"]))
    names = [source.name for source in run.config.sources]
    part = Part(
        "What deduplication removed",
        f"{exact:,} exact and {near:,} near-duplicates, at a similarity of {run.config.dedup.threshold:g} and more to "
        "a document that was kept.",
        f"winnow dropped {run.config.run} --outcome near_duplicate --near-threshold",
    )
    if clusters:
        rows = [[str(c["keeper"]), names[c["source"]], f"{c['documents']:,}"] for c in clusters[:10]]
        part.tables.append(
            table(["kept document", "source", "documents"], rows, texts=2, note="The largest clusters of a source.")
        )
    rows_near = np.flatnonzero(sample.outcome == schemas.NEAR_DUPLICATE)
    similarity = sample.similarity[rows_near].astype(np.float64)
    if draw and len(rows_near):
        edges = np.linspace(min(run.config.dedup.threshold, float(similarity.min())), 1.0 + 1e-9, 41)
        svg = charts.histogram(
            edges.tolist(), {"near-duplicates": np.histogram(similarity, edges)[0].tolist()}, "similarity"
        )
        part.figures.append(Figure("Near-duplicates by their similarity to the kept document.", svg))
    order = rows_near[np.lexsort((rows_near, similarity))][:PAIRS]
    part.pairs = [] if run.is_encrypted else _pairs(run, sample, order.tolist())
    return part


def _pairs(run: RunRecords, sample: Sample, rows: list[int]) -> list[Pair]:
    texts = shown_texts(run, {int(doc[row]) for row in rows for doc in (sample.docs, sample.keeper)})
    pairs = []
    for row in rows:
        keeper, removed = texts.get(int(sample.keeper[row])), texts.get(int(sample.docs[row]), "")
        if keeper is None:  # of an earlier run, or gone
            continue
        at = max(0, _first_difference(keeper, removed) - 200)
        left, right = differences(keeper[at : at + PAIR_CHARACTERS], removed[at : at + PAIR_CHARACTERS])
        title = f"similarity {sample.similarity[row]:.4f}, from character {at:,}"
        kept = f"kept: document {sample.keeper[row]}"
        pairs.append(Pair(title, kept, left, f"removed: document {sample.docs[row]} ({sample.source[row]})", right))
    return pairs


def _first_difference(a: str, b: str) -> int:
    shorter = min(len(a), len(b))
    return next((at for at in range(shorter) if a[at] != b[at]), shorter)


def steps_section(run: RunRecords) -> Part | None:
    """What every step says of itself, as in the summary; alarms stand at the top of the page."""
    told = [line for line in run.once(summary_lines) if not line.startswith("WARNING")]
    return Part("What the steps say", lines=told) if told else None


def rows_section(run: RunRecords) -> Part:
    """Splits, rows and how full they are."""
    rows = []
    for name, books in row_accounting(run).items():
        held = books["row_tokens"] + books["padding_tokens"]
        documents, tokens = (run.total("shuffle", f"{what}/{name}") for what in ("documents", "tokens"))
        fill = f"{books['row_tokens'] / held:.3%}" if held else ""
        rows.append([name, f"{documents:,}", f"{tokens:,}", f"{books['rows']:,}", fill])
    return Part(
        "Splits and rows",
        f"Rows of kind {run.config.shards.row}; near-duplicates never lie in two splits.",
        f"winnow shards stats {run.config.run}",
        "More of them",
        tables=[table(["split", "documents", "tokens", "rows", "fill"], rows)],
    )


def stages_section(run: RunRecords) -> Part:
    """Time and memory by stage, and what ten times the text takes."""
    rows = [
        [
            stage.name,
            f"{stage.units:,}",
            f"{stage.reused:,}",
            f"{stage.seconds:,.1f}",
            f"{stage.cpu_seconds:,.1f}",
            f"{stage.output_bytes / 1e6:,.1f}",
            f"{stage.peak_memory_mb:,.0f}",
        ]
        for stage in run.observed.stages
        if stage.units
    ]
    seconds, start = run.observed.seconds, run.observed.start_seconds
    waiting = f", {start:,.1f} s of it waiting for Ray" if start else ""
    lead = f"{seconds:,.1f} s in all{waiting}."
    if run.observed.executor:
        lead += f" Units were done by {run.observed.executor}."
    if rows and all(stage.reused == 0 for stage in run.observed.stages):
        lead += (
            f" Stages grow with the text: ten times as much takes about {start + 10 * (seconds - start):,.0f} s on the "
            "same machines, and as much memory a worker."
        )
    return Part(
        "Time and memory",
        lead,
        tables=[table(["stage", "units", "reused", "seconds", "CPU s", "written MB", "peak MB"], rows)],
    )


def _left_out(rows: int, what: str, where: str) -> str:
    if rows <= TABLE_ROWS:
        return ""
    return f"{rows - TABLE_ROWS:,} more {what} are left out{'; ' + where if where else ''}."
