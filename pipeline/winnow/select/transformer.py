"""Encoders with weights: transformers' own architectures, token vectors pooled as the model's folder says.

Tokens are prepared on CPUs with the model's ``tokenizer.json`` (no torch there); the forward pass runs where this
process has its device. Batches are cut by length, longest first, under a budget of padded tokens: a text's batch
depends on the unit it lies in and on nothing else.
"""

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import ModelFolderError
from winnow.numeric.prefetch import prefetch
from winnow.select.encoder_config import EncoderConfig
from winnow.select.model_folder import ModelFolder, inspect_model, load_tokeniser
from winnow.select.vectors import device_of_this_process, has_vector, stored_vectors

log = logging.getLogger("winnow")

PLAIN_TEXT = "A plain text, which every encoder takes."
CHARACTERS_A_TOKEN = 12
"""Of a long text this many characters for each token wanted are tokenised first; all of it only if they do not do."""
BATCHES_AHEAD = 2
"""Batches that are padded and copied to a GPU before it asks for them."""
_MARGIN = 8
"""Tokens that a cut text must have beyond those wanted, so that the cut cannot have changed them."""


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
        self._tokeniser: Any = None
        self._network: Any = None
        self._copying: Any = None
        self.device = device_of_this_process()
        self.batches_ahead = BATCHES_AHEAD if self.device == "cuda" else 0
        self.halvings = 0

    # --- the CPU half ------------------------------------------------------------------------------------------

    def prepare(self, texts: pa.Array) -> pa.Array:
        """Token ids large_list<int32>[N], special tokens included, cut at ``max_tokens``."""
        if self._tokeniser is None:
            self._tokeniser = load_tokeniser(Path(self.model.transformer))
            self._tokeniser.no_padding()
            self._tokeniser.enable_truncation(self.max_tokens + _MARGIN)
        strings = [text.lower() for text in texts.to_pylist()] if self.model.lower_case else texts.to_pylist()
        shortened = [_first_words(text, self.max_tokens * CHARACTERS_A_TOKEN) for text in strings]
        ids = self._encode(shortened)
        wanted = self.max_tokens + _MARGIN
        again = [
            n
            for n, (short, whole) in enumerate(zip(shortened, strings, strict=True))
            if len(short) < len(whole) and len(ids[n]) < wanted
        ]
        for n, found in zip(again, self._encode([strings[n] for n in again]), strict=True):
            ids[n] = found
        ids = [self._cut(found) for found in ids]
        offsets = np.concatenate([[0], np.cumsum([len(found) for found in ids], dtype=np.int64)])
        flat = np.concatenate([np.empty(0, np.int32), *ids]).astype(np.int32)
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat, pa.int32()))

    def _encode(self, texts: list[str]) -> list[NDArray[np.int32]]:
        return [np.array(e.ids, np.int32) for e in self._tokeniser.encode_batch(texts)] if texts else []

    def _cut(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """The first ``max_tokens``, closed by what closes a text of this model (its end tokens, if it has any)."""
        if len(ids) <= self.max_tokens:
            return ids
        ending = self._ending()
        return np.concatenate([ids[: self.max_tokens - len(ending)], ending])

    def _ending(self) -> NDArray[np.int32]:
        if not hasattr(self, "_ending_ids"):
            bare = len(self._tokeniser.encode("a", add_special_tokens=False).ids)
            closed = self._tokeniser.encode("a")
            begins = closed.special_tokens_mask.index(0) if 0 in closed.special_tokens_mask else 0
            self._ending_ids = np.array(closed.ids[begins + bare :], np.int32)
        return self._ending_ids

    # --- the half with the model -------------------------------------------------------------------------------

    def embed(self, prepared: pa.Array) -> NDArray[np.float32]:
        """float32[N, D] pooled token vectors.

        On a GPU the next batches are padded, pinned and copied by a thread, on a stream of their own, while it
        computes; pooled vectors stay there until the last batch.
        """
        import torch  # noqa: PLC0415 - optional, and slow to load

        if self._network is None:
            self._network = _load_network(self.model, self.config.precision, self.device)
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


def _first_words(text: str, characters: int) -> str:
    """The text cut at white space after so many characters; whole where it is shorter or has no white space there."""
    if len(text) <= characters:
        return text
    end = text.find(" ", characters, 2 * characters)
    return text[:end] if end > 0 else text


def _load_network(model: ModelFolder, precision: str, device: str) -> Any:
    """The network in eval mode, from safetensors only, with no code but transformers' own."""
    torch, transformers = importlib.import_module("torch"), importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if device == "cpu":
        torch.set_num_threads(1)  # one core means one core, and the same sums whatever the machine
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    try:
        network, loaded = transformers.AutoModel.from_pretrained(
            model.transformer,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFolderError(f"{model.transformer}: transformers cannot load this model: {error}") from error
    # a pooler is not used, and positions are counted; anything else would be left random
    missing = [name for name in loaded["missing_keys"] if "pooler." not in name and "position_ids" not in name]
    if missing:
        raise ModelFolderError(
            f"{model.transformer}: its weights lack {len(missing):,} tensors of the network in config.json, "
            f"such as {sorted(missing)[0]}; copy the model again"
        )
    return network.to(device).eval()
