"""The passages that a finished run found most often, with their texts, and whether each stands where the run says.

Of a sample of passages the words are read again: they must be the words of the document that is named, at the word that
is named, and that place must lie before.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.audit.tables import TableOf
from winnow.engine.records import Json
from winnow.errors import ConfigError, NothingToAuditError
from winnow.flow.passages import by_source
from winnow.flow.records import RunRecords
from winnow.looking.passages import RepeatedPassage, most_repeated
from winnow.looking.texts import text_by_document
from winnow.stages.tables import column_to_numpy, read_parquet
from winnow.text.words import hash_words

SAMPLE = 512
"""Passages that are read again, spread evenly over all."""


@dataclass(frozen=True)
class PassagesAudit:
    """The result."""

    run: str
    words: int
    """Fewest of a passage."""
    min_words: int
    looked_at: int
    """Words of all documents that took part."""
    passages: int
    cut_words: int
    cut_documents: int
    left_out: int
    lost_words: int
    """Of documents that were left out, those that stand nowhere before."""
    first_left_out: int
    """Passages whose first document was left out itself."""
    sources: dict[str, Json]
    checked: int
    right: int
    most: tuple[RepeatedPassage, ...]

    @property
    def holds(self) -> bool:
        """Whether every passage that was read again stands where it is said."""
        return self.checked == self.right


def audit_passages(run: RunRecords, first: int, characters: int) -> PassagesAudit:
    """Look at a finished run.

    Args:
        run: the run.
        first: passages that are shown, those with most copies.
        characters: of each.

    Raises:
        ConfigError: the run looks for none.
        NothingToAuditError: no document took part.
    """
    config = run.config.passages
    if config is None:
        raise ConfigError(
            f"{run.store.root}: the run looked for no repeated passages: its config has no `passages`; run it again "
            "with that section, and the audit then"
        )
    if not run.of("passage_spans"):
        raise NothingToAuditError(f"{run.store.root}: nothing to audit, no document took part in passages")
    numbers = {
        name: run.total("passage_spans", name)
        for name in ("passages", "cut_words", "cut_documents", "short_documents", "lost_words")
    }
    return PassagesAudit(
        run.config.run,
        config.words,
        config.min_words,
        run.total("passage_anchors", "words"),
        numbers["passages"],
        numbers["cut_words"],
        numbers["cut_documents"],
        numbers["short_documents"],
        numbers["lost_words"],
        _first_left_out(run),
        by_source(run),
        *check_sample(run, SAMPLE),
        tuple(most_repeated(run, first, characters)),
    )


def _first_left_out(run: RunRecords) -> int:
    gone = [np.empty(0, np.uint64)]
    for record in run.of("passages"):
        table = read_parquet(run.store, record.outputs["decisions"].reference(), ["doc", "outcome"])
        repeated = np.array(table.column("outcome").to_pylist()) == schemas.REPEATED
        gone.append(column_to_numpy(table, "doc")[repeated])
    every, found = np.concatenate(gone), 0
    for record in run.of("passage_spans"):
        table = read_parquet(run.store, record.outputs["spans"].reference(), ["doc", "keeper"])
        doc, keeper = column_to_numpy(table, "doc"), column_to_numpy(table, "keeper")
        found += int(np.isin(keeper[~np.isin(doc, every)], every).sum())
    return found


def check_sample(run: RunRecords, size: int) -> tuple[int, int]:
    """Passages that are read again, and those of them that stand where it is said."""
    number = sum(record.outputs["spans"].rows for record in run.of("passage_spans"))
    step, begin, rows = max(1, number // size), 0, []
    for record in run.of("passage_spans"):
        held = record.outputs["spans"].rows
        mine = np.arange(-begin % step, held, step)
        begin += held
        if len(mine):
            rows += read_parquet(run.store, record.outputs["spans"].reference()).take(pa.array(mine)).to_pylist()
    texts = text_by_document(run, {row[name] for row in rows for name in ("doc", "keeper")})
    words: dict[int, NDArray[np.uint64]] = {}
    right = 0
    for row in sorted(rows, key=lambda row: row["keeper"]):
        passage = _words(texts[row["doc"]].encode()[row["begin"] : row["end"]].decode())
        if row["keeper"] not in words:
            words = {row["keeper"]: _words(texts[row["keeper"]])}
        there = words[row["keeper"]][row["keeper_word"] : row["keeper_word"] + len(passage)]
        before = (row["keeper"], row["keeper_word"]) < (row["doc"], row["word"])
        right += len(passage) == row["words"] and before and np.array_equal(passage, there)
    return len(rows), right


def _words(text: str) -> NDArray[np.uint64]:
    return hash_words(pa.array([text], pa.large_string())).hashes


def passages_headline(audit: PassagesAudit) -> str:
    """What was found, in two sentences."""
    told = (
        f"{audit.passages:,} passages of {audit.words:,} words and more stand in the corpus before; "
        f"{audit.cut_words:,} of {audit.looked_at:,} words ({audit.cut_words / max(1, audit.looked_at):.1%}) are cut."
    )
    if audit.holds:
        return f"{told} Each of {audit.checked:,} passages read again stands, word for word, where the run says."
    return (
        f"{told} {audit.checked - audit.right:,} OF {audit.checked:,} PASSAGES READ AGAIN DO NOT STAND WHERE THE RUN "
        "SAYS: tables or texts were altered."
    )


def passages_tables(audit: PassagesAudit) -> list[TableOf]:
    """By source, and the passages with most copies."""
    rows = tuple(
        (
            name,
            f"{numbers['words']:,}",
            f"{numbers['cut_words']:,}",
            f"{numbers['cut_words'] / max(1, numbers['words']):.1%}",
            f"{numbers['cut_documents']:,}",
            f"{numbers['left_out']:,}",
        )
        for name, numbers in audit.sources.items()
    )
    note = (
        f"{audit.cut_documents:,} documents are cut; {audit.left_out:,} are left out, because fewer than "
        f"{audit.min_words:,} words would be left ({audit.lost_words:,} words in all, which may stand nowhere else). "
        f"{audit.first_left_out:,} passages were cut for a document that is left out itself."
    )
    most = tuple(
        (
            f"{passage.copies:,}",
            f"{passage.words:,}",
            f"{passage.all_words:,}",
            passage.keeper_id,
            " ".join(passage.text.split())[:80],
        )
        for passage in audit.most
    )
    return [
        TableOf(
            "Repeated passages by source",
            note,
            ("source", "words", "cut", "share", "documents cut", "documents left out"),
            rows,
            frozenset({1, 2, 3, 4, 5}),
        ),
        TableOf(
            "The passages with most copies",
            "By where they begin in the document that has them first; the first copy, which stays, is not counted.",
            ("copies", "words", "in all", "first in", "begins"),
            most,
            frozenset({0, 1, 2}),
        ),
    ]
