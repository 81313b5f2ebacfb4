"""Lists of terms by group: CSV or TSV with a header, of columns `group`, `term`, and maybe `category` and `language`.

Terms are literal. They are matched as their words (see :mod:`winnow.text.words`), one behind the other, whatever stands
between; a term of another language than the document's is not looked for.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.errors import ConfigError
from winnow.text.language.codes import LANGUAGES, nearest_code
from winnow.text.words import hash_words

BUILT_IN = Path(__file__).parent / "groups.csv"
"""Winnow's own short list. Categories and groups follow Dodge et al. 2021, "Documenting Large Webtext Corpora"
(arXiv 2104.08758), who found that a list of words removed such texts unequally; the terms are our own."""
_MOST_BYTES, _MOST_TERMS, _MOST_GROUPS, _MOST_WORDS = 16_000_000, 100_000, 500, 16
_COLUMNS = ("category", "group", "language", "term")


@dataclass(frozen=True)
class Terms:
    """Terms of G groups."""

    groups: list[str]
    """By number: the name, behind its category."""
    term: list[str]
    """[T] as they are written."""
    group: NDArray[np.int64]
    """int64[T]."""
    language: list[str]
    """[T], "" for every language."""
    words: list[NDArray[np.uint64]]
    """[T], the hashes of its words."""
    altered: list[str] = field(default_factory=list)
    """Terms of which signs count for nothing, so that more may match than is written."""


def read_terms(content: bytes, name: str) -> Terms:
    """The terms of a file.

    Raises:
        ConfigError: a line, or the whole, is not as it should be; it names file and line.
    """
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{name}: a list of terms of over {_MOST_BYTES // 10**6} MB; a list of groups is shorter")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8, at byte {error.start:,}; save it as UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",")
    try:
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ConfigError(f"{name}, line {reader.line_num:,}: {error}; it must be CSV or TSV") from error
    header = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    if not {"group", "term"} <= set(header) or set(header) - set(_COLUMNS):
        raise ConfigError(
            f"{name}, line 1: expected a header of the columns group and term (category and language may stand beside "
            f"them), such as `group,language,term`, not {','.join(header) or 'nothing'}"
        )
    return _terms([(line, _row(name, line, header, cells)) for line, cells in lines[1:]], name)


def _row(name: str, line: int, header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise ConfigError(f"{name}, line {line:,}: {len(cells)} columns where the header has {len(header)}")
    row = dict.fromkeys(_COLUMNS, "") | dict(zip(header, map(str.strip, cells), strict=True))
    if not row["group"] or not row["term"]:
        raise ConfigError(f"{name}, line {line:,}: {'group' if not row['group'] else 'term'} is empty")
    if row["language"] and row["language"] not in LANGUAGES:
        near = nearest_code(row["language"])
        raise ConfigError(
            f"{name}, line {line:,}: {row['language']!r} is no code of a language"
            + (f"; did you mean {near!r}?" if near else "; expected codes such as en, de or zh")
        )
    return row


def _terms(rows: list[tuple[int, dict[str, str]]], name: str) -> Terms:
    if not rows:
        raise ConfigError(f"{name}: holds no term below its header")
    if len(rows) > _MOST_TERMS:
        raise ConfigError(f"{name}: {len(rows):,} terms; at most {_MOST_TERMS:,} are looked for at once")
    hashed = hash_words(pa.array([row["term"] for _, row in rows], pa.large_string()))
    groups: dict[str, int] = {}
    seen: dict[tuple[str, str, bytes], None] = {}
    found = Terms([], [], np.empty(0, np.int64), [], [])
    numbers: list[int] = []
    for place, (line, row) in enumerate(rows):
        words = hashed.hashes[hashed.offsets[place] : hashed.offsets[place + 1]]
        if not 1 <= len(words) <= _MOST_WORDS:
            many = f"has {len(words)} words, over {_MOST_WORDS}" if len(words) else "holds no letter and no digit"
            raise ConfigError(
                f"{name}, line {line:,}: the term {row['term']!r} {many}; terms are words as they stand in texts, "
                "no patterns"
            )
        label = f"{row['category']}: {row['group']}" if row["category"] else row["group"]
        key = (label, row["language"], words.tobytes())
        if key in seen:  # written twice, or in another case
            continue
        seen[key] = None
        numbers.append(groups.setdefault(label, len(groups)))
        found.term.append(row["term"])
        found.language.append(row["language"])
        found.words.append(words)
        if _has_signs(row["term"]):
            found.altered.append(row["term"])
    if len(groups) > _MOST_GROUPS:
        raise ConfigError(f"{name}: {len(groups):,} groups; at most {_MOST_GROUPS} are compared")
    return Terms(list(groups), found.term, np.array(numbers, np.int64), found.language, found.words, found.altered)


def _has_signs(term: str) -> bool:
    """Whether a term holds something else than words, blanks, hyphens and apostrophes."""
    return any(not (sign.isalnum() or sign.isspace() or sign in "-'’‐‑" or ord(sign) >= 0x300) for sign in term)
