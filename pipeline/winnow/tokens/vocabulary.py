"""Vocabularies: which token ids there are, and where their definition was read from. Nothing is downloaded.

Four kinds of source: a tiktoken encoding by name, a ``.tiktoken`` rank file, a ``tokenizer.json``, and a ``vocab.txt``
(WordPiece).
"""

import binascii
import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.tokens.config import TokeniserConfig
from winnow.tokens.patterns import ENCODINGS, Pattern, find_pattern
from winnow.tokens.wordpiece import FIRST, LAST, PADDING, SPECIAL_TOKENS, is_lowercase, read_wordpiece, wordpiece_json

_RANK_URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_END_OF_TEXT_NAMES = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "[EOS]",
    "[SEP]",
)


@dataclass(frozen=True)
class Vocabulary:
    """Token ids and their source.

    ``ranks`` (bytes of a token -> id) and ``pattern`` are set for rank files, ``tokenizer_json`` for the
    other kind.
    """

    name: str
    sha256: str
    """Hash of the source's bytes: of the rank file as published, or of the tokenizer.json."""
    size: int
    """Largest id + 1, special tokens included."""
    end_of_text: int
    """Id of the token that ends a document."""
    special_tokens: Mapping[str, int]
    pattern: Pattern | None = None
    rank_file: bytes = field(default=b"", repr=False)
    tokenizer_json: bytes = field(default=b"", repr=False)
    first_token: int | None = None
    """Id of the token that begins a document, or None."""
    padding: int | None = None
    """Id of the token that fills rows up; None where it is the end of text."""

    @property
    def padding_id(self) -> int:
        """What fills rows up."""
        return self.end_of_text if self.padding is None else self.padding

    @property
    def keeps_last_token(self) -> bool:
        """Whether a document that is cut off at a row's end still ends with its last token, as BERT has it."""
        return self.padding is not None

    @property
    def dtype(self) -> type[np.uint16] | type[np.uint32]:
        """uint16 where every id fits, else uint32."""
        return np.uint16 if self.size <= 1 << 16 else np.uint32

    @cached_property
    def ranks(self) -> dict[bytes, int]:
        """Token bytes -> id, without special tokens (rank files only)."""
        return _parse_ranks(self.rank_file, self.name)

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """Bytes of every id (rank files only); ids that mean nothing are empty."""
        table = [b""] * self.size
        for token, rank in self.ranks.items():
            table[rank] = token
        for text, rank in self.special_tokens.items():
            table[rank] = text.encode()
        return table

    @cached_property
    def token_lengths(self) -> NDArray[np.int64]:
        """int64[size], bytes of every id (rank files only)."""
        return np.array([len(token) for token in self.token_bytes], np.int64)

    @cached_property
    def _json_tokenizer(self) -> Any:
        from tokenizers import Tokenizer  # noqa: PLC0415 - for this kind of vocabulary only

        return Tokenizer.from_str(self.tokenizer_json.decode())

    def decode(self, ids: Any) -> bytes:
        """The bytes that ids stand for. ids: a sequence or uint16/uint32[T]. A ``tokenizer.json`` decodes
        by its own rules."""
        numbers = np.asarray(ids).tolist()
        if self.tokenizer_json:
            text: str = self._json_tokenizer.decode(numbers, skip_special_tokens=False)
            return text.encode()
        return b"".join(map(self.token_bytes.__getitem__, numbers))


def load_vocabulary(config: TokeniserConfig) -> Vocabulary:
    """Read a vocabulary from the installed packages, tiktoken's cache or a file.

    Raises:
        ValueError: an unknown name, a file of the wrong kind or with a wrong hash, no pattern, or no such
            end-of-text or first token.
        FileNotFoundError: no such file, or the named encoding's rank file is not on this machine.
    """
    vocabulary = _with_added(_load(config), config.added_tokens)
    if config.lowercase is not None and vocabulary.padding is None:
        raise ValueError("tokenise.lowercase is for a vocab.txt; for any other kind set measure.normalise.lowercase")
    if config.first_token is None:
        return vocabulary
    if config.first_token == "":
        return replace(vocabulary, first_token=None)
    if config.first_token not in vocabulary.special_tokens:
        known = ", ".join(list(vocabulary.special_tokens)[:20]) or "none"
        raise ValueError(
            f"{vocabulary.name}: tokenise.first_token ({config.first_token}) is not among its special tokens ({known})"
        )
    return replace(vocabulary, first_token=vocabulary.special_tokens[config.first_token])


