"""A whole run whose object store is behind a network with latency, stalls longer than its patience, and resets."""

import pytest

from tests.support.bad_network import BadNetwork, Weather
from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.finished import shards_of
from winnow.audit.verify.verify import check_shards, recount
from winnow.config.config import parse_config
from winnow.runs.run import run
from winnow.runs.state import load_run
from winnow.storage.object_files import forget_clients

pytestmark = pytest.mark.slow
BUCKET = "winnow-bad-network"
SHARDS = {"sequence_tokens": 127, "shard_mb": 1, "splits": {"val": 0.1}}
WEATHER = Weather(latency_s=0.02, resets=0.02, stalls=0.01, stall_s=4.0)


@pytest.mark.parametrize("executor", ["inline", "processes"])
def test_latency_stalls_and_resets_change_no_byte(executor, s3, tmp_path, monkeypatch):
    import s3fs

    write_sample(tmp_path / "data", 30)
    compute = {"executor": executor, "workers": 2, "max_unreadable_share": 0.1}
    here = sample_config(tmp_path / "data", tmp_path / "run", shards=SHARDS, compute=compute)
    run(parse_config(here | {"compute": {"executor": "inline", "max_unreadable_share": 0.1}}))
    s3fs.S3FileSystem().makedirs(BUCKET, exist_ok=True)
    with BadNetwork(s3.port, WEATHER).running() as network:
        monkeypatch.setenv("AWS_ENDPOINT_URL", network.endpoint)
        forget_clients()
        # the client gives up a silent connection after 3 s, and asks 3 times by itself
        storage = {"retries": 8, "timeout_seconds": 3, "scratch": str(tmp_path / "scratch")}
        context = run(parse_config(here | {"run": f"s3://{BUCKET}/{executor}", "storage": storage}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    forget_clients()
    assert network.did["resets"] > 3 and network.did["stalls"] > 1, network.did
    assert shards_of(f"s3://{BUCKET}/{executor}") == shards_of(tmp_path / "run")
    finished = load_run(f"s3://{BUCKET}/{executor}")
    assert check_shards(finished) == []
    assert all(balance.expected == balance.found for balance in recount(finished))
    left = [path for path in context.engine.store.files_below("") if ".draft" in path or "lease" in path]
    assert left == []
