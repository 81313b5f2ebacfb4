"""Sizes, requests, hours and cost of a run: formulas by hand, and against figures of runs that were measured."""

import json
from dataclasses import replace

import pytest
import yaml

from jobs.plan_cluster import _node_table
from tests.support.commands import winnow
from tests.support.configs import unread_config
from winnow.config.config import parse_config
from winnow.errors import ConfigError
from winnow.runs.estimate.cluster import CORE_SECONDS_A_MB, Assumptions, NodeType, plan_cluster
from winnow.runs.estimate.requests import requests_of
from winnow.runs.estimate.sizes import Corpus, corpus_of, sizes_of

TERABYTE = Corpus(10**12, 25 * 10**10, 250_000_000)
SHARED_DISK = Assumptions(object_store=False)


def config(**more):
    return parse_config(unread_config(**more))


def node(cores=64, memory_gb=256.0, **more) -> NodeType:
    return NodeType("n", cores, memory_gb, **more)


def test_sizes_by_hand():
    sizes = sizes_of(Corpus(10**9, 10**9, 100_000), config(), 4)
    assert sizes.parts == 16  # of 64 MB
    assert sizes.tokens == 230_000_000
    assert sizes.tables["shards"] == sizes.tables["tokens"] == 920_000_000
    assert sizes.tables["shuffle"] == 690_000_000  # three bytes an id
    assert sizes.fullest_bytes == sizes.written_bytes
    less = sizes_of(Corpus(10**9, 10**9, 100_000), config(compute={"keep": "needed"}), 4)
    assert less.fullest_bytes == 300_000_000 + 105_200_000 + 6_000_000 + 920_000_000 + 690_000_000
    far = sizes_of(Corpus(10**9, 10**9, 100_000), config(run="s3://bucket/run"), 4)
    assert [found.tables["text and signals"] for found in (sizes, less, far)] == [450_000_000, 300_000_000, 300_000_000]
    assert sizes.tables["signatures"] == 100_000 * (256 * 4 + 28)
    assert sizes.tables["bands"] == 100_000 * 32 * 16
    assert sizes.tables["candidates"] == pytest.approx(29_000 * (1024 + 64) + 180_000_000, abs=2)
    assert (sizes.band_partitions, sizes.candidate_partitions, sizes.shards) == (1, 1, 4)
    assert sizes.files == 16 * 12 + 1 + 1 + 4
    assert sizes.records == 16 * 8 + 1 + 1 + 4
    assert sizes_of(Corpus(10**9, 10**9, 100_000), config(), 2, 10**8).tables["shards"] == 2 * 10**8
    without = sizes_of(Corpus(10**9, 10**9, 100_000), config(dedup="off"), 4)
    assert without.tables["bands"] == without.tables["candidates"] == without.band_partitions == 0
    assert without.files < sizes.files
    signature = sizes_of(Corpus(10**9, 10**9, 100_000), config(dedup={"verify": "signature"}), 4)
    assert signature == sizes  # pairs near the threshold need the sets, too
    estimate = sizes_of(Corpus(10**9, 10**9, 100_000), config(dedup={"verify": "estimate"}), 4)
    assert sizes.tables["candidates"] - estimate.tables["candidates"] == 180_000_000
    two = sizes_of(Corpus(10**9, 10**9, 100_000), config(shards={"formats": ["parquet", "raw"]}), 4)
    assert two.tables["shards"] == 2 * 920_000_000


def test_requests_grow_with_parts_times_partitions():
    def reads(unit_mb: int, partition_mb: int) -> int:
        settings = config(compute={"unit_mb": unit_mb, "partition_mb": partition_mb})
        return requests_of(TERABYTE, sizes_of(TERABYTE, settings, 4)).exchange_reads

    sizes = sizes_of(TERABYTE, config(compute={"unit_mb": 64, "partition_mb": 256}), 4)
    shards = 15_625 * 3594 * 2  # every shard reads of every file of the shuffle
    assert sizes.shards == 3594
    expected = 15_625 * (500 * 2 + sizes.candidate_partitions * 4) + shards
    assert reads(64, 256) == requests_of(TERABYTE, sizes).exchange_reads == expected
    assert reads(256, 256) == pytest.approx(expected / 4, rel=0.01)
    assert reads(256, 1024) == pytest.approx((expected - shards) / 16 + shards / 4, rel=0.01)