def _with_added(vocabulary: Vocabulary, names: tuple[str, ...]) -> Vocabulary:
    """The vocabulary with more special tokens, each with the next free id."""
    new = [name for name in dict.fromkeys(names) if name not in vocabulary.special_tokens]
    if not new:
        return vocabulary
    if any(len(name) < 2 for name in new):
        raise ValueError("tokenise.added_tokens: each name must have two characters at least")
    definition = vocabulary.tokenizer_json
    if definition:
        parsed = json.loads(definition)
        known = vocabulary._json_tokenizer.get_vocab(with_added_tokens=True)
        ids = {}
        size = vocabulary.size
        for name in new:  # an ordinary token of that name becomes a special one
            ids[name] = known.get(name, size)
            size = max(size, ids[name] + 1)
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        kept = [token for token in parsed.get("added_tokens") or [] if token["content"] not in ids]
        added = [{"id": number, "content": name, **flags} for name, number in ids.items()]
        parsed["added_tokens"] = sorted(kept + added, key=lambda token: token["id"])
        definition = json.dumps(parsed, ensure_ascii=False).encode()
    else:
        ids = {name: vocabulary.size + number for number, name in enumerate(new)}
    return replace(
        vocabulary,
        size=max(vocabulary.size, *(number + 1 for number in ids.values())),
        special_tokens={**vocabulary.special_tokens, **ids},
        tokenizer_json=definition,
    )


def _load(config: TokeniserConfig) -> Vocabulary:
    encoding = config.encoding
    if encoding in ENCODINGS:
        if config.pattern is not None:
            raise ValueError(f"tokenise.pattern must be left out for the encoding {encoding}, which has its own")
        return _named(encoding, _published_ranks(encoding), config.end_of_text)
    path = Path(encoding)
    if path.suffix not in (".tiktoken", ".json", ".txt"):
        raise ValueError(
            f"tokenise.encoding ({encoding!r}) must be one of {', '.join(ENCODINGS)}, "
            "or the path of a .tiktoken file, of a tokenizer.json or of a vocab.txt"
        )
    if not path.is_file():
        raise FileNotFoundError(f"tokenise.encoding ({encoding}): there is no such file")
    content = path.read_bytes()
    if path.suffix != ".tiktoken":
        if config.pattern is not None:
            raise ValueError(f"tokenise.pattern must be left out for {encoding}: such a file has its own rules")
        if path.suffix == ".txt":
            return _from_wordpiece(path, content, config)
        return _from_tokenizer_json(path, content, config.end_of_text)
    return _from_rank_file(path, content, config)


def _published_ranks(encoding: str) -> bytes:
    """The rank file of a named encoding, its hash checked."""
    known = ENCODINGS[encoding]
    content = None
    package = find_spec("bpe_openai")
    if package is not None and package.submodule_search_locations:
        packed = Path(package.submodule_search_locations[0]) / "data" / f"{known.ranks}.tiktoken.gz"
        if packed.is_file():
            content, found = gzip.decompress(packed.read_bytes()), packed
    if content is None:
        url = _RANK_URL.format(known.ranks)
        found = _tiktoken_cache() / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        if not found.is_file():
            raise FileNotFoundError(
                f"the ranks of {encoding} ({known.ranks}.tiktoken) are neither in the package bpe-openai nor "
                f"in tiktoken's cache ({found}), and nothing is downloaded; give a .tiktoken file's path "
                "as tokenise.encoding, or set TIKTOKEN_CACHE_DIR to a filled cache"
            )
        content = found.read_bytes()
    actual = hashlib.sha256(content).hexdigest()
    if actual != known.sha256:
        raise ValueError(
            f"{found}: sha256 is {actual}, {known.sha256} was published for {known.ranks}.tiktoken; replace the file"
        )
    return content


