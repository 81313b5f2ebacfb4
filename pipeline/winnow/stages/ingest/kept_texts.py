"""Texts of some of a part's documents, for stages that read them."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow.engine.records import Json
from winnow.engine.stage import Workspace
from winnow.fault_point import fault_point
from winnow.stages.ingest.isolate import probe_in_child
from winnow.stages.tables import parquet_batches


def wanted_texts(
    workspace: Workspace, documents: Json, docs: NDArray[np.uint64], work: Callable[[pa.Array], object]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.bool_], pa.Array]]:
    """Row group by row group, those that hold some of ``docs``; texts are not copied.

    Args:
        workspace: of the unit.
        documents: the part's table.
        docs: uint64[N], rising: who is wanted.
        work: what will be done to texts, for :func:`probe_in_child`.

    Yields:
        Of all rows of a group: documents uint64[B], whether they are wanted bool[B], texts large_string[B].
    """
    for batch in parquet_batches(workspace.store, documents, ["doc", "text"]) if len(docs) else ():
        there, texts = batch.column("doc").to_numpy(), batch.column("text")
        wanted = np.isin(there, docs, assume_unique=True)
        if not wanted.any():
            continue
        if workspace.isolate is not None:
            probe_in_child(workspace, there[wanted], texts.filter(pa.array(wanted)), work)
        fault_point("batch", stage=workspace.stage_name, texts=texts)
        yield there, wanted, texts
