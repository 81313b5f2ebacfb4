"""Phases: mixtures one after the other in split train, each shuffled in itself, told by row, token and shard."""

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.e2e.test_mixture import hashes
from tests.support.configs import run_config, source_of
from tests.support.small_work import many_partitions, many_units
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.finished.explain import explain
from winnow.runs.run import run
from winnow.runs.state import load_run

PHASES = [
    {"name": "main", "mixture": {"web": 3, "books": 1}, "max_tokens": 12_000},
    {"name": "anneal", "mixture": {"by": ["topic"], "weights": {"law": 1, "*": 0}}, "max_tokens": 3_000},
]
SHARDS = {"sequence_tokens": 63, "shard_tokens": 4000, "splits": {"val": 0.1}, "columns": ["docs"], "phases": PHASES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(5)
    words = "river stone letter harbour orchard winter number engine border market".split()
    for name, number in (("web", 200), ("books", 120)):
        rows = [
            {"id": f"{name}-{n}", "topic": "law" if n % 3 else "art"}
            | {"text": f"{name} {n}: " + " ".join(rng.choice(words, 20 + int(rng.integers(60)))) + f" {n}."}
            for n in range(number)
        ]
        (made / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def config_of(folder, run_folder, **shards):
    sources = [source_of(folder / f"{name}.jsonl", name, id="id", keep=["topic"]) for name in ("web", "books")]
    return parse_config(run_config(run_folder, *sources, shards=SHARDS | shards))


@pytest.fixture(scope="module")
def phased(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("phased") / "run"

    def of(**shards):
        run(config_of(folder, place, **shards))
        return load_run(str(place))

    return of


def known(found):
    """What documents are, by number."""
    paths = [found.store.path(part.documents["path"]) for part in found.parts]
    return {row["doc"]: row for path in paths for row in pq.read_table(path).to_pylist()}


def train_rows(found):
    """Rows of split train in the stored order: the documents in each, with lengths of their pieces."""
    rows = []
    for shard in found.manifest["shards"]["splits"]["train"]["shards"]:
        for row in pq.read_table(found.store.path(f"{found.shards}/{shard['path']}")).to_pylist():
            docs = [piece["doc"] if isinstance(piece, dict) else piece for piece in row["docs"]]
            rows.append(list(zip(docs, row["doc_lens"], strict=False)))
    return rows


@pytest.mark.parametrize(
    "row", ["concat", *(pytest.param(row, marks=pytest.mark.slow) for row in ("best_fit", "window"))]
)
def test_phases_follow_each_other_and_are_told(phased, row):
    found = phased(row=row)
    main, anneal = found.manifest["shards"]["splits"]["train"]["phases"]
    rows, about = train_rows(found), known(found)
    assert (main["first_row"], main["first_token"], main["first_shard"]) == (0, 0, 0)
    assert anneal["first_row"] == main["rows"] and anneal["first_token"] == main["tokens"]
    assert main["rows"] + anneal["rows"] == len(rows)
    first, second = rows[: main["rows"]], rows[main["rows"] :]
    assert {about[doc]["keep.topic"] for row in second for doc, _ in row} == {"law"}
    assert {about[doc]["keep.topic"] for row in first for doc, _ in row} == {"law", "art"}
    if row != "window":
        tokens = Counter()
        for pieces in first:
            for doc, length in pieces:
                tokens[about[doc]["source"]] += length
        assert tokens["web"] / 3 == pytest.approx(tokens["books"], abs=100)
        assert sum(tokens.values()) == main["tokens"] == pytest.approx(12_000, abs=200)
        assert sum(length for row in second for _, length in row) == anneal["tokens"] == pytest.approx(3_000, abs=100)
    assert all(balance.expected == balance.found for balance in recount(found))
    assert not check_shards(found)
    twice = Counter(doc for row in second for doc in {doc for doc, _ in row}) & Counter(
        doc for r in first for doc in {d for d, _ in r}
    )
    for doc in list(twice)[:5]:  # `why` finds every copy in the rows that hold it
        places = explain(found, doc).places
        held = [number for number, row in enumerate(rows) if doc in {doc for doc, _ in row}]
        assert sorted({number for place in places for number in place.rows}) == held


@pytest.mark.slow
def test_splits_are_unaffected(phased):
    plain = phased(phases=[], max_tokens=12_000)
    expected = {n.split("/")[-1]: h for n, h in hashes(plain).items() if "/val" in n}
    assert expected == {n.split("/")[-1]: h for n, h in hashes(phased()).items() if "/val" in n}


@pytest.mark.slow
def test_one_phase_is_the_mixture_alone(phased):
    """Another name for the same: the same rows."""
    alone = phased(phases=[], mixture={"web": 3, "books": 1}, max_tokens=12_000)
    expected = train_rows(alone)
    found = phased()
    assert train_rows(found)[: len(expected)] == expected
    assert train_rows(phased(phases=PHASES[:1])) == expected


@pytest.mark.slow
def test_units_and_partitions_do_not_change_a_byte(phased, folder, tmp_path, monkeypatch):
    expected = hashes(phased(row="best_fit"))
    many_units(monkeypatch)
    many_partitions(monkeypatch)
    context = run(config_of(folder, tmp_path / "run", row="best_fit"))
    assert len(context.run.parts) > 3 and context.run.layout["partitions"] > 1
    assert hashes(load_run(str(tmp_path / "run"))) == expected


@pytest.mark.slow
def test_the_reader_reads_one_phase_or_all_in_order(phased):
    torch = pytest.importorskip("torch")
    from winnow.shards.dataset.torch_datasets import ShardDataset

    found = phased()
    main, anneal = found.manifest["shards"]["splits"]["train"]["phases"]

    def read(split, **more):
        settings = {"batch_size": 1, "rank": 0, "world_size": 1} | more
        rows = [inputs for inputs, _ in ShardDataset(found.store.path(found.shards), split=split, **settings)]
        return torch.cat(rows)

    whole, one, other = read("train"), read("train/main"), read("train/anneal")
    assert (len(one), len(other)) == (main["rows"], anneal["rows"])
    assert torch.equal(whole, torch.cat([one, other]))
    mixed = read("train", shuffle_first=True, mix_shards=100)
    assert not torch.equal(mixed, whole)
    assert sorted(map(tuple, mixed[: len(one)].tolist())) == sorted(map(tuple, one.tolist()))


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({"max_tokens": 5}, "leave mixture and max_tokens out"),
        ({"phases": [PHASES[0], PHASES[0]]}, "names must differ"),
        ({"phases": [{"name": "a b"}]}, "phases.0.name"),
        ({"phases": [{"name": "a", "mixture": {"web": 1}}]}, r"shards.phases.a.mixture must name every source once"),
        ({"phases": [{"name": "a", "mixture": {"wib": 1}}]}, "missing: .*web; no source is named wib"),
    ],
)
def test_settings_that_cannot_be(folder, tmp_path, shards, message):
    with pytest.raises(ConfigError, match=message):
        config_of(folder, tmp_path / "run", **shards)


def test_what_phases_cannot_reach_is_refused(phased):
    often = [
        PHASES[0],
        {"name": "more", "max_tokens": 10**6},
        {"name": "again", "mixture": {"by": "source", "repeats": {"*": 3}}},
    ]
    with pytest.raises(
        ConfigError, match=r"take a document 5 times, all phases together, over shards.max_epochs \(4\)"
    ):
        phased(phases=often)
    nothing = [PHASES[0], {"name": "late", "mixture": {"by": "topic", "weights": {"sea": 1, "*": 1}}}]
    with pytest.raises(ConfigError, match=r"shards.phases.late.mixture asks for documents of bucket sea, .*: \*$"):
        phased(phases=nothing)
