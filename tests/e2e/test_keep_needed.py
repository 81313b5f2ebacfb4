"""`compute.keep: needed`: less on the disk, the same shards, and nothing that a run or a question needs is missed."""

import orjson
import pyarrow.parquet as pq
import pytest

from tests.support.configs import sample_config
from tests.support.corpora import write_sample
from tests.support.finished import shards_of, text_files_of
from winnow.audit.verify.verify import check_shards, check_work, recount
from winnow.config.config import parse_config
from winnow.engine.release import RELEASED
from winnow.errors import ConfigError
from winnow.finished.explain import explain, find
from winnow.finished.shard_stats import shard_stats
from winnow.finished.tables import table_of, tables_of
from winnow.runs.run import run
from winnow.runs.state import load_run

GONE = {"bands", "edges", "candidates", "tokens"}
OF_SAMPLE = {
    ("assign", "members"),
    ("semantic_links", "edges"),
    ("semantic_candidates", "candidates"),
    ("prototype_clusters", "members"),
    ("prototypes", "drops"),
    ("sample_draw", "members"),
    ("sample_levels", "rows"),
    ("sample_ranges", "rows"),
    ("sample_ranges", "sums"),
    ("sample_places", "drops"),
}


def config_of(tmp_path, name, keep, **sections):
    compute = {"unit_mb": 1, "partition_mb": 1, "keep": keep}
    return parse_config(sample_config(tmp_path / "data", tmp_path / name, compute=compute, **sections))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with either setting."""
    folder = tmp_path_factory.mktemp("keep")
    write_sample(folder / "data", 120)
    for keep in ("all", "needed"):
        run(config_of(folder, keep, keep))
    return folder


def files_in(folder):
    return {path.name.split(".")[1] for path in (folder / "work").rglob("*.*") if path.suffix not in (".json",)}


def tables_in(folder):
    """Stages and their outputs, lists apart."""
    files = [path for path in (folder / "work").rglob("*.*") if path.suffix not in (".json", ".listing")]
    return {(path.parts[-3], path.name.split(".")[1]) for path in files}


def test_shards_are_the_same_and_tables_are_gone(runs):
    assert shards_of(runs / "all") == shards_of(runs / "needed")
    assert files_in(runs / "all") - files_in(runs / "needed") == GONE
    assert not (runs / "all" / RELEASED).exists()


def test_the_next_attempt_computes_nothing(runs):
    again = run(config_of(runs, "needed", "needed"))
    assert [stage.name for stage in again.engine.summaries if stage.reused < stage.units] == []
    assert len(again.engine.summaries) > 10


def test_what_is_asked_of_a_finished_run_is_answered(runs):
    one, less = (load_run(str(runs / keep)) for keep in ("all", "needed"))
    assert check_shards(less) == check_work(less, hashes=True) == []
    assert [str(balance) for balance in recount(one)] == [str(balance) for balance in recount(less)]
    assert [compression_of_texts(one), compression_of_texts(less)] == [{"LZ4"}, {"ZSTD"}]  # fast, and small
    assert shard_stats(one)["sources"] == shard_stats(less)["sources"]
    for name in ("web/1", "web/20", "web/0"):
        told = [explain(finished, find(finished, name)[0]) for finished in (one, less)]
        assert told[0] == told[1]
    assert "tokens" in tables_of(one) and "tokens" not in tables_of(less)
    with pytest.raises(ConfigError, match="removed by compute.keep: needed"):
        table_of(less, "tokens")


@pytest.mark.parametrize(
    "sections",
    [
        pytest.param({"shards": {"sequence_tokens": 127, "seed": 9}}, id="another seed"),
        pytest.param({"dedup": {"threshold": 0.7}}, id="another threshold", marks=pytest.mark.slow),
    ],
)
def test_what_other_settings_need_is_computed_again(runs, tmp_path, sections):
    (tmp_path / "data").symlink_to(runs / "data")
    for keep in ("needed", "all"):
        run(config_of(tmp_path, keep, keep))
        run(config_of(tmp_path, keep, keep, **sections))
    assert shards_of(tmp_path / "needed") == shards_of(tmp_path / "all")
    assert text_files_of(tmp_path / "needed") == text_files_of(tmp_path / "all")


def compression_of_texts(found):
    files = [pq.ParquetFile(found.store.columns_of(part.documents["path"])) for part in found.parts]
    columns = [file.schema_arrow.names.index("text") for file in files]
    return {file.metadata.row_group(0).column(at).compression for file, at in zip(files, columns, strict=True)}


@pytest.mark.slow
def test_tables_that_a_sample_was_found_with_go_and_another_budget_computes_them_again(runs, tmp_path):
    (tmp_path / "data").symlink_to(runs / "data")

    def both(tokens):
        select = {
            "encoder": {"dimensions": 32},
            "clusters": {"number": 5},
            "semantic": {"epsilon": 0.05},
            "prototypes": {"drop_share": 0.2},
            "sample": {"target_tokens": tokens, "cluster_temperature": 0.5},
        }
        for keep in ("all", "needed"):
            run(config_of(tmp_path, keep, keep, select=select))
        assert shards_of(tmp_path / "all") == shards_of(tmp_path / "needed")

    both(3_000)
    one, less = (load_run(str(tmp_path / keep)) for keep in ("all", "needed"))
    assert tables_in(tmp_path / "all") - tables_in(tmp_path / "needed") == OF_SAMPLE | {
        ("bands", "bands"),
        ("edges", "edges"),
        ("candidates", "candidates"),
        ("tokenise", "tokens"),
    }
    assert check_shards(less) == check_work(less, hashes=True) == []
    assert [str(balance) for balance in recount(one)] == [str(balance) for balance in recount(less)]
    again = run(less.config)
    assert all(stage.reused == stage.units for stage in again.engine.summaries)
    both(2_000)


def test_a_removal_that_was_cut_short_is_ended_by_the_next_attempt(runs, tmp_path):
    (tmp_path / "data").symlink_to(runs / "data")
    folder = tmp_path / "run"
    found = run(config_of(tmp_path, "run", "all"))
    tokens = found.run.of("tokenise")[0]
    name = f"work/tokenise/{tokens.fingerprint}/tokens"
    (folder / RELEASED).write_bytes(orjson.dumps({name: False}))
    (folder / tokens.outputs["tokens"].path).unlink()
    again = run(config_of(tmp_path, "run", "needed"))
    assert all(stage.reused == stage.units for stage in again.engine.summaries)
    assert "tokens" not in files_in(folder)
    assert orjson.loads((folder / RELEASED).read_bytes())[name]
