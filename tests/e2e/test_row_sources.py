"""Sources and licences of rows: what the reader says of each piece against the run's own table of documents."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch", reason="torch is not installed: nothing reads shards")
import winnow
from tests.support.configs import run_config, source_of
from winnow.errors import ShardError
from winnow.shards.dataset.provenance import RowSource
from winnow.shards.dataset.torch_datasets import ShardRows

SHARDS = {"sequence_tokens": 63, "shard_tokens": 2000, "columns": ["docs"], "formats": ["parquet", "raw"]}


def made(folder: Path, run: str, licence: str, **shards) -> winnow.Run:
    """A run of two sources in three files, whose names do not sort as the config has them."""
    sources = [
        source_of([folder / "z.jsonl", folder / "a.jsonl"], "web", licence=licence),
        source_of(folder / "m.jsonl", "books", keep=["licence"]),
    ]
    return winnow.run(run_config(folder / run, *sources, dedup="off", shards=SHARDS | shards))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("row-sources")
    for name in ("z", "a", "m"):  # no two rows are the same
        texts = [" ".join(f"{name}{n} {word}" for word in range(7 * n)) for n in range(1, 25)]
        lines = [{"text": text, "licence": "CC0-1.0"} for text in texts]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def run(folder):
    return made(folder, "run", "CC-BY-4.0")


def expected(run: winnow.Run) -> list[list[str]]:
    """Of every row of `train`, in the global order, the sources of its pieces by the documents table."""
    source = dict(zip(*(run.frame("documents", ["doc", "source"])[name] for name in ("doc", "source")), strict=True))
    shards = run.manifest["shards"]["splits"]["train"]["shards"]
    tables = [pq.read_table(Path(run.shards) / shard["path"], columns=["docs"]) for shard in shards]
    return [[source[doc] for doc in row] for table in tables for row in table.column("docs").to_pylist()]


def named(data, batch) -> list[list[str]]:
    """What batches say, by name."""
    return [[data.sources[number].name for number in row if number >= 0] for row in batch.tolist()]


def test_each_piece_is_of_the_source_of_its_document(run):
    rows = ShardRows(run.shards, as_dict=True, sources=True, doc_lens=True)
    assert rows.sources == (RowSource("books", None, True), RowSource("web", "CC-BY-4.0", False))
    batch = rows[list(range(len(rows)))]
    assert named(rows, batch["sources"]) == expected(run)
    assert {len(set(row)) for row in expected(run)} >= {1, 2}  # some rows hold both
    assert batch["sources"].shape == batch["doc_lens"].shape
    assert ((batch["sources"] < 0) <= (batch["doc_lens"] == 0)).all()  # a piece cut to nothing is still a piece


def test_shuffled_steps_and_ranks_have_them_too(run):
    pieces, rows = expected(run), ShardRows(run.shards, as_dict=True)
    ids = {tuple(rows[n]["input_ids"].tolist()): pieces[n] for n in range(len(rows))}
    for rank in (0, 1):
        data = winnow.ShardDataset(
            run.shards, global_batch=6, rank=rank, world_size=2, epochs=2, tail="pad", as_dict=True, sources=True
        )
        for batch in data:
            for row, found in zip(batch["input_ids"].tolist(), named(data, batch["sources"]), strict=True):
                assert found == ids.get(tuple(row), [])  # none in rows that complete a step


def test_several_sets_share_numbers_where_name_and_licence_are_the_same(run, folder):
    other = made(folder, "other", "CC-BY-SA-4.0", seed=8)
    rows = ShardRows([run.shards, other.shards], as_dict=True, sources=True)
    assert [source.licence for source in rows.sources] == [None, "CC-BY-4.0", "CC-BY-SA-4.0"]
    found = rows[list(range(len(rows)))]["sources"]
    assert named(rows, found) == expected(run) + expected(other)
    half = len(expected(run))
    assert set(found[:half].flatten().tolist()) == {-1, 0, 1} and set(found[half:].flatten().tolist()) == {-1, 0, 2}


def test_the_example_of_the_docs_runs(run, capsys):
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
    (example,) = re.findall(r"## Where rows come from.*?```python\n(.*?)```", page, re.DOTALL)
    exec(example, {"winnow": winnow, "shards": run.shards})
    told = capsys.readouterr().out.split()
    first = ShardRows(run.shards, as_dict=True, doc_lens=True)[0]["doc_lens"].tolist()
    assert [int(number) for number in told[2::3]] == [number for number in first if number]


def test_shards_that_cannot_say_it_tell_what_to_do(run, folder, tmp_path):
    with pytest.raises(ShardError, match=r"set `shards.columns: \[docs\]` and run again"):
        _ = ShardRows(run.shards, as_dict=True, sources=True, file_format="raw")[0]
    without = made(folder, "without", "MIT", columns=[])
    with pytest.raises(ShardError, match=r"does not say whose its pieces are"):
        _ = ShardRows(without.shards, as_dict=True, sources=True)[0]
    with pytest.raises(ValueError, match="come in dicts alone"):
        winnow.ShardDataset(run.shards, sources=True, batch_size=1)


def edited(run: winnow.Run, folder: Path, files) -> ShardRows:
    """The set with a manifest that says something else of the first source's files."""
    manifest = json.loads((Path(run.shards) / "manifest.json").read_bytes())
    for source in manifest["sources"].values():
        source.pop("files") if files is None else source.update(files=files)
    for path in Path(run.shards).glob("train-*"):
        (folder / path.name).symlink_to(path.resolve())
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return ShardRows(str(folder), as_dict=True, sources=True)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (None, "of an older version, does not say which files are whose"),
        ([[7, 9]], "is of no file of its manifest"),
        ([[2, 1]], r"sources.books.files.0: \[2, 1\] stands where a first and a last number belong"),
        ("all", "'all' stands where a list belongs"),
    ],
)
def test_a_manifest_that_does_not_say_it_is_told(run, tmp_path, files, told):
    with pytest.raises(ShardError, match=told):
        _ = edited(run, tmp_path, files)[0]
