"""Vocabularies: which token ids there are, and where their definition was read from. Nothing is downloaded.

Four kinds of source: a tiktoken encoding by name, a ``.tiktoken`` rank file, a ``tokenizer.json``, and a ``vocab.txt``
(WordPiece).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.tokens.config import TokeniserConfig
from winnow.tokens.patterns import ENCODINGS, Pattern, check_pattern, find_pattern
from winnow.tokens.rank_files import content_of, parse_ranks, published_ranks
from winnow.tokens.tokenizer_json import (
    MOST_IDS,
    read_tokenizer_json,
    special_tokens_reach_out,
    splits_by_known_pattern,
    tokenizer_of,
    with_special_tokens,
)
from winnow.tokens.wordpiece import FIRST, PADDING, SPECIAL_TOKENS, is_lowercase, read_wordpiece, wordpiece_json

_END_OF_TEXT_NAMES = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "[EOS]",
    "[SEP]",
)
_TEMPLATE_NAMES = {
    "bos_token": ("<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "<｜begin▁of▁sentence｜>", "[BOS]", "[CLS]"),
    "unk_token": ("<unk>", "[UNK]"),
    "pad_token": ("<pad>", "[PAD]", "<|pad|>"),
    "sep_token": ("[SEP]",),
    "cls_token": ("[CLS]",),
    "mask_token": ("[MASK]", "<mask>"),
}
"""Variables of chat templates, and names of tokens that they usually stand for."""


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

    file_begin: tuple[int, ...] = ()
    """Tokens that the post-processor of a ``tokenizer.json`` puts before a text ..."""
    file_end: tuple[int, ...] = ()
    """... and behind it."""
    notes: tuple[str, ...] = ()
    """What was changed to read the file, or is not as the file would have it."""

    def __hash__(self) -> int:
        return hash((self.sha256, self.size, self.end_of_text, *self.special_tokens))

    def name_of(self, token: int | None) -> str:
        """Name of a special token; "" for none."""
        return next((name for name, number in self.special_tokens.items() if number == token), "")

    @property
    def template_names(self) -> dict[str, str]:
        """``bos_token``, ``eos_token`` and the other special tokens that chat templates read, where they are known."""
        begin = self.name_of(self.first_token)
        if not begin and self.first_token is None and self.file_begin:
            begin = self.name_of(self.file_begin[0])
        names = {
            kind: next((name for name in known if name in self.special_tokens), "")
            for kind, known in _TEMPLATE_NAMES.items()
        }
        names |= {"bos_token": begin or names["bos_token"], "eos_token": self.name_of(self.end_of_text)}
        return {kind: name for kind, name in names.items() if name or kind in ("bos_token", "eos_token")}

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
        return parse_ranks(self.rank_file, self.name)

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
        """int64[size], bytes of every id (rank files, and a tokenizer.json with a known pattern)."""
        if self.tokenizer_json:
            lengths = np.zeros(self.size, np.int64)
            for token, number in self._json_tokenizer.get_vocab(with_added_tokens=True).items():
                lengths[number] = len(token)  # one character a byte
            for token, number in self.special_tokens.items():
                lengths[number] = len(token.encode())
            return lengths
        return np.array([len(token) for token in self.token_bytes], np.int64)

    @cached_property
    def has_known_pattern(self) -> bool:
        """Whether text is split by one of the named patterns, for which cuts are known (see cuts.py)."""
        if self.tokenizer_json:
            return splits_by_known_pattern(self.tokenizer_json)
        return self.pattern is not None and self.pattern.gigatoken is not None

    @cached_property
    def _json_tokenizer(self) -> Any:
        return tokenizer_of(self.tokenizer_json)

    @cached_property
    def keeps_special_tokens_apart(self) -> bool:
        """Whether the ids of a text are those of its pieces between special tokens: nothing looks across one."""
        return not self.tokenizer_json or (self.has_known_pattern and not special_tokens_reach_out(self.tokenizer_json))

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
    if (last := config.end_of_text) is not None and last in config.added_tokens:
        vocabulary = replace(vocabulary, end_of_text=vocabulary.special_tokens[last])
    if config.lowercase is not None and vocabulary.padding is None:
        raise ValueError("tokenise.lowercase is for a vocab.txt; for any other kind set measure.normalise.lowercase")
    if config.engine == "gigatoken" and vocabulary.pattern is not None and vocabulary.pattern.gigatoken is None:
        raise ValueError(
            "tokenise.engine (gigatoken) knows only the named patterns; "
            "for a regular expression of your own set tokenise.engine to tiktoken"
        )
    if config.first_token is None:
        return vocabulary
    if config.first_token == "":
        return replace(vocabulary, first_token=None)
    if config.first_token not in vocabulary.special_tokens:
        known = ", ".join(list(vocabulary.special_tokens)[:20]) or "none"
        where = f"{vocabulary.name}: tokenise.first_token ({config.first_token})"
        raise ValueError(f"{where} is not among its special tokens ({known})")
    return replace(vocabulary, first_token=vocabulary.special_tokens[config.first_token])


AddedTokens = tuple[str, ...] | Mapping[str, int | None]
"""Names, or names with their ids (None: the next free one)."""


def _wanted_ids(vocabulary: Vocabulary, added: AddedTokens) -> dict[str, int]:
    """Ids of special tokens that the vocabulary has not got: those that are given, else the next free ones."""
    if not added:
        return {}  # nothing to compare with the ranks, which take 0.1 s to read
    if any(len(name) < 2 for name in added):
        raise ValueError("tokenise.added_tokens: each name must have two characters at least")
    given: Mapping[str, int | None] = added if isinstance(added, Mapping) else dict.fromkeys(added)
    special = vocabulary.special_tokens
    taken = {number: name for name, number in special.items()}
    ordinary = set(vocabulary.ranks.values()) if vocabulary.rank_file else set()
    for name, number in given.items():
        if number is None:
            continue
        where = f"{vocabulary.name}: tokenise.added_tokens gives {name} the id {number}"
        if not 0 <= number < MOST_IDS:
            raise ValueError(f"{where}; ids must be from 0 to {MOST_IDS - 1:,}")
        if special.get(name, number) != number:
            raise ValueError(f"{where}, but the vocabulary gives it {special[name]}; leave it out, or give that one")
        if taken.get(number, name) != name or number in ordinary:
            other = taken.get(number, name)
            has = "an ordinary token" if other == name else other
            raise ValueError(f"{where}, which {has} has; give a free id")
        taken[number] = name
    found = {name: number for name, number in given.items() if number is not None and name not in special}
    free = max([vocabulary.size, *(number + 1 for number in found.values())])
    new = [name for name, number in given.items() if number is None and name not in special]
    return found | {name: free + place for place, name in enumerate(new)}


def _with_added(vocabulary: Vocabulary, added: AddedTokens) -> Vocabulary:
    """The vocabulary with more special tokens."""
    ids = _wanted_ids(vocabulary, added)
    if not ids:
        return vocabulary
    definition = vocabulary.tokenizer_json
    if definition:
        wanted = dict(sorted(ids.items(), key=lambda entry: entry[1]))
        definition, ids = with_special_tokens(definition, wanted)
        given = added if isinstance(added, Mapping) else {}
        for name, number in ids.items():
            if given.get(name, number) not in (number, None):
                raise ValueError(
                    f"{vocabulary.name}: tokenise.added_tokens gives {name} the id {given[name]}, and a tokenizer.json "
                    f"numbers added tokens without gaps: it would be {number}; give that, or name those before it"
                )
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
        return _named(encoding, published_ranks(encoding), config)
    path = Path(encoding)
    if path.suffix not in (".tiktoken", ".json", ".txt") or path.is_dir():
        raise ValueError(
            f"tokenise.encoding ({encoding!r}) must be one of {', '.join(ENCODINGS)}, "
            f"or the path of a .tiktoken file, of a tokenizer.json or of a vocab.txt{_advice(path)}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"tokenise.encoding ({encoding}): there is no such file")
    content = content_of(path)
    if path.suffix != ".tiktoken":
        if config.pattern is not None:
            raise ValueError(f"tokenise.pattern must be left out for {encoding}: such a file has its own rules")
        if path.suffix == ".txt":
            return _from_wordpiece(path, content, config)
        return _from_tokenizer_json(path, content, config)
    return _from_rank_file(path, content, config)


def _advice(path: Path) -> str:
    """How what was named becomes one of these files; "" where nothing is known."""
    save = 'transformers.AutoTokenizer.from_pretrained("FOLDER").save_pretrained("OUT")'
    if path.suffix in (".model", ".spm", ".vocab"):
        return f". A SentencePiece model is converted by {save}, then name OUT/tokenizer.json"
    if (path / "tokenizer.json").is_file():
        return f". In this folder, name {path / 'tokenizer.json'}"
    if path.is_dir():
        return f". The folder holds no tokenizer.json; where it holds another kind of tokeniser, {save} writes one"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)) and not path.exists():
        return (
            f". If {path} is a model on the Hugging Face hub: nothing is downloaded in a run; "
            f"`hf download {path} tokenizer.json --local-dir DIR`, then name DIR/tokenizer.json"
        )
    return ""


def _named(encoding: str, content: bytes, config: TokeniserConfig) -> Vocabulary:
    largest = max((known := ENCODINGS[encoding]).special_tokens.values())
    if len(known.special_tokens) == 1:  # p50k_base has ordinary ids above its only special one
        largest = max(largest, *parse_ranks(content, encoding).values())
    return Vocabulary(
        name=encoding,
        sha256=known.sha256,
        size=largest + 1,
        end_of_text=_special(known.special_tokens, config, encoding),
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
            return _named(path.stem if path.stem in by_content else by_content[0], content, config)
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
    ranks = parse_ranks(content, str(path))
    if pattern.gigatoken is None:
        check_pattern(pattern)
    # Such a file has no special tokens, so the one that ends a document takes the first free id, unless it is given.
    first_free = max(ranks.values()) + 1
    name = config.end_of_text or _END_OF_TEXT_NAMES[0]
    special = {name: first_free}
    if isinstance(config.added_tokens, Mapping):
        given = config.added_tokens.get(name)
        taken = set(config.added_tokens.values())
        special = {name: given if given is not None else next(n for n in count(first_free) if n not in taken)}
    elif name in config.added_tokens:
        special = {token: first_free + place for place, token in enumerate(dict.fromkeys(config.added_tokens))}
    return Vocabulary(
        name=path.stem,
        sha256=sha256,
        size=max(first_free, *(number + 1 for number in special.values())),
        end_of_text=special[name],
        special_tokens=special,
        pattern=pattern,
        rank_file=content,
    )


def _from_tokenizer_json(path: Path, content: bytes, config: TokeniserConfig) -> Vocabulary:
    read = read_tokenizer_json(content, str(path))
    special = read.special_tokens
    if config.end_of_text in read.ids:  # any token may end a document when it is named
        special = special | {config.end_of_text: read.ids[config.end_of_text]}
    return Vocabulary(
        name=path.stem,
        sha256=hashlib.sha256(content).hexdigest(),
        size=max(read.ids.values(), default=0) + 1,
        end_of_text=_special(special, config, str(path)),
        special_tokens=special,
        tokenizer_json=read.definition,
        file_begin=read.begin,
        file_end=read.end,
        notes=read.notes,
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
        end_of_text=_special(special, config, str(path)),
        special_tokens=special,
        tokenizer_json=wordpiece_json(ids, lowercase=lowercase),
        first_token=ids[FIRST],
        padding=ids[PADDING],
    )


def _special(special_tokens: Mapping[str, int], config: TokeniserConfig, source: str) -> int:
    """Id of the end-of-text token; -1 where it is one of those that will be added."""
    wanted = config.end_of_text
    names = _END_OF_TEXT_NAMES if wanted is None else (wanted,)
    found = next((special_tokens[name] for name in names if name in special_tokens), -1)
    if found >= 0 or wanted in config.added_tokens:
        return found
    known = ", ".join(list(special_tokens)[:20]) or "none"
    asked = f"none of {', '.join(names)} is" if wanted is None else f"tokenise.end_of_text ({wanted}) is not"
    or_add = "set tokenise.end_of_text to one of them, or name it in tokenise.added_tokens, too"
    raise ValueError(f"{source}: {asked} among its special tokens ({known}); {or_add}")
