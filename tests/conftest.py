"""What all tests share: one Ray for the session, and where the shared test data may be."""

import gc
import gzip
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.fake_hub import hub  # noqa: F401  # fixture
from tests.support.objects_server import _one_server, s3  # noqa: F401  # fixtures

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
# for processes that tests start: a checkout needs no installation
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT / "pipeline"), str(ROOT), os.environ.get("PYTHONPATH")])
)

# What is synced outlives a loss of power, which no test is about: milliseconds, ten thousands of times.
os.fsync = os.fstat


def pytest_collection_finish() -> None:
    """What each run in this process would read anew is read once, and what is there now is no garbage of later.

    Thousands of collected tests would be gone through by each search for garbage, and by those of every forked child,
    which then copies their pages. And there are fewer searches: a client of S3 alone makes half a million objects.
    """
    read_once = {
        "winnow.tokens.vocabulary": "parse_ranks",
        "winnow.stages.versions": "version",
        "winnow.flow.surroundings": "version",
    }
    for module, name in read_once.items():
        if module in sys.modules:
            setattr(sys.modules[module], name, lru_cache(16)(getattr(sys.modules[module], name)))
    if "winnow.tokens.rank_files" in sys.modules:
        sys.modules["winnow.tokens.rank_files"].gzip = SimpleNamespace(decompress=lru_cache(2)(gzip.decompress))
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="session")
def shared() -> Path:
    if not (SHARED / "corpus").is_dir():
        pytest.skip("needs the shared test corpus in a folder `shared` beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def local_ray():
    import ray

    with tempfile.TemporaryDirectory(prefix="wr", dir="/tmp") as folder:  # short: Unix socket paths are limited
        ray.init(
            num_cpus=2,
            num_gpus=1,  # pretended: only stages that can use one ask for it
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=100 * 2**20,
            configure_logging=False,
            _temp_dir=folder,
        )
        yield
        ray.shutdown()
