"""Environments of the libraries that read our shards, or bring real files: one each, as their pins exclude each other.

``python -m tests.formats.environments [NAME ...]`` makes those that are missing under ``.venv-formats`` (or
``WINNOW_FORMAT_ENVIRONMENTS``). Each holds the library itself and what this Python lacks of its imports; everything
else (torch, numpy, ...) is taken from this Python's own environment, so that they stay small.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import venv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(os.environ.get("WINNOW_FORMAT_ENVIRONMENTS", Path(__file__).resolve().parents[2] / ".venv-formats"))


@dataclass(frozen=True)
class Library:
    """A library, the version that the tests were written with, and what its import needs."""

    pin: str
    check: str
    """What a reader script imports."""
    needs: dict[str, str]
    """Module -> pin, installed only where this Python has no such module."""
    reads_shards: bool = True
    """Or is here for the files that it brings."""
    vision_stub: bool = False
    """It imports torchvision, of which nothing here uses anything: a stub takes its place (hundreds of MB less)."""


AWS = {
    "boto3": "boto3==1.44.5",
    "botocore": "botocore==1.44.5",
    "jmespath": "jmespath==1.1.0",
    "s3transfer": "s3transfer==0.19.3",
    "dateutil": "python-dateutil",
    "six": "six",
}
HUB = {"huggingface_hub": "huggingface_hub>=1.31"}
LIBRARIES = {
    "mds": Library(
        "mosaicml-streaming==0.13.0",
        "from streaming import MDSWriter, StreamingDataset",
        {
            "brotli": "brotli==1.2.1",
            "catalogue": "catalogue==2.0.10",
            "cramjam": "cramjam==2.14.0",
            "PIL": "pillow==13.0.0",
            "snappy": "python-snappy==0.7.3",
            "zstd": "zstd==1.5.7.2",
            "transformers": "transformers==5.23.0",
            "safetensors": "safetensors",
            "regex": "regex",
            **HUB,
        },
        vision_stub=True,
    ),
    "litdata": Library(
        "litdata==0.2.76",
        "from litdata.streaming import StreamingDataset, TokensLoader",
        {**AWS, "lightning_utilities": "lightning-utilities==0.15.3"},
        vision_stub=True,
    ),
    "megatron": Library(
        "megatron-core==0.16.1",
        "from megatron.core.datasets import gpt_dataset, indexed_dataset",
        {},
    ),
    "datatrove": Library(
        "datatrove==0.10.1",
        "from datatrove.utils.dataset import DatatroveFolderDataset; assert isinstance(DatatroveFolderDataset, type)",
        {"loguru": "loguru==0.7.3", **HUB},
    ),
    "olmo": Library(
        "ai2-olmo-core==3.0.0",
        "import olmo_core.data",
        {
            **AWS,
            "bettermap": "bettermap==1.3.1",
            "cached_path": "cached_path==1.8.10",
            "dataclass_extensions": "dataclass_extensions==0.5.0",
            "dill": "dill==0.4.1",
            "google.auth": "google-auth",
            "google.api_core": "google-api-core",
            "google.cloud.core": "google-cloud-core==2.8.0",
            "google.cloud.storage": "google-cloud-storage==3.17.1",
            "google.resumable_media": "google-resumable-media==2.11.0",
            "google_crc32c": "google-crc32c",
            **HUB,
        },
    ),
    "datasets": Library(
        "datasets==5.2.0",
        "import datasets",
        {"dill": "dill==0.4.1", "multiprocess": "multiprocess==0.70.19", "pandas": "pandas", **HUB},
    ),
    "gensim": Library(
        "gensim==4.4.0",
        "import gensim.corpora.wikicorpus",
        {"smart_open": "smart_open", "wrapt": "wrapt"},
        reads_shards=False,
    ),
}
_STUB = {
    "__init__.py": "",
    "datasets/__init__.py": "class VisionDataset:\n    pass\n",
    "transforms/__init__.py": "",
    "transforms/functional.py": "def to_tensor(picture):\n    raise NotImplementedError\n",
}


def python_of(name: str) -> Path:
    """The environment's interpreter; it is there once the environment is complete."""
    return FOLDER / name / "bin" / "winnow-python"


def make(name: str) -> str | None:
    """Make one environment; returns what went wrong, or None."""
    library, folder = LIBRARIES[name], FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False)
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    (packages / "zz_shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wanted = [library.pin, *(pin for module, pin in library.needs.items() if not _has(module))]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    result = subprocess.run([*pip, "--target", packages, *wanted], capture_output=True, text=True, check=False)
    if result.returncode:
        return f"installing {', '.join(wanted)} failed: {_last_line(result.stderr)}"
    for path, content in (_STUB if library.vision_stub and not _has("torchvision") else {}).items():
        target = packages / "torchvision" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    result = subprocess.run(
        [folder / "bin" / "python", "-c", library.check], capture_output=True, text=True, check=False
    )
    if result.returncode:
        return f"{library.pin} was installed, but cannot be imported: {_last_line(result.stderr)}"
    python_of(name).symlink_to("python")
    return None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def main() -> int:
    """Make what is missing; 1 if something could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(LIBRARIES)}")
    failed = 0
    for name in parser.parse_args().names or LIBRARIES:
        if python_of(name).exists():
            print(f"{name}: there already ({LIBRARIES[name].pin})")
            continue
        started = time.monotonic()
        fault = make(name)
        size = sum(p.stat().st_size for p in (FOLDER / name).rglob("*") if p.is_file()) / 1e6
        outcome = fault or f"{LIBRARIES[name].pin}, {size:,.0f} MB"
        print(f"{name}: {outcome}, {time.monotonic() - started:,.1f} s", flush=True)
        if fault:
            (FOLDER / name / "failed.txt").write_text(fault)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
