"""Encoders with weights: transformers' own architectures, token vectors pooled as the model's folder says.

Tokens are prepared on CPUs with the model's ``tokenizer.json`` (no torch there); the forward pass runs where this
process has its device. Batches are cut by length, longest first, under a budget of padded tokens: a text's batch
depends on the unit it lies in and on nothing else.
"""

import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import ModelFolderError
from winnow.numeric.prefetch import prefetch
from winnow.select.encoder_config import EncoderConfig
from winnow.select.model_folder import ModelFolder, inspect_model
from winnow.select.network import load_network
from winnow.select.text_tokens import TextTokens
from winnow.select.vectors import device_of_this_process, has_vector, stored_vectors

log = logging.getLogger("winnow")

PLAIN_TEXT = "A plain text, which every encoder takes."
BATCHES_AHEAD = 2
"""Batches that are padded and copied to a GPU before it asks for them."""


class TransformerEncoder:
    """A transformer encoder of a local folder."""

    def __init__(self, folder: str, config: EncoderConfig, expected: dict[str, str] | None = None) -> None:
        self.config = config
        self.model: ModelFolder = inspect_model(folder)
        if expected is not None and self.model.hashes != expected:
            raise ModelFolderError(f"{folder}: not the model that this run began with; it differs on this machine")
        self.dimensions = self.model.dimensions
        self.max_tokens = min(self.model.max_tokens, config.max_tokens or self.model.max_tokens)
        self.batch_tokens = 2_048 if config.batch_tokens == "auto" else config.batch_tokens
        self._tokens: TextTokens | None = None
        self._network: Any = None
        self._copying: Any = None
        self.device = device_of_this_process()
        self.batches_ahead = BATCHES_AHEAD if self.device == "cuda" else 0
        self.halvings = 0

    # --- the CPU half ------------------------------------------------------------------------------------------

    def prepare(self, texts: pa.Array) -> pa.Array:
        """Token ids large_list<int32>[N], special tokens included, cut at ``max_tokens``."""
        if self._tokens is None:
            self._tokens = TextTokens(self.model, self.max_tokens)
        return self._tokens(texts)

    # --- the half with the model -------------------------------------------------------------------------------

    def embed(self, prepared: pa.Array) -> NDArray[np.float32]:
        """float32[N, D] pooled token vectors.

        On a GPU the next batches are padded, pinned and copied by a thread, on a stream of their own, while it
        computes; pooled vectors stay there until the last batch.
        """
        import torch  # noqa: PLC0415 - optional, and slow to load

        if self._network is None:
            self._network = load_network(self.model.transformer, self.config.precision, self.device)
        starts = prepared.offsets.to_numpy()
        flat = prepared.values.to_numpy()
        lengths = np.diff(starts)
        out = np.zeros((len(lengths), self.dimensions), np.float32)
        order, pooled = [], []
        with torch.inference_mode():
            for rows, batch in prefetch(
                lambda rows: self._staged(rows, flat, starts, lengths),
                batches_by_length(lengths, self.batch_tokens),
                self.batches_ahead,
            ):
                for some, vectors in self._embedded(rows, batch, flat, starts, lengths):
                    order.append(some)
                    pooled.append(vectors)
            if order:
                out[np.concatenate(order)] = torch.cat(pooled).cpu().numpy()
        return out

    def _staged(
        self, rows: NDArray[np.int64], flat: NDArray[np.int32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> "Batch | None":
        """A batch on its device, or on its way there; None where the device has no room for it."""
        import torch  # noqa: PLC0415

        ids, count = (torch.from_numpy(column) for column in _padded(rows, flat, starts, lengths))
        full = bool((lengths[rows] == ids.shape[1]).all())
        if self.device != "cuda":
            return Batch(ids, count, full)
        if self._copying is None:
            self._copying = torch.cuda.Stream()
        try:
            with torch.cuda.stream(self._copying):
                there = [column.pin_memory().to(self.device, non_blocking=True) for column in (ids, count)]
                return Batch(there[0], there[1], full, self._copying.record_event())
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None
            raise

    def _embedded(
        self,
        rows: NDArray[np.int64],
        batch: "Batch | None",
        flat: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
    ) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Rows with their vectors on the device: of one batch, or where memory does not do, of its halves, down to a
        single text."""
        try:
            if batch is None:
                batch = self._staged(rows, flat, starts, lengths)
            if batch is None:
                raise RuntimeError("out of memory for the token ids")
            vectors = self.forward(batch)
        except RuntimeError as error:  # torch's own OutOfMemoryError is one
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise MemoryError(
                    f"the device's memory does not do for a single text of {lengths[rows[0]]} tokens; lower "
                    "select.encoder.max_tokens, or compute.gpu_share leaves room for too many actors"
                ) from error
            self.halvings += 1
        else:
            yield rows, vectors
            return
        batch = None  # its memory is needed, too
        if self.device == "cuda":
            import torch  # noqa: PLC0415

            torch.cuda.empty_cache()
        half = len(rows) // 2
        yield from self._embedded(rows[:half], None, flat, starts, lengths)
        yield from self._embedded(rows[half:], None, flat, starts, lengths)

    def forward(self, batch: "Batch") -> Any:
        """A tensor float32[B, D] on the device: the network, then pooling in float32."""
        import torch  # noqa: PLC0415

        ids, count = batch.ids, batch.count
        if batch.copied is not None:
            computing = torch.cuda.current_stream()
            computing.wait_event(batch.copied)
            ids.record_stream(computing)
            count.record_stream(computing)
        mask = torch.arange(ids.shape[1], device=ids.device)[None, :] < count[:, None]
        # without padding there is nothing to mask, and attention has faster kernels
        attended = None if batch.full else mask.long()
        hidden = self._network(input_ids=ids, attention_mask=attended).last_hidden_state
        return _pool(hidden.float(), mask, count, self.model.pooling)


def check_model(folder: str, precision: Any) -> None:
    """Read a model whole and embed one text, on CPU; where torch is not installed, no further than its tokens.

    Raises:
        ModelFolderError: that does not work.
    """
    encoder = TransformerEncoder(folder, EncoderConfig(model=folder, precision=precision))
    encoder.device, encoder.batches_ahead = "cpu", 0
    prepared = encoder.prepare(pa.array([PLAIN_TEXT], pa.large_string()))
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        return
    try:
        vectors = encoder.embed(prepared)
    except ModelFolderError:
        raise
    except Exception as error:  # whatever it is, every document would meet it
        raise ModelFolderError(
            f"{folder}: cannot embed a plain text ({type(error).__name__}: {error}); its files do not fit together: "
            "copy the model again"
        ) from error
    if not has_vector(stored_vectors(vectors)).all():
        raise ModelFolderError(f"{folder}: gives no vector for a plain text (zeros or NaN); copy the model again")


@dataclass(frozen=True)
class Batch:
    """Texts of one forward pass."""

    ids: Any
    """int64[B, T], padded with zeros."""
    count: Any
    """int64[B]: tokens of each text."""
    full: bool
    """No text is padded."""
    copied: Any = None
    """An event of the copying stream: both are there once it has happened."""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device (or the host) had no memory left: torch's OutOfMemoryError, or its message."""
    message = str(error).lower()
    return (
        type(error).__name__ == "OutOfMemoryError" or "out of memory" in message or "can't allocate memory" in message
    )


def batches_by_length(lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Rows of each batch, longest texts first: as many as fit the budget when padded to the longest of them."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    batches, begin = [], 0
    while begin < len(order):
        size = max(1, batch_tokens // int(lengths[order[begin]]))
        batches.append(order[begin : begin + size])
        begin += size
    return batches


def _padded(
    rows: NDArray[np.int64], flat: NDArray[np.int32], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids int64[B, T] of some rows, filled up with zeros (masked), and their lengths."""
    width = int(lengths[rows].max())
    places = np.minimum(starts[rows][:, None] + np.arange(width), len(flat) - 1)
    inside = np.arange(width) < lengths[rows][:, None]
    return np.where(inside, flat[places], 0).astype(np.int64), lengths[rows].astype(np.int64)


def _pool(hidden: Any, mask: Any, count: Any, pooling: str) -> Any:
    import torch  # noqa: PLC0415

    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "lasttoken":
        return hidden[torch.arange(len(hidden), device=hidden.device), count - 1]
    if pooling == "max":
        return hidden.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)
    sums = (hidden * mask[:, :, None]).sum(dim=1)
    return sums / (count[:, None].sqrt() if pooling == "mean_sqrt_len_tokens" else count[:, None])
