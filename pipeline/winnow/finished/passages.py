"""What ``winnow why`` tells of a document's passages that stand in the corpus before."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from winnow.engine.records import Json
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, outcomes_of, text_by_document
from winnow.stages.tables import read_parquet


@dataclass(frozen=True)
class HeldPassage:
    """A passage of the document that stands in the corpus before."""

    begin: int
    """Byte of the stored text."""
    end: int
    words: int
    keeper: int
    """The document that has it first; this one, where it repeats itself."""
    keeper_id: str
    keeper_word: int
    """Number of its first word there."""
    keeper_outcome: str
    text: str
    """What stands there."""


def passages_of(run: RunRecords, number: int, doc: int) -> tuple[HeldPassage, ...]:
    """Passages of the document that stand before, with what they say."""
    cut = run.of("passage_spans")[number : number + 1]
    rows: list[Json] = []
    if cut:
        spans = read_parquet(run.store, cut[0].outputs["spans"].reference())
        rows = spans.filter(pc.equal(spans.column("doc"), pa.scalar(doc, pa.uint64()))).to_pylist()
    if not rows:
        return ()
    keepers = {row["keeper"] for row in rows}
    ids, outcomes = ids_of(run, keepers), outcomes_of(run, keepers)
    text = text_by_document(run, {doc})[doc].encode()
    return tuple(
        HeldPassage(
            row["begin"],
            row["end"],
            row["words"],
            row["keeper"],
            ids[row["keeper"]],
            row["keeper_word"],
            outcomes[row["keeper"]],
            text[row["begin"] : row["end"]].decode(),
        )
        for row in rows
    )