def _tiktoken_cache() -> Path:
    """The folder where tiktoken keeps what it downloaded (source: tiktoken/load.py)."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path(tempfile.gettempdir()) / "data-gym-cache"


def _named(encoding: str, content: bytes, end_of_text: str | None) -> Vocabulary:
    known = ENCODINGS[encoding]
    largest = max(known.special_tokens.values())
    if len(known.special_tokens) == 1:  # p50k_base has ordinary ids above its only special one
        largest = max(largest, *_parse_ranks(content, encoding).values())
    return Vocabulary(
        name=encoding,
        sha256=known.sha256,
        size=largest + 1,
        end_of_text=_special(known.special_tokens, end_of_text, encoding),
        special_tokens=known.special_tokens,
        pattern=find_pattern(known.pattern),
        rank_file=content,
    )


def _from_rank_file(path: Path, content: bytes, config: TokeniserConfig) -> Vocabulary:
    """A file whose content or name is a published encoding's is that encoding; any other needs a pattern."""
    sha256 = hashlib.sha256(content).hexdigest()
    if config.pattern is None:
        by_content = [name for name, known in ENCODINGS.items() if known.sha256 == sha256]
        if by_content:
            return _named(path.stem if path.stem in by_content else by_content[0], content, config.end_of_text)
        if path.stem in ENCODINGS:
            raise ValueError(
                f"{path}: sha256 is {sha256}, {ENCODINGS[path.stem].sha256} was published for {path.name}; "
                "replace the file, or set tokenise.pattern if it is a vocabulary of your own"
            )
        raise ValueError(
            f"{path}: a .tiktoken file does not say how text is split, and this one is not known by its "
            "content; set tokenise.pattern (gpt2, cl100k, o200k or a regular expression)"
        )
    pattern = find_pattern(config.pattern)
    ranks = _parse_ranks(content, str(path))
    # Such a file has no special tokens, so the one that ends a document takes the first free id.
    first_free = max(ranks.values()) + 1
    name = config.end_of_text or _END_OF_TEXT_NAMES[0]
    return Vocabulary(
        name=path.stem,
        sha256=sha256,
        size=first_free + 1,
        end_of_text=first_free,
        special_tokens={name: first_free},
        pattern=pattern,
        rank_file=content,
    )


def _from_tokenizer_json(path: Path, content: bytes, end_of_text: str | None) -> Vocabulary:
    from tokenizers import Tokenizer  # noqa: PLC0415 - for this kind of vocabulary only

    try:
        tokenizer = Tokenizer.from_str(content.decode())
        added = json.loads(content).get("added_tokens") or []
    except Exception as error:
        raise ValueError(f"{path} must be a tokenizer.json of Hugging Face tokenizers: {error}") from error
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    special = {str(token["content"]): int(token["id"]) for token in added if token.get("special")}
    if end_of_text in vocabulary:  # any token may end a document when it is named
        special = special | {end_of_text: vocabulary[end_of_text]}
    return Vocabulary(
        name=path.stem,
        sha256=hashlib.sha256(content).hexdigest(),
        size=max(vocabulary.values()) + 1,
        end_of_text=_special(special, end_of_text, str(path)),
        special_tokens=special,
        tokenizer_json=content,
    )


def _from_wordpiece(path: Path, content: bytes, config: TokeniserConfig) -> Vocabulary:
    ids = read_wordpiece(content, str(path))
    lowercase = is_lowercase(ids) if config.lowercase is None else config.lowercase
    special = {token: ids[token] for token in SPECIAL_TOKENS if token in ids}
    if config.end_of_text in ids:
        special = special | {config.end_of_text: ids[config.end_of_text]}
    return Vocabulary(
        name=path.stem,
        sha256=hashlib.sha256(content).hexdigest(),
        size=max(ids.values()) + 1,
        end_of_text=_special(special, config.end_of_text or LAST, str(path)),
        special_tokens=special,
        tokenizer_json=wordpiece_json(ids, lowercase=lowercase),
        first_token=ids[FIRST],
        padding=ids[PADDING],
    )


def _special(special_tokens: Mapping[str, int], wanted: str | None, source: str) -> int:
    """Id of the end-of-text token."""
    names = (wanted,) if wanted is not None else _END_OF_TEXT_NAMES
    for name in names:
        if name in special_tokens:
            return special_tokens[name]
    known = ", ".join(list(special_tokens)[:20]) or "none"
    asked = f"tokenise.end_of_text ({wanted}) is not" if wanted is not None else f"none of {', '.join(names)} is"
    raise ValueError(f"{source}: {asked} among its special tokens ({known}); set tokenise.end_of_text to one of them")


def _parse_ranks(content: bytes, source: str) -> dict[bytes, int]:
    """Lines of ``base64(token) rank``."""
    try:
        words = content.split()
        ranks = dict(zip(map(binascii.a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
    except (ValueError, binascii.Error) as error:
        raise ValueError(f"{source} must hold lines of 'base64 rank' (a .tiktoken file): {error}") from error
    missing = [value for value in range(256) if bytes([value]) not in ranks]
    if missing:
        raise ValueError(
            f"{source}: {len(missing)} single bytes have no rank (first: {missing[0]}); not every text could be encoded"
        )
    return ranks
