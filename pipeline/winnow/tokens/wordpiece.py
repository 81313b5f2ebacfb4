"""WordPiece vocabularies (BERT): a ``vocab.txt`` as the ``tokenizer.json`` that means the same.

Source: Devlin and others, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding" (2019);
the file format and the steps (clean, split off Chinese characters, lower-case and strip accents, split on white space
and punctuation, longest match first) are those of ``transformers.BertTokenizer``.
"""

import io
import json

UNKNOWN, FIRST, LAST, PADDING, MASK = "[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"
SPECIAL_TOKENS = (UNKNOWN, LAST, PADDING, FIRST, MASK)
MAX_WORD_CHARACTERS = 100
"""A longer word is unknown."""


def read_wordpiece(content: bytes, source: str) -> dict[str, int]:
    """Token -> id of a ``vocab.txt``: one token a line, its id the number of the line from 0.

    Raises:
        ValueError: not UTF-8, or a special token that BERT needs is missing.
    """
    try:
        lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=None).read().split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} must be a WordPiece vocabulary in UTF-8, one token a line: {error}") from error
    if lines[-1] == "":
        lines.pop()
    ids = {token: number for number, token in enumerate(lines)}  # of a token that stands twice, the last one counts
    missing = [token for token in (UNKNOWN, FIRST, LAST, PADDING) if token not in ids]
    if missing:
        raise ValueError(
            f"{source}: {len(ids):,} tokens, but not {', '.join(missing)}; a WordPiece vocabulary needs "
            f"{UNKNOWN}, {FIRST}, {LAST} and {PADDING}, one token a line"
        )
    return ids


def is_lowercase(ids: dict[str, int]) -> bool:
    """Whether no token, special ones apart, has a letter that lower-casing changes."""
    return all(token == token.lower() for token in ids if token not in SPECIAL_TOKENS)


def wordpiece_json(ids: dict[str, int], *, lowercase: bool) -> bytes:
    """The ``tokenizer.json``. With ``lowercase``, accents go as well, as in BERT."""
    definition = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in sorted((token for token in SPECIAL_TOKENS if token in ids), key=ids.__getitem__)
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": None,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": UNKNOWN,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": MAX_WORD_CHARACTERS,
            "vocab": ids,
        },
    }
    return json.dumps(definition, ensure_ascii=False).encode()
