"""What ``winnow why`` tells of a synthetic text's parent, and of the texts that were made of a document."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from winnow import schemas
from winnow.flow.records import RunRecords
from winnow.looking.texts import ids_of, outcomes_of
from winnow.stages.tables import column_to_numpy, read_ipc

MOST_CHILDREN = 20
"""Texts made of a document that are named; others are counted."""


@dataclass(frozen=True)
class Relative:
    """A document of the family."""

    doc: int
    id: str
    outcome: str


@dataclass(frozen=True)
class Family:
    """Whom a document was made of, and what was made of it."""

    is_synthetic: bool = False
    """Whether it names a parent."""
    parent: Relative | None = None
    """None where the run has not read it."""
    children: tuple[Relative, ...] = ()
    """The first ones."""
    number_of_children: int = 0


def links_of(run: RunRecords) -> pa.Table:
    """Synthetic texts and their parents: of all families, which a run with synthetic texts has."""
    tables = [read_ipc(run.store, record.outputs["links"].reference()) for record in run.of("family_links")]
    return pa.concat_tables(tables)


def family_of(run: RunRecords, doc: int) -> Family:
    """The family of a document."""
    if not run.of("family_links"):
        return Family()
    links = links_of(run)
    docs, parents = column_to_numpy(links, "doc"), column_to_numpy(links, "parent")
    mine = parents[docs == np.uint64(doc)].tolist()
    children = docs[parents == np.uint64(doc)].tolist()
    known = [parent for parent in mine if parent != int(schemas.NO_DOC)]
    named = set(known + children[:MOST_CHILDREN])
    ids, outcomes = ids_of(run, named), outcomes_of(run, named)
    relatives = {one: Relative(one, ids[one], outcomes[one]) for one in named}
    return Family(
        bool(mine),
        relatives[known[0]] if known else None,
        tuple(relatives[child] for child in children[:MOST_CHILDREN]),
        len(children),
    )
