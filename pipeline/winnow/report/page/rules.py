"""The page's section on rules: what each fails, the values of its signal, and documents just under and just over."""

import numpy as np
from numpy.typing import NDArray

from winnow.flow.records import RunRecords
from winnow.looking.texts import shown_texts
from winnow.report.page import charts
from winnow.report.page.parts import Example, Figure, Part, table
from winnow.report.page.sample import RuleSample, Sample

SHOWN_RULES = 10
"""Rules with a histogram and examples, those that fail most documents alone first."""
EXAMPLES = 3
"""Documents on each side of a threshold."""
CHARACTERS = 280
BINS = 40


def rules_section(run: RunRecords, sample: Sample, *, draw: bool) -> Part | None:
    """What each rule of the run does; None where no rule is on or nothing was read."""
    if not sample.rules or not len(sample.docs):
        return None
    folder, failed = run.config.run, sample.failed
    counted = run.totals("filter", "failed")
    alone = {rule.name: int((rule.fails & (failed == 1)).sum()) for rule in sample.rules}
    ranked = sorted(sample.rules, key=lambda rule: (-alone[rule.name], -int(rule.fails.sum()), rule.name))
    sources, languages = (np.unique(names, return_inverse=True) for names in (sample.source, sample.language))
    failing = [rule for rule in ranked if counted.get(rule.name, 0) or rule.fails.any()]
    rows = [
        [
            rule.name,
            _bound(rule),
            f"{counted.get(rule.name, 0):,}",
            f"{alone[rule.name]:,}",
            _most(*sources, rule.fails),
            _most(*languages, rule.fails),
        ]
        for rule in failing
    ]
    verb = "marked" if run.config.filter.mode == "annotate" else "dropped"
    part = Part(
        "What the rules did",
        f"A document is {verb} by the first rule that it fails; all that it fails are recorded. “Alone” are documents "
        f"that fail no other rule{_of_sample(sample, run)}: they come back when the rule is loosened. "
        f"Rules that failed no document: {len(sample.rules) - len(failing)}.",
        f"winnow tune {folder}",
        "Try other thresholds",
        tables=[
            table(["rule", "threshold", "fail", "alone", "most of a source", "most of a language"], rows, texts=2),
        ],
    )
    shown = failing[:SHOWN_RULES]
    part.parts = [_rule(run, sample, rule, failed, draw=draw) for rule in shown]  # drawn while texts are read
    chosen = [[] if rule.threshold is None or run.is_encrypted else _chosen(rule, failed) for rule in shown]
    # of all rules together: each call looks through the parts' tables
    texts = shown_texts(run, {int(sample.docs[row]) for rows_of in chosen for _, row in rows_of})
    for inner, rule, rows_of in zip(part.parts, shown, chosen, strict=True):
        inner.examples = _examples(run, sample, rule, rows_of, texts)
    return part


def _of_sample(sample: Sample, run: RunRecords) -> str:
    return f" (of {sample.parts:,} of {len(run.parts):,} parts)" if sample.parts < len(run.parts) else ""


def _bound(rule: RuleSample) -> str:
    if rule.is_match:
        return "a match"
    return "by group" if rule.threshold is None else f"{'min' if rule.is_min else 'max'} {rule.threshold:.6g}"


def _value(rule: RuleSample, row: int) -> str:
    return "for a match" if rule.is_match else f"with {rule.value[row]:.6g} ({_bound(rule)})"


def _most(known: NDArray[np.str_], code: NDArray[np.int64], fails: NDArray[np.bool_]) -> str:
    """The name of which the largest share fails, of those with twenty documents; ``code`` is each document's name."""
    of, failed = np.bincount(code), np.bincount(code[fails], minlength=len(known))
    share = np.where(of >= 20, failed / np.maximum(of, 1), -1.0)
    best = int(share.argmax())
    return f"{known[best]} {share[best]:.1%}" if share[best] > 0 else ""


def _rule(run: RunRecords, sample: Sample, rule: RuleSample, failed: NDArray[np.int64], *, draw: bool) -> Part:
    part = Part(rule.name, command=f"winnow dropped {run.config.run} --rule {rule.name} --sample 20")
    known = ~np.isnan(rule.value)
    if draw and known.any() and not rule.is_match:
        part.figures.append(_values(rule, failed, known))
    return part


def _values(rule: RuleSample, failed: NDArray[np.int64], known: NDArray[np.bool_]) -> Figure:
    value = rule.value[known].astype(np.float64)
    low, high = np.quantile(value, [0.002, 0.998])
    if rule.threshold is not None:
        low, high = min(low, rule.threshold), max(high, rule.threshold)
    log = low >= 0 and high > 200
    if log:
        low = max(low, 1.0)
        edges = np.geomspace(low, max(high, 2 * low), BINS + 1)
    else:
        edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    groups = {
        "passes": known & (failed == 0),
        "fails another rule": known & ~rule.fails & (failed > 0),
        "fails this rule": known & rule.fails,
    }
    clipped = {name: np.clip(rule.value[mask].astype(np.float64), edges[0], edges[-1]) for name, mask in groups.items()}
    kinds = {name: np.histogram(values, edges)[0].tolist() for name, values in clipped.items()}
    beyond = "; values beyond the axis are counted at its ends"
    svg = charts.histogram(edges.tolist(), kinds, rule.name.rpartition(".")[2], rule.threshold, log=bool(log))
    return Figure(f"Documents by value; the dashed line is the threshold{beyond}.", svg)


def _chosen(rule: RuleSample, failed: NDArray[np.int64]) -> list[tuple[str, int]]:
    """Side and row of the documents nearest to the threshold: those that the rule alone fails, and those that pass."""
    assert rule.threshold is not None
    far = np.abs(rule.value.astype(np.float64) - rule.threshold)
    passes = (failed == 0) & ~np.isnan(rule.value) & (not rule.is_match)
    sides = (("just dropped", rule.fails & (failed == 1)), ("just kept", passes))
    return [(side, row) for side, fits in sides for row in _nearest(far, fits)]


def _examples(
    run: RunRecords, sample: Sample, rule: RuleSample, chosen: list[tuple[str, int]], texts: dict[int, str]
) -> list[Example]:
    """The chosen documents with their values, ``texts`` by number."""
    word = {"just dropped": "fails" if run.config.filter.mode == "annotate" else "dropped", "just kept": "passes"}
    return [
        Example(
            f"{word[side]} {_value(rule, row)}: {sample.source[row]}, {sample.language[row]}",
            texts.get(int(sample.docs[row]), "")[:CHARACTERS],
        )
        for side, row in chosen
    ]


def _nearest(far: NDArray[np.float64], fits: NDArray[np.bool_]) -> list[int]:
    rows = np.flatnonzero(fits & ~np.isnan(far))
    order = np.lexsort((rows, far[rows]))
    return [int(row) for row in rows[order][:EXAMPLES]]
