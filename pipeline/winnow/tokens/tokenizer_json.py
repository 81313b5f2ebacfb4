"""``tokenizer.json`` of Hugging Face tokenizers: read with care, and with more special tokens."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from winnow.tokens.patterns import PLAIN_PATTERNS

MOST_IDS = 1 << 24
"""Ids are below this: no vocabulary has a tenth of it, tables go over all ids, and some libraries abort beyond 2^31."""


@dataclass(frozen=True)
class TokenizerJson:
    """What a file says, by the library's own reading."""

    definition: bytes
    ids: dict[str, int]
    """Every token's id."""
    special_tokens: dict[str, int]
    begin: tuple[int, ...]
    """Ids that its post-processor puts before a text ..."""
    end: tuple[int, ...]
    """... and behind it."""
    notes: tuple[str, ...]
    """What was changed, and where the file contradicts itself."""


def tokenizer_of(definition: bytes) -> Any:
    """The library's tokeniser.

    Raises:
        ValueError: it cannot read the definition.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415 - for this kind of vocabulary only

    try:
        return Tokenizer.from_str(definition.decode())
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":  # of its Rust side
            raise ValueError(str(error)) from error
        raise


def read_tokenizer_json(content: bytes, source: str) -> TokenizerJson:
    """Read a file.

    Raises:
        ValueError: it is none, or has ids that no vocabulary has.
    """
    try:
        parsed = json.loads(content)
        added = [(str(token["content"]), token["id"], bool(token.get("special"))) for token in _added(parsed)]
        _check_ids(parsed["model"].get("vocab"), [number for _, number, _ in added])
        notes = []
        if parsed["model"].get("dropout"):
            parsed["model"]["dropout"] = None
            content = json.dumps(parsed, ensure_ascii=False).encode()
            notes.append("dropout of the tokenizer.json is switched off: with it no two runs have the same ids")
        tokenizer = tokenizer_of(content)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        begin, end = _around(tokenizer)
    except Exception as error:  # the library raises bare ones
        what = f"{type(error).__name__}: {error}" if isinstance(error, KeyError | RecursionError) else str(error)
        raise ValueError(f"{source} must be a tokenizer.json of Hugging Face tokenizers: {what}") from error
    ids = {name: int(number) for name, number in tokenizer.get_vocab(with_added_tokens=True).items()}
    special = {name: ids[name] for name, _, is_special in added if is_special and name in ids}
    for name, number, _ in added:
        if ids.get(name) != number:
            notes.append(f"the file gives {name} the id {number}, the library {ids.get(name)}, which is what counts")
    return TokenizerJson(content, ids, special, begin, end, tuple(notes))


def with_special_tokens(definition: bytes, ids: dict[str, int]) -> tuple[bytes, dict[str, int]]:
    """More special tokens, in the order given, and the ids that they get: an ordinary token of such a name becomes a
    special one, others are numbered by the library, without gaps."""
    parsed = json.loads(definition)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    kept = [token for token in _added(parsed) if token["content"] not in ids]
    parsed["added_tokens"] = kept + [{"id": number, "content": name, **flags} for name, number in ids.items()]
    more = json.dumps(parsed, ensure_ascii=False).encode()
    tokenizer = tokenizer_of(more)
    found = {name: int(tokenizer.token_to_id(name)) for name in ids}
    for token in parsed["added_tokens"]:
        token["id"] = found.get(token["content"], token["id"])
    return json.dumps(parsed, ensure_ascii=False).encode(), found


def splits_by_known_pattern(definition: bytes) -> bool:
    """Whether it is a byte-level BPE that splits text by a named pattern and changes nothing else: no normaliser, no
    blank before the text, no added tokens that are found in ordinary text."""
    parsed = json.loads(definition)
    model, before = parsed["model"], parsed.get("pre_tokenizer") or {}
    if model.get("type", "BPE") != "BPE" or model.get("ignore_merges") or parsed.get("normalizer"):
        return False
    if any(model.get(name) for name in ("continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout")):
        return False
    if any(not token.get("special") for token in _added(parsed)):
        return False
    if any(character not in model["vocab"] for character in byte_characters().values()):
        return False
    steps = before.get("pretokenizers") or [before]
    if steps[-1].get("type") != "ByteLevel" or steps[-1].get("add_prefix_space", True):
        return False
    if len(steps) == 1:
        return bool(steps[0].get("use_regex", True))  # GPT-2's pattern is built into it
    if len(steps) != 2 or steps[1].get("use_regex", True) or steps[0].get("type") != "Split":
        return False
    split = steps[0]
    plain = split.get("behavior") == "Isolated" and not split.get("invert")
    return plain and (split.get("pattern") or {}).get("Regex") in PLAIN_PATTERNS.values()


def special_tokens_reach_out(definition: bytes) -> bool:
    """Whether a special token takes blanks beside it, or is none beside a letter."""
    flags = ("single_word", "lstrip", "rstrip")
    return any(token.get(flag) for token in _added(json.loads(definition)) for flag in flags)


def _added(parsed: dict[str, Any]) -> list[dict[str, Any]]:
    return parsed.get("added_tokens") or []


def _check_ids(vocabulary: Any, more: list[Any]) -> None:
    numbers = [*(vocabulary.values() if isinstance(vocabulary, dict) else ()), *more]
    wrong = [number for number in numbers if type(number) is not int or not 0 <= number < MOST_IDS]
    if wrong:
        raise ValueError(f"it has the id {wrong[0]}; ids must be whole numbers from 0 to {MOST_IDS - 1:,}")
    if isinstance(vocabulary, list) and len(vocabulary) > MOST_IDS:
        raise ValueError(f"it has {len(vocabulary):,} tokens, over {MOST_IDS:,}")


def _around(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the post-processor adds to a text."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    for at in range(len(whole) - len(plain) + 1):
        if plain and whole[at : at + len(plain)] == plain:
            return tuple(whole[:at]), tuple(whole[at + len(plain) :])
    return (), ()


@cache
def byte_characters() -> dict[int, str]:
    """The printable character that byte-level vocabularies write for each byte (GPT-2's table)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [value for value in range(256) if value not in shown]
    return {value: chr(value) for value in shown} | {value: chr(256 + n) for n, value in enumerate(hidden)}
