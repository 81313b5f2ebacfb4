"""How many token ids documents have, from whichever table still holds them."""

import numpy as np
from numpy.typing import NDArray

from winnow.engine.exchange import ExchangeFile
from winnow.flow.records import RunRecords
from winnow.stages.tables import column_to_numpy, list_lengths, read_ipc


def token_lengths(run: RunRecords, part: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Documents of a part that were tokenised, uint64[N], rising, and the ids of each, int64[N].

    Where the ids were removed once they were shuffled (``compute.keep: needed``), the documents that were shuffled.
    """
    tokens = run.of("tokenise")[part].outputs["tokens"]
    if run.store.exists(tokens.path):
        table = read_ipc(run.store, tokens.reference())
        return column_to_numpy(table, "doc"), list_lengths(table, "ids")
    with run.store.open(run.of("shuffle")[part].outputs["rows"].path) as file:
        exchange = ExchangeFile.open(file)
        columns = exchange.read(0, exchange.num_partitions)
    docs, first = np.unique(columns["doc"].astype(np.uint64), return_index=True)
    return docs, columns["length"][first].astype(np.int64)