def test_units_of_a_large_corpus_grow_as_far_as_memory_goes():
    def grown(text_bytes: int, memory_mb: int = 2048, **compute) -> tuple[int, int]:
        settings = config(compute={"worker_memory_mb": memory_mb, **compute})
        sizes = sizes_of(Corpus(text_bytes, text_bytes, 1000), settings, 4)
        assert sizes.parts == -(-text_bytes // (sizes.work.unit_mb * 10**6))
        return sizes.work.unit_mb, sizes.work.partition_mb

    assert grown(256 * 10**6) == grown(262 * 10**9) == (64, 256)
    assert grown(10**6) == grown(44 * 10**6) == (8, 256) and grown(123 * 10**6) == (16, 256)
    assert grown(263 * 10**9) == (128, 256)
    assert grown(10**12) == grown(10**13) == (256, 256)
    assert grown(10**12, 8192) == (256, 1024)
    assert grown(10**13, 8192) == (1024, 1024)
    assert grown(10**13, 256) == (64, 256)
    assert grown(10**12, 8192, unit_mb=3) == (3, 1024)
    assert grown(10**12, 8192, partition_mb=5) == (256, 5)


def test_hours_by_hand():
    one_unit = config(dedup={"components": "one_unit"})
    plan = plan_cluster(TERABYTE, one_unit, 4, node(price=2.0), replace(SHARED_DISK, efficiency=1.0, head_price=0.5))
    core_seconds = sum(CORE_SECONDS_A_MB.values()) * 1e6
    assert 1e6 / core_seconds == pytest.approx(23.7, rel=0.01)  # the published rate
    on = plan.on(4)
    assert on.limit == "cores"
    assert on.workers == 256
    assert on.hours * 3600 == pytest.approx(9.4 + core_seconds / 256 + 145)
    assert on.cost == pytest.approx(on.hours * 8.5)
    assert plan.components_memory_gb == pytest.approx(6.1, rel=0.01)  # 5.8 was measured for so many documents
    rounds = plan_cluster(TERABYTE, config(), 4, node(), replace(SHARED_DISK, efficiency=1.0))
    assert rounds.in_rounds and rounds.components_memory_gb == 2.048  # 250 million documents fit no worker of 2 GB
    assert rounds.on(4).hours * 3600 == pytest.approx(9.4 + (core_seconds + 200) / 256)
    assert not plan_cluster(TERABYTE, config(compute={"worker_memory_mb": 32_000}), 4, node(), SHARED_DISK).in_rounds
    half = plan_cluster(TERABYTE, one_unit, 4, node(), SHARED_DISK)
    assert half.on(4).hours * 3600 == pytest.approx(9.4 + 2 * core_seconds / 256 + 145)
    assert half.on(4).cost is None


def test_what_limits():
    slow = plan_cluster(TERABYTE, config(), 4, node(), replace(SHARED_DISK, storage_mb_s=1000.0))
    assert slow.on(16).limit == "storage"
    assert slow.on(16).hours == pytest.approx((slow.moved_bytes / 1e9 + 9.4) / 3600)
    assert slow.nodes_for(0.5) is None
    wired = plan_cluster(TERABYTE, config(), 4, node(network_gbit=8.0), SHARED_DISK)
    assert wired.on(1).limit == "network"
    assert wired.on(1).hours == pytest.approx((wired.moved_bytes / 1e9 + 9.4) / 3600)
    stored = plan_cluster(
        TERABYTE, config(), 4, node(price=1.0), Assumptions(object_store=True, read_price=0.0004, write_price=0.005)
    )
    assert stored.on(16).limit == "requests"
    cost = (stored.requests.reads * 0.0004 + stored.requests.writes * 0.005) / 1000
    assert stored.on(16).cost == pytest.approx(stored.on(16).hours * 16 + cost)


def test_a_node_has_workers_for_its_memory():
    assert node(64, 256).workers(2048) == 64
    assert node(64, 128).workers(2048) == 50  # 124 GB of 2.46 each
    plan = plan_cluster(TERABYTE, config(), 4, node(4, 6.0), SHARED_DISK)
    with pytest.raises(ValueError, match="no room for one worker of 2,048 MB"):
        plan.on(1)


@pytest.mark.parametrize("hours", [0.2, 0.31, 1.0, 7.0, 100.0])
def test_nodes_for_hours_are_the_fewest(hours):
    plan = plan_cluster(TERABYTE, config(), 4, node(16), SHARED_DISK)
    found = plan.nodes_for(hours)
    assert plan.on(found).hours <= hours
    assert found == 1 or plan.on(found - 1).hours > hours


@pytest.mark.parametrize(
    ("megabytes", "documents", "seconds", "written"),
    [(405.2, 54_713, 19.2, 1_300), (1_217.0, 164_139, 39.0, 3_990), (1_623.1, 218_852, 47.1, 5_170)],
)
def test_runs_that_were_measured(megabytes, documents, seconds, written):
    """docs/performance.md, End to end and Growth: 2 cores; bytes less what zstd and three bytes an id save since."""
    corpus = Corpus(int(megabytes * 1e6), int(megabytes * 1e6 / 5), documents)
    plan = plan_cluster(corpus, config(), 4, node(2, 16.0), SHARED_DISK)
    assert plan.on(1).hours * 3600 == pytest.approx(seconds, rel=0.1)
    assert plan.sizes.written_bytes / 1e6 == pytest.approx(written, rel=0.1)


def test_select_without_a_rate_is_unknown():
    settings = config(select={"encoder": {"model": "/models/m"}})
    assert plan_cluster(TERABYTE, settings, 4, node(), SHARED_DISK).embed_gpu_hours is None
    known = plan_cluster(TERABYTE, settings, 4, node(), replace(SHARED_DISK, embed_documents_s=1000.0))
    assert known.embed_gpu_hours == pytest.approx(250_000_000 / 1000 / 3600)
    assert "select" in known.core_hours
    assert "dedup" not in plan_cluster(TERABYTE, config(dedup="off"), 4, node(), SHARED_DISK).core_hours
    assert corpus_of(9_000, 3_000) == Corpus(9_000, 3_000, 2)


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(unread_config("s3://bucket/run", "/nowhere/*.jsonl")))
    return str(path)


