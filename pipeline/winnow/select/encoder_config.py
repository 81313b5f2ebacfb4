"""The settings `select.encoder`."""

from typing import Annotated, Literal

from pydantic import Field

from winnow.section import Section
from winnow.storage.config import PathSetting

HASHING = "hashing"


class EncoderConfig(Section):
    """What turns texts into vectors."""

    model: PathSetting = Field(HASHING, min_length=1)
    """`hashing` (no weights: hashed word n-grams, randomly projected), the folder of a sentence-transformers or
    transformers encoder with safetensors weights, or `package:NAME` for an installed package that carries one."""
    max_tokens: int | None = Field(None, ge=1)
    """First tokens of a document that count (words for `hashing`); None = all that the model takes (all words)."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the model's arithmetic; `auto` is bf16 where this process sees a GPU or `compute.gpus` asks for some, else
    fp32. It changes vectors a little, so it is part of what the results are named by."""
    batch_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Tokens of one batch, padding included; `auto` is 2,048 in fp32 (a processor's cache) and 65,536 in bf16 and fp16
    (a GPU). It changes vectors in the last bits."""
    dimensions: int = Field(256, ge=8, le=32_768)
    """Of a `hashing` vector; a model has its own."""
    ngrams: int = Field(2, ge=1, le=8)
    """Longest word n-gram of `hashing`."""
    seed: int = Field(0, ge=0, lt=1 << 63)
    """Of the projection of `hashing`."""
