"""The section `tokenise` of the config."""

from typing import Literal

from pydantic import Field

from winnow.section import Section
from winnow.storage.config import PathSetting


class TokeniserConfig(Section):
    """How text becomes token ids."""

    encoding: PathSetting = "o200k_base"
    """A tiktoken encoding's name, or the path of a ``.tiktoken`` file, of a ``tokenizer.json``, or of a ``vocab.txt``
    (WordPiece, BERT)."""
    lowercase: bool | None = None
    """Only for a ``vocab.txt``: lower-case the text and strip accents. None = if no token has an upper-case letter."""
    first_token: str | None = None
    """Name of a token to put before each document; "" for none. None = ``[CLS]`` for a ``vocab.txt``, else none."""
    added_tokens: tuple[str, ...] | dict[str, int | None] = ()
    """Special tokens to add where the vocabulary has not got them: those that a chat template writes. A list of names
    gives them the next free ids in its order; `{name: id}` gives each its own
    (null: the next free one). The built-in template's are added by
    themselves."""
    pattern: str | None = None
    """Split pattern of a ``.tiktoken`` file: gpt2, r50k, p50k, cl100k, gpt4, o200k, or a regular expression.
    None = known from the file's content or name."""
    engine: Literal["gigatoken", "tiktoken"] = "gigatoken"
    """gigatoken (fast), or the reference: tiktoken, and for a ``tokenizer.json`` tokenizers."""
    end_of_text: str | None = None
    """Name of the token that ends a document. None = ``<|endoftext|>`` or the vocabulary's counterpart."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """BPE-dropout: probability with which a merge is left out, of documents of split train; drawn for each document and
    `shards.epoch`. 0.1 is usual, 0 gives the vocabulary's own ids. Tiktoken encodings and rank files, plain texts."""
    check_share: float = Field(default=1 / 256, ge=0.0, le=1.0)
    """Share of documents whose ids are compared with the reference, chosen by hash of their text. The first
    document of a batch is always compared. Raising it costs about 80 ms a MB compared."""
    cache_mb: int = Field(default=512, ge=64)
    """The fast engine remembers every word that it has seen; beyond this growth, in MB, it starts anew."""
