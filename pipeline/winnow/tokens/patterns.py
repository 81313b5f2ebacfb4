"""The split patterns and encodings that are known by name.

A byte-pair vocabulary file holds ranks only: the regular expression that splits text before merging, and the
special tokens, live in the code that defines the encoding. These are OpenAI's published constants
(source: tiktoken, ``tiktoken_ext/openai_public.py``; a test compares every entry with it).
"""

from dataclasses import dataclass

R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Pattern:
    """A split pattern: its regular expression, and the fast engine's name for it where it has one."""

    regex: str
    gigatoken: str | None


_R50K, _CL100K, _O200K = Pattern(R50K, "gpt2"), Pattern(CL100K, "gpt4"), Pattern(O200K, "o200k")

PATTERNS = {
    "r50k": _R50K,
    "gpt2": _R50K,
    "p50k": _R50K,
    "cl100k": _CL100K,
    "gpt4": _CL100K,
    "o200k": _O200K,
}
"""Patterns by the names a config may use."""


PLAIN_PATTERNS = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    "o200k": (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}
"""The split patterns of this module without possessive repeats, which tokenizers' engine takes for
something else. They split alike: what follows a possessive repeat there can never take a character back."""


@dataclass(frozen=True)
class Encoding:
    """A published encoding: which rank file, its hash, its pattern and its special tokens."""

    ranks: str
    """Name of the rank file, without ``.tiktoken``."""
    sha256: str
    """Hash of the rank file, as published."""
    pattern: str
    special_tokens: dict[str, int]


_R50K_SHA = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
_P50K_SHA = "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"
_CL100K_SHA = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_O200K_SHA = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

_HARMONY = {
    "<|startoftext|>": 199998,
    "<|endoftext|>": 199999,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
    "<|endofprompt|>": 200018,
}
_HARMONY_RESERVED = (200000, 200001, 200004, 200009, 200010, 200011, *range(200013, 201088))

ENCODINGS = {
    "gpt2": Encoding("r50k_base", _R50K_SHA, "r50k", {"<|endoftext|>": 50256}),
    "r50k_base": Encoding("r50k_base", _R50K_SHA, "r50k", {"<|endoftext|>": 50256}),
    "p50k_base": Encoding("p50k_base", _P50K_SHA, "r50k", {"<|endoftext|>": 50256}),
    "p50k_edit": Encoding(
        "p50k_base",
        _P50K_SHA,
        "r50k",
        {
            "<|endoftext|>": 50256,
            "<|fim_prefix|>": 50281,
            "<|fim_middle|>": 50282,
            "<|fim_suffix|>": 50283,
        },
    ),
    "cl100k_base": Encoding(
        "cl100k_base",
        _CL100K_SHA,
        "cl100k",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "o200k_base": Encoding("o200k_base", _O200K_SHA, "o200k", {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}),
    "o200k_harmony": Encoding(
        "o200k_base",
        _O200K_SHA,
        "o200k",
        _HARMONY | {f"<|reserved_{number}|>": number for number in _HARMONY_RESERVED},
    ),
}
"""Encodings by their tiktoken names. gpt2 is published as a merge list; its ranks are r50k_base's."""


def find_pattern(name_or_regex: str) -> Pattern:
    """The pattern behind a config's ``pattern``: a known name, or a regular expression.

    Raises:
        ValueError: a bare word that is no known name (as a regular expression it would split nothing).
    """
    if name_or_regex in PATTERNS:
        return PATTERNS[name_or_regex]
    for pattern in PATTERNS.values():
        if pattern.regex == name_or_regex:
            return pattern
    if name_or_regex.replace("_", "").replace("-", "").isalnum():
        raise ValueError(
            f"tokenise.pattern ({name_or_regex!r}) must be one of {', '.join(PATTERNS)}, or a regular expression"
        )
    return Pattern(name_or_regex, None)


def check_pattern(pattern: Pattern) -> None:
    """See whether a regular expression of one's own can be used.

    Raises:
        ValueError: it is none to tiktoken, or it leaves characters out.
    """
    from tiktoken import Encoding  # noqa: PLC0415 - for such a pattern only

    try:
        bytes_only = {bytes([value]): value for value in range(256)}
        encoding = Encoding("pattern", pat_str=pattern.regex, mergeable_ranks=bytes_only, special_tokens={})
        read_back = encoding.decode(encoding.encode_ordinary(_PROBE))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of its Rust side
            raise
        message = f"tokenise.pattern ({pattern.regex!r}) is no regular expression to tiktoken: {error}"
        raise ValueError(message) from error
    if read_back != _PROBE:
        raise ValueError(
            f"tokenise.pattern ({pattern.regex!r}) leaves characters out: of {_PROBE!r} it keeps {read_back!r}; every "
            "character must be in some match, so end it with |\\s+|. or the like"
        )


_PROBE = "It's 12 words,\n\tnot  thirteen! \u00c9t\u00e9 \u4e2d\u6587 _\u00a0\U0001f600 "
"""Letters, digits, marks and every kind of blank."""
