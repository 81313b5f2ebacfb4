"""The flow is declared once: what its steps say is what a run does."""

import json

import pytest

from winnow import schemas
from winnow.config.config import parse_config
from winnow.engine.engine import Engine
from winnow.errors import NotReadyError
from winnow.flow.context import RunContext
from winnow.flow.flow import FLOW, REASONS, balances, run_steps, stage_names
from winnow.flow.records import BEFORE_TOKENS, RunRecords
from winnow.report.manifest import manifest_of
from winnow.runs.plan import plan_run
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.select.steps import DROP_RULES
from winnow.stages.decontaminate.decontaminate import RULES
from winnow.stages.mixture import RULE
from winnow.stages.passages import passages
from winnow.stages.removals.removals import RULES as REMOVAL_RULES


def test_every_outcome_is_some_steps():
    given = {step.name: step.outcomes for step in FLOW}
    assert {outcome for outcomes in given.values() for outcome in outcomes} == set(schemas.LEDGER_OUTCOMES)
    # nobody gives an outcome of another step's, but for rules: those on signals that are measured late
    assert given.pop("screen") == given.pop("redact") == (schemas.FILTERED,)
    assert len([outcome for outcomes in given.values() for outcome in outcomes]) == len(schemas.LEDGER_OUTCOMES)


def test_every_rule_of_a_later_step_can_be_told():
    assert set(REASONS) == {*DROP_RULES, *RULES, RULE, passages.RULE, *REMOVAL_RULES}
    assert all(
        "1.5" in sentence.format(1.5, 2.5) and "2.5" in sentence.format(1.5, 2.5)
        for rule, sentence in REASONS.items()
        if rule not in REMOVAL_RULES
    )


def test_steps_take_up_the_ledger_of_the_one_before():
    """Whoever took up an earlier one would bring documents back that a step between them left out."""
    names = [step.ledger for step in FLOW if step.ledger in BEFORE_TOKENS]
    assert names == [name for name in reversed(BEFORE_TOKENS) if name in names]
    run = RunRecords(None, None, {"decide": ["a"], "screen": ["b"], "decontaminate": ["c"]})
    assert (run.decided_before("decontaminate"), run.decided_before("screen"), run.survivors) == (["b"], ["a"], ["c"])


CASES = {
    "plain": {},
    "no dedup": {"dedup": "off"},
    "estimate": {"dedup": {"verify": "estimate"}},
    "lines": {"dedup": {"lines": {"max_documents": 5}}},
    "packed": {"shards": {"row": "best_fit", "formats": ["parquet", "mds"]}},
    "mixture": {"shards": {"max_tokens": 2_000}},
    "select": {"select": {"clusters": {"number": 2}, "sample": {"target_tokens": 2_000}}},
    "all of the sample": {
        "select": {
            "clusters": {"number": 2},
            "prototypes": "on",
            "sample": {"target_tokens": 2_000, "cluster_temperature": 0.5},
        }
    },
    "labels": {"shards": {"row": "document"}, "label": "kind"},
    "text": {"documents": {"columns": ["text", "duplicates"]}},
    "text in order": {"documents": {"order": "input"}},
    "evaluation sets": {"decontaminate": {"sets": ["SET"]}},
    "passages": {"passages": {"words": 10}},
    "spans of evaluation sets": {"decontaminate": {"sets": ["SET"], "action": "span"}},
}


@pytest.mark.parametrize("case", CASES)
def test_stages_are_those_that_steps_name(case, tmp_path):
    more = dict(CASES[case])
    label = more.pop("label", None)
    texts = [f"Sentence {n} stands here, and it is as long as it has to be to say something. " * 9 for n in range(30)]
    rows = [{"id": f"doc-{n}", "text": text, "kind": str(n % 2)} for n, text in enumerate([*texts, texts[0]])]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"name": "made", "path": str(tmp_path / "in.jsonl"), "id": "id"} | ({"label": label} if label else {})
    shards = {"sequence_tokens": 64, "splits": {"val": 0.2}} | more.pop("shards", {})
    settings = {"run": str(tmp_path / "run"), "sources": [source], "filter": {"mode": "annotate"}, "shards": shards}
    if "decontaminate" in more:
        (tmp_path / "set.jsonl").write_text(json.dumps({"question": texts[3][:80]}) + "\n")
        more["decontaminate"] = more["decontaminate"] | {"sets": [str(tmp_path / "set.jsonl")]}
    config = parse_config(settings | more | {"compute": {"executor": "inline"}, "report": False})

    planned = [stage.name for stage in plan_run(config).stages]
    context = run(config)
    ran = [summary.name for summary in context.engine.summaries]
    assert planned == stage_names(context)
    assert sorted(ran) == sorted(planned)
    assert [stage.name for stage in plan_run(config).stages if stage.units is not None] == planned

    found = load_run(config.run)
    assert found.ledger == context.run.ledger
    assert found.parts == context.run.parts
    assert manifest_of(found) == manifest_of(context.run) == found.store.read(f"{found.shards}/manifest.json")
    assert [str(balance) for balance in balances(found)] == [str(balance) for balance in balances(context.run)]
    assert all(balance.expected == balance.found for balance in balances(found))


def test_a_dry_engine_stops_at_the_first_stage_with_work(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n')
    config = parse_config(
        {"run": str(tmp_path / "run"), "sources": [{"name": "a", "path": str(tmp_path / "in.jsonl")}]}
    )
    from winnow.storage.open_store import open_store

    engine = Engine(open_store(config.run), config.compute, dry=True)
    context = RunContext.of(config, engine, {"a": [str(tmp_path / "in.jsonl")]})
    with pytest.raises(NotReadyError):
        run_steps(context)
    assert context.run.ledger_stage == ""
    assert not (tmp_path / "run").exists()
