"""`tokenise.dropout` through whole runs: drawn ids in split train alone, the same every time."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import winnow
from tests.support.configs import run_config, source_of
from tests.support.corpora import article
from tests.support.finished import ledger, shards_of
from tests.support.small_work import many_partitions, many_units
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.run import load_run_vocabulary, run
from winnow.runs.state import load_run
from winnow.stages.tables import read_ipc, read_parquet

SHARDS = {"sequence_tokens": 127, "splits": {"val": 0.3}, "seed": 4}


@pytest.fixture(scope="module")
def at(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dropout")
    rng = random.Random(2)
    rows = [{"id": f"d{n}", "text": article(rng, rng.randint(10, 30))} for n in range(40)]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def config_of(at: Path, run_folder: Path, rate: float | None, epoch: int = 0, **more) -> dict:
    tokenise = {} if rate is None else {"dropout": rate}
    source = source_of(at / "in.jsonl", "a", id="id")
    return run_config(run_folder, source, tokenise=tokenise, shards=SHARDS | {"epoch": epoch}, **more)


def ids_of(folder: Path) -> dict[str, list[int]]:
    finished = load_run(str(folder))
    found = {}
    for part, record in zip(finished.parts, finished.of("tokenise"), strict=True):
        names = read_parquet(finished.store, part.documents, ["doc", "id"])
        by_doc = dict(zip(names.column("doc").to_pylist(), names.column("id").to_pylist(), strict=True))
        table = read_ipc(finished.store, record.outputs["tokens"].reference())
        found |= {by_doc[row["doc"]]: row["ids"] for row in table.to_pylist()}
    return found


@pytest.fixture(scope="module")
def drawn(at) -> Path:
    run(parse_config(config_of(at, at / "drawn", 0.1)))
    return at / "drawn"


def test_train_is_drawn_and_the_rest_is_not(at, drawn):
    run(parse_config(config_of(at, at / "plain", None)))
    plain, found = ids_of(at / "plain"), ids_of(drawn)
    splits = {name: row["split"] for name, row in ledger(drawn).items()}
    assert set(splits.values()) == {"train", "val"}
    assert plain.keys() == found.keys()
    assert all(found[name] == ids for name, ids in plain.items() if splits[name] == "val")
    assert all(found[name] != ids for name, ids in plain.items() if splits[name] == "train")
    vocabulary = load_run_vocabulary(load_run(str(drawn)).config)
    decode = {name: vocabulary.decode(np.array(ids, np.uint32)) for name, ids in found.items()}
    assert decode == {name: vocabulary.decode(np.array(ids, np.uint32)) for name, ids in plain.items()}
    more = sum(map(len, found.values())) - sum(map(len, plain.values()))
    code, told = winnow("summary", str(drawn))
    trained = sum(split == "train" for split in splits.values())
    assert code == 0
    assert f"BPE-dropout 0.1, seed 4, epoch 0: the ids of {trained} documents are drawn, {more:,} more tokens" in told
    run(parse_config(config_of(at, at / "zero", 0.0)))
    keys = [[record.key for record in load_run(str(at / name)).of("tokenise")] for name in ("plain", "zero")]
    assert keys[0] == keys[1]  # of runs that draw nothing, nothing has changed


def test_another_epoch_draws_anew_and_computes_nothing_else(at, drawn, tmp_path):
    before = ids_of(drawn)
    context = run(parse_config(config_of(at, drawn, 0.1, epoch=1)))
    again = ids_of(drawn)
    assert sum(before[name] != ids for name, ids in again.items()) > 20
    reused = {stage.name: stage.reused for stage in context.run.observed.stages}
    assert all(reused[name] for name in ("measure", "filter", "decide"))
    assert not reused["tokenise"]
    run(parse_config(config_of(at, drawn, 0.1)))
    assert ids_of(drawn) == before


def test_the_same_bytes_in_small_units_and_on_two_workers(at, drawn, tmp_path, monkeypatch):
    with monkeypatch.context() as small:
        many_units(small)
        many_partitions(small)
        run(parse_config(config_of(at, tmp_path / "small", 0.1)))
    assert shards_of(tmp_path / "small") == shards_of(drawn)
    two = {"executor": "processes", "workers": 2}
    run(parse_config(config_of(at, tmp_path / "two", 0.1, compute=two)))
    assert shards_of(tmp_path / "two") == shards_of(drawn)


def test_what_cannot_be_drawn_is_refused_before_any_work(at, tmp_path):
    chats = source_of(at / "in.jsonl", "a", messages="text")
    with pytest.raises(ConfigError, match="tokenise.dropout is for plain texts"):
        parse_config(run_config(tmp_path / "r", chats, tokenise={"dropout": 0.1}))
    words = tmp_path / "vocab.txt"
    words.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]))
    config = config_of(at, tmp_path / "r", 0.1)
    config["tokenise"]["encoding"] = str(words)
    with pytest.raises(ConfigError, match="tokenise.dropout needs a rank file with a named split pattern"):
        run(parse_config(config))
    assert not (tmp_path / "r" / "work" / "measure").exists()
