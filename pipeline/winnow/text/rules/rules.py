"""The published quality rules, decided on signals alone: every rule that a document fails, with value and threshold.

Comparisons are strict: a document at exactly the threshold is kept. A rule applies to a document if its set is on and
applies to the document's source and language, its setting is not none, and it makes sense for the document (``Scope``):
rules tuned on English web pages must not throw away text in other languages and scripts, nor conversations.
"""

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.text.rules.config import RULE_NAMES, RulesConfig
from winnow.text.rules.registry import RULE_SETS
from winnow.text.rules.rule import Counts, RuleSet, Scope
from winnow.text.signals.signals import SIGNALS
from winnow.text.stop_words import STOP_WORDS

LANGUAGES_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo", "dz", "yue", "wuu"})
"""Languages written without spaces between words (ISO 639)."""
LANGUAGES_OF_SYLLABLES = frozenset({"ko", "vi"})
"""Written with spaces, but in syllables: one code point each (Korean) or one word each (Vietnamese)."""
LANGUAGES_WITHOUT_SENTENCE_MARKS = frozenset({"th", "lo"})
"""Languages that end a sentence with a space."""


def all_names(*more: str | None) -> tuple[str, ...]:
    """Names of rules of sets, and after them names that tables hold besides, each once, in order."""
    return tuple(dict.fromkeys((*RULE_NAMES, *(name for name in more if name is not None))))


class RuleValues(NamedTuple):
    """What one rule of a set finds in N documents."""

    number: int
    """Index into RULE_NAMES."""
    is_min: bool
    """Whether documents fail below the threshold, rather than above."""
    threshold: float
    value: NDArray[np.float64]  # [N] NaN where undefined, which fails nothing
    applies: NDArray[np.bool_]  # [N]

    @property
    def fails(self) -> NDArray[np.bool_]:
        """[N] documents that fail; one at exactly the threshold does not."""
        return self.applies & (self.value < self.threshold if self.is_min else self.value > self.threshold)


class Failures(NamedTuple):
    """The rules that failed, by row and within a row in the order of their names."""

    row: NDArray[np.int64]  # [F] row of `signals`
    rule: NDArray[np.int32]  # [F] index into RULE_NAMES, or into all names
    value: NDArray[np.float32]  # [F] in the unit of the threshold
    threshold: NDArray[np.float32]  # [F]


def evaluate(
    signals: pa.RecordBatch | pa.Table,
    languages: pa.Array | pa.ChunkedArray,
    config: RulesConfig,
    sources: pa.Array | pa.ChunkedArray | None = None,
    prose: Collection[str] = (),
) -> Failures:
    """Find every rule of a set that each document fails; arguments and errors of :func:`rule_values`."""
    found = rule_values(signals, languages, config, sources, prose)
    return joined([_failures(values) for values in found])


def rule_values(
    signals: pa.RecordBatch | pa.Table,
    languages: pa.Array | pa.ChunkedArray,
    config: RulesConfig,
    sources: pa.Array | pa.ChunkedArray | None = None,
    prose: Collection[str] = (),
) -> Iterator[RuleValues]:
    """Values of every rule of a set that is on, in the order of RULE_NAMES.

    Args:
        signals: N rows with at least the columns of ``SIGNALS``.
        languages: string[N] or dictionary of strings; ISO 639-1 codes, null where unknown.
        config: the thresholds.
        sources: string[N] or dictionary of strings, names; None: all documents are prose.
        prose: names of the sources of plain texts.

    Raises:
        ValueError: a signal is missing, or there are not as many languages as rows.
    """
    rows = signals.num_rows
    if len(languages) != rows:
        raise ValueError(f"signals have {rows} rows, languages {len(languages)}; pass one language a row")
    missing = [name for name in SIGNALS if name not in signals.schema.names]
    if missing:
        raise ValueError(f"signals lack the columns {missing}; measure the texts again with this version")
    counts = {name: signals.column(name).to_numpy(zero_copy_only=False).astype(np.float64) for name in SIGNALS}
    language = _Names(languages)
    source = None if sources is None else _Names(sources)
    counts["stop_words"] = _stop_words(counts, language, rows)
    scopes = _scopes(counts, language, rows)

    everywhere = np.ones(rows, bool)
    yield RuleValues(0, True, 1.0, counts["words"] + counts["marks"], everywhere)
    if config.languages is not None:
        yield RuleValues(1, True, 1.0, language.among(config.languages).astype(np.float64), everywhere)
    index = 2
    for name, kind in RULE_SETS.items():
        rule_set: RuleSet | None = getattr(config, name)
        for rule in kind.rules:
            threshold = getattr(rule_set, rule.setting, None)
            if rule_set is not None and threshold is not None:
                applies = scopes[rule.scope]
                if source is not None and rule_set.sources != "all":
                    applies = applies & source.among(prose if rule_set.sources == "prose" else rule_set.sources)
                if rule_set.languages is not None:
                    applies = applies & language.among(rule_set.languages)
                value = rule.value(counts, rule_set)
                yield RuleValues(index, rule.setting.startswith("min_"), float(threshold), value, applies)
            index += 1


def joined(failures: list[Failures]) -> Failures:
    """Several as one; within a row, those of the first come first."""
    row, number, value, bound = (np.concatenate(part) for part in zip(*failures, strict=True))
    order = np.argsort(row, kind="stable")
    return Failures(row[order], number[order], value[order], bound[order])


def _failures(found: RuleValues) -> Failures:
    row = np.flatnonzero(found.fails)
    return Failures(
        row.astype(np.int64),
        np.full(len(row), found.number, np.int32),
        found.value[row].astype(np.float32),
        np.full(len(row), found.threshold, np.float32),
    )


class _Names:
    """The language, or the source, of each row, as codes into a short list."""

    def __init__(self, names: pa.Array | pa.ChunkedArray) -> None:
        if isinstance(names, pa.ChunkedArray):
            names = names.unify_dictionaries().combine_chunks()
            if isinstance(names, pa.ChunkedArray):  # of no chunks
                names = pa.array([], pa.string())
        if not pa.types.is_dictionary(names.type):
            names = names.dictionary_encode()
        self._names: list[str | None] = [*names.dictionary.to_pylist(), None]
        self._codes = names.indices.fill_null(len(self._names) - 1).to_numpy(zero_copy_only=False)

    def among(self, names: Any) -> NDArray[np.bool_]:
        """bool[N]: the row's is one of ``names``."""
        chosen = np.array([name in names for name in self._names], bool)
        return np.asarray(chosen[self._codes], bool)


def _stop_words(counts: Counts, language: _Names, rows: int) -> NDArray[np.float64]:
    """The count of the row's own language; NaN where that has no list."""
    result = np.full(rows, np.nan)
    for name in STOP_WORDS:
        here = language.among((name,))
        result[here] = counts[f"stop_words_{name}"][here]
    return result


def _scopes(counts: Counts, language: _Names, rows: int) -> dict[Scope, NDArray[np.bool_]]:
    # what the script says counts too: a language may be unknown or wrong
    spaced = ~language.among(LANGUAGES_WITHOUT_SPACES) & (2 * counts["spaceless_words"] <= counts["words"])
    return {
        Scope.ALL: np.ones(rows, bool),
        Scope.SPACED: spaced,
        Scope.ALPHABETIC: spaced & ~language.among(LANGUAGES_OF_SYLLABLES),
        Scope.SENTENCE_MARKS: ~language.among(LANGUAGES_WITHOUT_SENTENCE_MARKS),
        Scope.STOP_WORDS: language.among(tuple(STOP_WORDS)),
    }
