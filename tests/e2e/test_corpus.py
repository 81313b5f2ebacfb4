"""The shared corpus, 408 MB of real text, through the real command: the promises at their full width."""

import hashlib
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.configs import corpus_config
from tests.support.processes import command, kill_when
from winnow.audit.verify.verify import check_shards, recount
from winnow.runs.run import load_run_vocabulary
from winnow.runs.state import load_run

pytestmark = pytest.mark.slow


def config(shared: Path, run: Path, **compute) -> dict:
    return corpus_config(shared, run, shards={"shard_mb": 32}, compute=compute)


def hashes(run: Path) -> dict[str, str]:
    splits = load_run(str(run)).manifest["shards"]["splits"]
    return {shard["path"]: shard["sha256"] for split in splits.values() for shard in split["shards"]}


@pytest.fixture(scope="module")
def on_two_workers(shared, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    run = folder / "run"
    subprocess.run(command(config(shared, run, executor="ray", workers=2), folder / "c.yaml"), check=True)
    return run


def test_the_books_close_and_the_shards_are_whole(on_two_workers):
    finished = load_run(str(on_two_workers))
    assert finished.manifest["books"]["records"] == 54_713
    assert check_shards(finished) == []
    assert all(balance.expected == balance.found for balance in recount(finished))


def test_all_shards_decode_to_exactly_the_kept_documents(on_two_workers):
    finished = load_run(str(on_two_workers))
    vocabulary = load_run_vocabulary(finished.config)
    expected: dict[str, Counter[bytes]] = {name: Counter() for name in finished.config.shards.split_names}
    for part, decided in zip(finished.parts, finished.of("decide"), strict=True):
        texts = pq.read_table(finished.store.path(part.documents["path"]), columns=["text"]).column("text")
        decisions = pq.read_table(finished.store.path(decided.outputs["decisions"].path), columns=["split"])
        for text, split in zip(texts.to_pylist(), decisions.column("split").to_pylist(), strict=True):
            if split is not None:
                expected[split][hashlib.sha256(text.encode()).digest()] += 1
    for name, split in finished.manifest["shards"]["splits"].items():
        found: Counter[bytes] = Counter()
        rest = np.empty(0, np.uint32)
        for shard in split["shards"]:
            table = pq.read_table(finished.store.path(f"{finished.shards}/{shard['path']}"))
            ids = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("input_ids").chunks])
            stream = np.concatenate([rest, ids[: shard["tokens"]]])  # behind them only padding
            ends = np.flatnonzero(stream == vocabulary.end_of_text)
            for piece in np.split(stream, ends + 1)[:-1]:
                found[hashlib.sha256(vocabulary.decode(piece[:-1])).digest()] += 1
            rest = stream[ends[-1] + 1 :] if len(ends) else stream
        assert len(rest) == 0
        assert found == expected[name]


def test_one_process_and_other_unit_sizes_give_the_same_bytes(shared, on_two_workers, tmp_path):
    small = config(shared, tmp_path / "run", executor="inline", unit_mb=24, partition_mb=16, worker_memory_mb=1024)
    subprocess.run(command(small, tmp_path / "c.yaml"), check=True, stdout=subprocess.DEVNULL)
    assert hashes(tmp_path / "run") == hashes(on_two_workers)


def test_one_worker_killed_three_times_gives_the_same_bytes(shared, on_two_workers, tmp_path):
    run = tmp_path / "run"
    line = command(config(shared, run, executor="processes", workers=1), tmp_path / "c.yaml")
    moments = ("work/measure/*/*.json", "work/tokenise/*/*.json", "work/shards/*/*.json")
    kills = [kill_when(line, lambda pattern=pattern: len(list(run.glob(pattern))) >= 2) for pattern in moments]
    assert all(kills)
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    assert hashes(run) == hashes(on_two_workers)
    assert check_shards(load_run(str(run))) == []
