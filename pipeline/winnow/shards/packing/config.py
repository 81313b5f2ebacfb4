"""The settings `shards.window` and `shards.best_fit`."""

from typing import Literal

from pydantic import Field

from winnow.section import Section

LongDocuments = Literal["split", "truncate", "drop"]


class WindowConfig(Section):
    """Where windows begin."""

    stride_tokens: int | None = Field(None, ge=1)
    """Tokens from one window's begin to the next; none = `sequence_tokens`, so that every token is an input once.
    Less repeats tokens."""
    over: Literal["stream", "document"] = "stream"
    """`stream`: windows run over all documents, joined with end-of-text. `document`: over each document by itself."""


class BestFitConfig(Section):
    """How `best_fit` packs."""

    long_documents: LongDocuments = "split"
    """Documents longer than a row: `split` gives full rows and packs the tail, `truncate` keeps the first row's worth,
    `drop` leaves them out. What is lost is counted."""
    group_documents: int = Field(16384, ge=1)
    """Documents packed together: slices of the global order with about this many. Larger groups pad less."""
