"""What turns texts into vectors: the settings, and the two halves that every encoder has.

``prepare`` runs on CPUs (words or tokens), ``embed`` where the model is (a GPU, if there is one). Between them stands
an Arrow array, so that the halves can run in different processes.
"""

from functools import cache
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from winnow.select.encoder_config import HASHING, EncoderConfig
from winnow.select.kernels.hashing import project
from winnow.text.words import hash_words


class Encoder(Protocol):
    """Texts to vectors, in two halves."""

    dimensions: int

    def prepare(self, texts: pa.Array) -> pa.Array:
        """The CPU half: what ``embed`` needs of large_string[N], one entry a text."""

    def embed(self, prepared: pa.Array) -> NDArray[np.float32]:
        """The other half: float32[N, D]."""


class HashingEncoder:
    """Hashed word n-grams under a random projection: nothing to install, nothing to download."""

    def __init__(self, config: EncoderConfig) -> None:
        self.config = config
        self.dimensions = config.dimensions

    def prepare(self, texts: pa.Array) -> pa.Array:
        """Vectors already: there is no other half."""
        words = hash_words(texts)
        config = self.config
        sums = project(
            words.hashes, words.offsets, config.dimensions, config.ngrams, config.max_tokens or 1 << 62, config.seed
        )
        flat = pa.array(sums.astype(np.float32).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, config.dimensions)

    def embed(self, prepared: pa.Array) -> NDArray[np.float32]:
        """float32[N, D] sums of signed n-grams."""
        values: NDArray[np.float32] = prepared.flatten().to_numpy().reshape(-1, self.dimensions)
        return values


def encoder_of(settings: dict[str, Any], model: str) -> Encoder:
    """The encoder of some :func:`encoder_settings`; ``model`` says where it lies on this machine."""
    config = {name: value for name, value in settings["config"].items() if name != "kind"} | {"model": model}
    return _load_encoder(orjson.dumps({"config": config, "files": settings.get("files")}))


@cache
def _load_encoder(settings: bytes) -> Encoder:
    """One a process, since models are large."""
    values = orjson.loads(settings)
    config = EncoderConfig.model_validate_json(orjson.dumps(values["config"]))
    if config.model == HASHING:
        return HashingEncoder(config)
    from winnow.select.model_folder import model_folder  # noqa: PLC0415 - not needed for hashing
    from winnow.select.transformer import TransformerEncoder  # noqa: PLC0415

    return TransformerEncoder(model_folder(config.model), config, values.get("files"))


def encoder_identity(settings: dict[str, Any]) -> dict[str, Any]:
    """Of :func:`encoder_settings`, what makes vectors of two runs comparable: the model, not how much of a text it
    reads nor how exactly it computes."""
    if "files" in settings:
        return {"files": settings["files"]}
    return {name: value for name, value in settings["config"].items() if name != "max_tokens"}


def encoder_settings(config: EncoderConfig, gpus: bool) -> dict[str, Any]:
    """What vectors depend on: settings, with the precision chosen, and the hashes of the model's files.

    Args:
        config: the user's settings.
        gpus: whether the run asks for GPUs.

    Raises:
        ModelFolderError: there is no such model, or it cannot be used.
    """
    if config.model == HASHING:
        relevant = config.model_dump(include={"max_tokens", "dimensions", "ngrams", "seed"}) | {"kind": HASHING}
        return {"config": relevant, "dimensions": config.dimensions, "words": 2}  # the second definition of a word
    from winnow.select.model_folder import inspect_model, model_folder  # noqa: PLC0415
    from winnow.select.vectors import device_of_this_process  # noqa: PLC0415

    model = inspect_model(model_folder(config.model))
    precision: str = config.precision
    if precision == "auto":
        precision = "bf16" if gpus or device_of_this_process() == "cuda" else "fp32"
    batch_tokens = config.batch_tokens
    if batch_tokens == "auto":
        batch_tokens = 2_048 if precision == "fp32" else 65_536
    relevant = {"max_tokens": config.max_tokens, "batch_tokens": batch_tokens, "precision": precision}
    return {"config": relevant, "dimensions": model.dimensions, "files": model.hashes}
