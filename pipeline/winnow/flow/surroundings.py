"""What documents are met with besides the code: the machine, versions, models, and the settings that work on texts.

A document that ends its process may be no worse than any other where one of these is different: a library is mended, a
model's folder is whole again, a machine has more memory. So quarantine holds for these surroundings only.
"""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from winnow.config.config import Config
from winnow.engine.quarantine import met_by, release
from winnow.engine.records import Json, content_hash
from winnow.flow.operators import late_versions
from winnow.flow.select import encoder_files
from winnow.stages.ingest.extractors import extractors_of
from winnow.storage.store import Store
from winnow.tokens.vocabulary import Vocabulary
from winnow.version import winnow_version

LIBRARIES = (
    "ftfy",
    "gigatoken",
    "numba",
    "numpy",
    "py3langid",
    "pyarrow",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
)
"""Whose code works on texts, or below what does."""


def surroundings_of(config: Config, vocabulary: Vocabulary | None) -> Json:
    """Machine, versions, models and settings of a run: equal where its documents meet the same.

    Raises:
        ConfigError: the encoder's model cannot be used.
    """
    entries = (*config.measure.operators, *extractors_of(config.sources))
    operators = [entry.found.fingerprint for entry in entries]
    tokeniser = [None if vocabulary is None else vocabulary.sha256, config.structured]
    on_texts = config.model_dump(
        mode="json",
        include={"measure": True, "tokenise": True, "dedup": {"minhash", "lines"}, "select": {"encoder"}},
        exclude={
            "measure": {"operators"},
            "tokenise": {"encoding", "check_share", "cache_mb"},
            "select": {"encoder": {"model"}},
        },
    )
    return {
        "machine": f"{machine()}, worker_memory_mb {config.compute.worker_memory_mb}",
        "versions": _versions(),
        "models": content_hash([tokeniser, operators, encoder_files(config)], 16),
        "settings": content_hash(on_texts, 16),
    }


def machine() -> str:
    """Kind of machine that this process runs on: architecture, processor, memory in GB."""
    return f"{platform.system()} {platform.machine()}, {_field('/proc/cpuinfo', 'model name')}, {_memory_gb()} GB"


def release_outdated(store: Store, config: Config, surroundings: Json) -> int:
    """Take documents out of quarantine that were met with something else than there is now; returns how many."""
    met = met_now(config, surroundings)
    return len(release(store, lambda _doc, by: by not in met))


def met_now(config: Config, surroundings: Json) -> frozenset[str]:
    """What documents can be quarantined for: these surroundings, and operators on GPUs as they are."""
    return frozenset({met_by(surroundings)}) | late_versions(config)


def _versions() -> Json:
    found: Json = {"python": platform.python_version(), "winnow": winnow_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), platform.processor())


def _memory_gb() -> int:
    kilobytes = _field("/proc/meminfo", "MemTotal").split()
    return round(int(kilobytes[0]) / 1e6) if kilobytes and kilobytes[0].isdigit() else 0
