"""Labelled documents: numbers, rows and splits through whole runs, bad labels, conflicts, the reader's batches."""

import json
import random
import re
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jobs.shards import shards
from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError, UnreadableShareError
from winnow.finished.convert import convert
from winnow.finished.explain import explain, find
from winnow.finished.shards import row_shape
from winnow.flow.records import RunRecords
from winnow.report.labels import missing_labels
from winnow.report.summary import print_summary
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.stages.decide import label_cuts
from winnow.stages.ingest import measure, slices
from winnow.stages.shards.shard_reading import read_shard
from winnow.stages.shards.shard_set import described_formats
from winnow.storage.local_store import LocalStore

ROW = 32
SPLITS = {"val": 0.1, "test": 0.2}
SHARDS = {"formats": ["parquet", "mds"], "columns": ["docs"]}
SHARES = {"ham": 200, "spam": 60, "rare": 7}


def texts(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [article(rng, rng.randint(8, 14)) for _ in range(count)]


def nearly(text: str) -> str:
    """Under the threshold of dedup, but mostly a candidate."""
    words = text.split(" ")
    for at in range(15, len(words), 30):
        words[at] = "otherwise"
    return " ".join(words)


def write_labelled(folder: Path) -> int:
    """Three labels, copies with another label, near-duplicates, and records whose label is wrong; in two formats."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(5)
    names = [name for name, number in SHARES.items() for _ in range(number)]
    rng.shuffle(names)
    rows = [{"id": f"m{n}", "text": text, "kind": names[n]} for n, text in enumerate(texts(1, len(names)))]
    rows += [{"id": f"near{n}", "text": nearly(rows[n]["text"]), "kind": rows[n + 1]["kind"]} for n in range(0, 60, 2)]
    rows += [{"id": f"copy{n}", "text": rows[n]["text"], "kind": rows[n]["kind"]} for n in range(0, 50, 10)]
    rows.append({"id": "conflict", "text": rows[0]["text"], "kind": "ham" if rows[0]["kind"] != "ham" else "spam"})
    bad = [None, 1.5, ["ham"], "", "x" * 1001]
    rows[20:20] = [{"id": f"bad{n}", "text": text, "kind": bad[n]} for n, text in enumerate(texts(2, len(bad)))]
    rows.insert(70, {"id": "none", "text": texts(3, 1)[0]})
    half = len(rows) // 2
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:half]))
    (folder / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[half:]))
    columns = {"id": ["p0", "p1", "p2", "p3"], "text": texts(4, 4), "kind": ["spam", None, "", "ham"]}
    pq.write_table(pa.table(columns), folder / "c.parquet")
    return len(rows) + 4


def labelled_settings(folder: Path, run_folder: Path, shards: dict | None = None, **more) -> dict:
    rows = {"row": "document", "sequence_tokens": ROW, "shard_tokens": ROW * 40, "splits": SPLITS}
    compute = {"max_unreadable_share": 0.1} | more.pop("compute", {})
    mail = source_of(folder, "mail", id="id", label="kind")
    return run_config(run_folder, mail, shards=rows | (shards or {}), **more, compute=compute)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "data"
    write_labelled(folder)
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> RunRecords:
    folder = tmp_path_factory.mktemp("labels") / "run"
    run(parse_config(labelled_settings(data, folder, SHARDS)))
    return load_run(str(folder))


def labels_by_document(finished: RunRecords) -> dict[int, str]:
    found = {}
    for part in finished.parts:
        for row in pq.read_table(
            finished.store.path(part.documents["path"]), columns=["doc", "keep.#label"]
        ).to_pylist():
            found[row["doc"]] = row["keep.#label"]
    return found


def decisions(finished: RunRecords) -> list[dict]:
    return [
        row
        for decided in finished.ledger
        for row in pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist()
    ]


def rows_of(finished: RunRecords, split: str) -> pa.Table:
    shards = finished.manifest["shards"]["splits"][split]["shards"]
    return pa.concat_tables([pq.read_table(finished.store.path(f"{finished.shards}/{s['path']}")) for s in shards])


def components(finished: RunRecords) -> dict[int, int]:
    table = finished.of("components")[0].outputs["components"]
    found = pa.ipc.open_file(finished.store.path(table.path)).read_all()
    return dict(zip(found.column("doc").to_pylist(), found.column("component").to_pylist(), strict=True))


def test_every_row_has_the_label_of_its_document(finished):
    manifest = finished.manifest
    assert manifest["labels"]["names"] == ["ham", "rare", "spam"]
    assert manifest["shards"]["columns"] == ["attention_mask", "docs", "label"]
    known = labels_by_document(finished)
    for split, described in manifest["shards"]["splits"].items():
        table = rows_of(finished, split)
        assert table.schema.field("label").type == pa.int64()
        names = [manifest["labels"]["names"][number] for number in table.column("label").to_pylist()]
        assert names == [known[docs[0]] for docs in table.column("docs").to_pylist()]
        counts = Counter(names)
        assert described["labels"] == [counts[name] for name in manifest["labels"]["names"]]
    assert sum(manifest["labels"]["readable"]) == sum(Counter(known.values()).values())
    assert not check_shards(finished)
    assert all(balance.expected == balance.found for balance in recount(finished))


def test_splits_hold_every_label_in_proportion_and_no_component_straddles(finished):
    component, known = components(finished), labels_by_document(finished)
    kept = [row for row in decisions(finished) if row["outcome"] == "kept"]
    members = defaultdict(list)
    for row in kept:
        members[component.get(row["doc"], row["doc"])].append(row)
    several = [rows for rows in members.values() if len(rows) > 1]
    assert len(several) > 10  # else this test shows nothing
    assert any(len({known[row["doc"]] for row in rows}) > 1 for rows in several)
    assert all(len({row["split"] for row in rows}) == 1 for rows in several)

    strata, largest = Counter(), Counter()  # documents that count, by label and split
    for rows in members.values():
        counts = Counter(known[row["doc"]] for row in rows)
        label = min(counts, key=lambda name: (-counts[name], name))
        strata[label, rows[0]["split"]] += counts[label]
        largest[label] = max(largest[label], counts[label])
    for name in SHARES:
        whole = sum(number for (label, _), number in strata.items() if label == name)
        for split, share in SPLITS.items():
            assert abs(strata[name, split] - whole * Fraction(str(share))) <= largest[name]
    assert strata["rare", "train"] and strata["rare", "test"] == 1


def test_bad_labels_are_unreadable_with_their_reason(finished):
    reasons = Counter()
    for record in finished.of("measure"):
        table = pq.read_table(finished.store.path(record.outputs["unreadable"].path))
        for row in table.to_pylist():
            reasons[row["id"]] = row["reason"]
    assert reasons == {
        "bad0": "missing label: field 'kind' is null",
        "bad1": "wrong label: field 'kind' is neither a string nor an integer",
        "bad2": "wrong label: field 'kind' is neither a string nor an integer",
        "bad3": "missing label: field 'kind' is empty",
        "bad4": "wrong label: field 'kind' has 1,001 bytes, a label at most 1,000",
        "none": "missing label: field 'kind' is not there",
        "p1": "missing label: field 'kind' is null",
        "p2": "missing label: field 'kind' is empty",
    }


def test_too_many_bad_labels_end_the_run(data, tmp_path):
    config = labelled_settings(data, tmp_path / "run", compute={"max_unreadable_share": 0.01})
    with pytest.raises(UnreadableShareError, match="missing label"):
        run(parse_config(config))


def test_conflicts_are_counted(finished):
    known = labels_by_document(finished)
    removed = [row for row in decisions(finished) if row["keeper"] is not None]
    expected = sum(known[row["doc"]] != known[row["keeper"]] for row in removed)
    assert finished.manifest["labels"]["conflicts"] == expected >= 1


def hashes(finished: RunRecords) -> list[str]:
    return [shard["sha256"] for split in finished.manifest["shards"]["splits"].values() for shard in split["shards"]]


def test_same_bytes_however_the_work_is_cut(data, finished, tmp_path, monkeypatch):
    stage, planned = measure.stage, slices.plan_measure
    small = {"batch_bytes": 10_000, "part_bytes": 60_000, "text_compression": "zstd"}
    monkeypatch.setattr(measure, "stage", lambda *settings: stage(*settings[:3], small))
    monkeypatch.setattr(slices, "plan_measure", lambda *args: planned(*args[:3], 100_000))
    monkeypatch.setattr(label_cuts, "range_bits", lambda labels: 3)
    run(parse_config(labelled_settings(data, tmp_path / "run", SHARDS, compute={"partition_mb": 1})))
    again = load_run(str(tmp_path / "run"))
    assert len(again.parts) > len(finished.parts) + 2
    assert hashes(again) == hashes(finished)
    assert again.manifest["labels"] == finished.manifest["labels"]


def test_plain_splits_on_request(data, tmp_path, finished):
    run(parse_config(labelled_settings(data, tmp_path / "run", {"stratify": False})))
    plain = load_run(str(tmp_path / "run"))
    assert "label_cuts" not in plain.records
    assert sum(map(sum, (s["labels"] for s in plain.manifest["shards"]["splits"].values()))) == sum(
        map(sum, (s["labels"] for s in finished.manifest["shards"]["splits"].values()))
    )
    assert hashes(plain) != hashes(finished)


def test_given_labels_have_the_given_order(data, tmp_path):
    config = labelled_settings(data, tmp_path / "run", {"labels": ["spam", "other", "ham", "rare"]})
    run(parse_config(config))
    manifest = load_run(str(tmp_path / "run")).manifest
    assert manifest["labels"]["names"] == ["spam", "other", "ham", "rare"]
    assert manifest["labels"]["readable"][1] == 0
    assert [split["labels"][1] for split in manifest["shards"]["splits"].values()] == [0, 0, 0]
    config["shards"]["labels"] = ["spam", "ham"]
    with pytest.raises(ConfigError, match=r"shards.labels does not name 1 of the labels .*'rare' \(\d+ documents\)"):
        run(parse_config(config))


def test_a_field_with_too_many_labels_is_named(data, tmp_path, monkeypatch):
    monkeypatch.setattr("winnow.stages.ingest.labels.MAX_LABELS", 2)
    with pytest.raises(ConfigError, match="more than 2 different labels in field 'kind' of source mail"):
        run(parse_config(labelled_settings(data, tmp_path / "run")))


def test_integers_and_booleans_are_labels(tmp_path):
    (tmp_path / "data").mkdir()
    values = [10, 9, True, -3, "9", 10]
    rows = [{"text": text, "y": {"z": values[n % 6]}} for n, text in enumerate(texts(6, 24))]
    (tmp_path / "data" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = labelled_settings(tmp_path / "data", tmp_path / "run")
    config["sources"] = [{"name": "mail", "path": str(tmp_path / "data"), "label": "y.z", "weight": 2.0}]
    run(parse_config(config))
    manifest = load_run(str(tmp_path / "run")).manifest
    assert manifest["labels"]["names"] == ["-3", "10", "9", "true"]  # not all are integers
    assert manifest["labels"]["readable"] == [4, 8, 8, 4]
    assert sum(sum(split["labels"]) for split in manifest["shards"]["splits"].values()) == 48


def test_the_story_names_the_label(finished):
    (doc,) = find(finished, "conflict")
    story = explain(finished, doc)
    assert story.label in SHARES
    assert story.keeper.label != story.label


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shards": {"row": "concat"}}, "set shards.row to document"),
        ({"shards": {"labels": ["a", "a"]}}, "name each one once"),
        ({"dedup": {"index": "somewhere"}}, "name all labels in shards.labels"),
    ],
)
def test_settings_that_make_no_sense(data, tmp_path, change, said):
    config = labelled_settings(data, tmp_path / "run", **({} if "shards" in change else change))
    config["shards"] |= change.get("shards", {})
    with pytest.raises(ConfigError, match=said):
        parse_config(config)


def test_sources_with_and_without_labels_do_not_mix(data, tmp_path):
    config = labelled_settings(data, tmp_path / "run")
    config["sources"].append({"name": "more", "path": str(data)})
    with pytest.raises(ConfigError, match="source 'mail' has a label and more none"):
        parse_config(config)
    del config["sources"][0]["label"]
    config["shards"]["labels"] = ["ham"]
    with pytest.raises(ConfigError, match="no source has one"):
        parse_config(config)


def test_batches_hold_labels(finished):
    torch = pytest.importorskip("torch", reason="the reader needs torch: pip install torch")
    from winnow.shards import ShardDataset, ShardRows

    folder = finished.store.path(finished.shards)
    rows = ShardRows(folder, "train", as_dict=True, shift=False)
    table = rows_of(finished, "train")
    expected = table.column("label").to_pylist()
    assert rows.label_names == ("ham", "rare", "spam")
    batch = rows[:]
    assert batch["label"].dtype == torch.int64
    assert batch["label"].tolist() == expected
    assert rows[3]["label"].tolist() == expected[3]
    data = ShardDataset(folder, "train", batch_size=16, as_dict=True, shift=False, tail="pad", rank=0, world_size=1)
    read = torch.cat([batch["label"] for batch in data]).tolist()
    assert read[: len(expected)] == expected
    assert set(read[len(expected) :]) <= {-100}
    assert len(read) % 16 == 0
    assert not isinstance(next(iter(ShardDataset(folder, "train", batch_size=16, rank=0, world_size=1))), dict)
    assert np.array_equal(batch["input_ids"].numpy(), np.array(table.column("input_ids").to_pylist()))


def test_a_budget_takes_from_train_alone_and_counts_are_those_of_the_shards(data, tmp_path):
    config = labelled_settings(data, tmp_path / "run", {"max_tokens": 12_000, "epoch": 1}, dedup="off")
    config["sources"][0]["weight"] = 1.5
    run(parse_config(config))
    finished = load_run(str(tmp_path / "run"))
    for split, described in finished.manifest["shards"]["splits"].items():
        held = Counter(rows_of(finished, split).column("label").to_pylist())
        assert described["labels"] == [held[number] for number in range(3)]
    assert all(balance.expected == balance.found for balance in recount(finished))
    # without dedup every document is a component of its own, so copies decide how exact a share is
    before = Counter()
    known = labels_by_document(finished)
    for decided in finished.of("decide"):
        for row in pq.read_table(finished.store.path(decided.outputs["decisions"].path)).to_pylist():
            before[known[row["doc"]], row["split"]] += row["copies"]
    for name in SHARES:
        whole = sum(number for (label, _), number in before.items() if label == name)
        for split, share in SPLITS.items():
            assert abs(before[name, split] - whole * Fraction(str(share))) <= 2


def test_nights_share_the_numbers_of_labels(data, tmp_path):
    shards = {"labels": ["rare", "spam", "ham"]}
    found = []
    for night, file in enumerate(("a.jsonl", "b.jsonl")):
        config = labelled_settings(data / file, tmp_path / f"night-{night}", shards)
        config["dedup"] = {"index": str(tmp_path / "index")}
        run(parse_config(config))
        found.append(load_run(str(tmp_path / f"night-{night}")))
        assert found[-1].manifest["labels"]["names"] == ["rare", "spam", "ham"]
    second = found[1]
    earlier = [row for row in decisions(second) if row["keeper"] is not None and row["keeper"] >= 1 << 63]
    assert earlier  # an index holds no labels, so these conflict with nobody
    assert second.manifest["labels"]["conflicts"] == 0
    assert all(balance.expected == balance.found for balance in recount(second))


def test_commands_show_labels(data, tmp_path):
    (tmp_path / "data").mkdir()
    rows = [{"text": text, "y": ["good", "bad\x1b[31m"][n % 2]} for n, text in enumerate(texts(7, 20))]
    rows.append({"text": rows[0]["text"], "y": rows[1]["y"], "id": "copy"})
    (tmp_path / "data" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = labelled_settings(tmp_path / "data", tmp_path / "run", {"splits": {"val": 0.01}})
    config["sources"] = [{"name": "mail", "path": str(tmp_path / "data"), "label": "y", "id": "id"}]
    context = run(parse_config(config))
    console = Console(record=True, width=200)
    print_summary(context.run, console)
    told = console.export_text()
    assert "labels, rows in each split" in told
    assert "1 of 1 removed duplicates carried another label than their keeper" in told
    assert r"bad\x1b[31m" in told and "\x1b" not in told
    folder = str(tmp_path / "run")
    head = CliRunner().invoke(shards, ["head", folder, "--rows", "30"]).output
    assert "label 1 (good)" in head
    assert r"label 0 (bad\x1b[31m)" in head and "\x1b" not in head
    stats = CliRunner().invoke(shards, ["stats", folder]).output
    assert "labels, rows in each split" in stats and "10 (50.0%)" in stats
    loaded = load_run(folder)
    (doc,) = find(loaded, "copy")
    assert explain(loaded, doc).keeper.label == "good"


def test_labels_outlive_a_conversion(finished, tmp_path):
    for file_format, described in described_formats(finished.manifest["shards"]).items():
        target = Path(convert(finished, file_format, str(tmp_path / file_format)))
        shards_of = [(split, shard) for split, told in described.items() for shard in told["shards"]]
        for split, shard in shards_of:
            written = finished.store.path(f"{finished.shards}/{shard['path']}")
            shape = row_shape(finished.manifest)
            packed = read_shard(LocalStore(str(target)), shard["path"], file_format, shard, shape, whole_rows=True)
            counts = Counter(packed.labels.tolist())
            assert all(number in range(3) for number in counts), split
            if file_format == "mds":
                assert (target / shard["path"]).read_bytes() == written.read_bytes()
            else:
                assert pq.read_table(target / shard["path"]).equals(pq.read_table(written))


def test_the_documented_classifier_learns(data, tmp_path):
    """The program of docs/formats.md, as it stands there but for the shard set's name, with a tiny model."""
    torch = pytest.importorskip("torch", reason="the program needs torch: pip install torch")
    documented = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"### Fine-tuning a classifier\n.*?```python\n(.*?)```", documented, re.DOTALL)
    (tmp_path / "data").mkdir()
    words = {"spam": "winner prize money", "ham": "meeting minutes tomorrow"}
    rows = [{"text": f"{text} {words[kind]}", "kind": kind} for text in texts(8, 100) for kind in words]
    (tmp_path / "data" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(parse_config(labelled_settings(tmp_path / "data", tmp_path / "run", {"sequence_tokens": 256}, dedup="off")))
    finished = load_run(str(tmp_path / "run"))

    class Model(torch.nn.Module):
        width = 16

        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(997, self.width)

        def forward(self, ids):
            so_far = self.embed(ids % 997).cumsum(1)
            return so_far - so_far.roll(6, dims=1)  # the last six tokens

    losses = []

    def cross_entropy(logits, labels):
        losses.append(torch.nn.functional.cross_entropy(logits, labels))
        return losses[-1]

    torch.manual_seed(1)
    program = program.replace("runs/mail/shards/0484f550f5a76c8d", str(finished.store.path(finished.shards)))
    program = program.replace("from torch.nn.functional import cross_entropy\n", "").replace("lr=5e-4", "lr=0.02")
    exec(program, {"model": Model(), "cross_entropy": cross_entropy})
    assert len(losses) == 5 * finished.manifest["shards"]["splits"]["train"]["rows"] // 8
    assert losses[0].item() > 0.5
    assert sum(loss.item() for loss in losses[-10:]) / 10 < 0.1


def test_a_split_without_a_label_is_told():
    names = ["ham", "spam"]
    assert missing_labels(names, {"train": [3, 1], "val": [1, 0]}) == ["split val has no document with label spam"]
    assert missing_labels(names, {"train": [3, 1], "val": [0, 0]}) == ["split val has no document with label ham, spam"]
    assert missing_labels(names, {"train": [0, 0], "val": [0, 0]}) == []