def test_the_command(written, tmp_path):
    line = ["plan", written, "--cluster", "--corpus-gb", "1000"]
    code, output = winnow(*line, "--node", "c7a.16xlarge", "--nodes", "3", "--json")
    assert code == 0, output
    told = json.loads(output)
    (estimate,) = told["estimates"]
    assert estimate["nodes"] == 3
    assert told["node"]["cores"] == 64
    assert told["given"]["object_store"]
    assert estimate["cost"] > told["request_cost"] > 0
    code, output = winnow(*line, "--cores", "64", "--memory-gb", "256", "--price", "2.5")
    assert code == 0, output
    for part in ("1.00 TB of text", "64 workers", "requests", "components step", "nodes", "$"):
        assert part in output, part
    own = tmp_path / "mine.yaml"
    own.write_text("nodes: {mine: {cores: 8, memory_gb: 64}}")
    code, output = winnow(*line, "--node", "mine", "--node-types", str(own), "--nodes", "1")
    assert code == 0, output
    assert "no price is known" in output


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "needs a kind of node"),
        (["--node", "c9z.huge"], "not in the table (c7a.4xlarge"),
        (["--cores", "4", "--memory-gb", "6"], "no room for one worker"),
        (["--cores", "4", "--memory-gb", "64", "--hours", "0.001"], "no number of nodes ends sooner"),
        (["--node", "x", "--node-types", "{tmp}/none.yaml"], "No such file"),
        (["--node", "x", "--node-types", "{tmp}/c.yaml"], "not a table of nodes"),
        (["--corpus-gb", "inf", "--cores", "4", "--memory-gb", "64"], "--corpus-gb inf: expected a number"),
        (["--cores", "4", "--memory-gb", "inf"], "--memory-gb inf: expected a number"),
        (["--cores", "4", "--memory-gb", "64", "--storage-mb-s", "nan"], "--storage-mb-s"),
    ],
)
def test_what_cannot_be_planned_is_refused(written, tmp_path, more, says):
    more = [part.format(tmp=tmp_path) for part in more]
    code, output = winnow("plan", written, "--cluster", "--corpus-gb", "1000", *more)
    assert code == 2, output
    assert says in output


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"nodes": {"x": {"cores": -4, "memory_gb": 128}}}, "cores of node 'x' is -4, not a whole number above 0"),
        ({"nodes": {"x": {"cores": None, "memory_gb": 128}}}, "cores of node 'x' is None"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": float("nan")}}}, "memory_gb of node 'x' is nan"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": 64, "network_gbit": 0}}}, "network_gbit of node 'x' is 0"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": 64, "price": "cheap"}}}, "price of node 'x' is 'cheap'"),
        ({"nodes": {1: {"cores": 4, "memory_gb": 64}}}, "the name of node 1 is not a string"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": 64}}, "requests": None}, "not a table of nodes"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": 64}}, "requests": {"reads": "few"}}, "reads of requests is 'few'"),
        ({"nodes": {"x": {"cores": 4, "memory_gb": 64}}, "head": ["x"]}, "head is ['x'], not one of its nodes"),
    ],
)
def test_a_table_with_which_nothing_can_be_reckoned_is_refused(tmp_path, table, says):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(table))
    with pytest.raises(ConfigError) as refused:
        _node_table(path)
    assert says in str(refused.value)


@pytest.mark.parametrize("more", [["--json"], ["--nodes", "2"], ["--node", "c7a.4xlarge"]])
def test_options_of_a_cluster_alone_are_not_passed_over(written, more):
    code, output = winnow("plan", written, *more)
    assert code == 2, output
    assert "belong to --cluster" in output
