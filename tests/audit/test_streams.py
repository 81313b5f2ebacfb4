"""What checks keep of a stream of parts."""

import numpy as np
import pyarrow as pa
import pytest

from winnow.audit.verify import streams
from winnow.audit.verify.streams import Spread, count_kept


@pytest.mark.parametrize("documents", [0, 7, 8, 15, 16, 17, 1000])
def test_some_rows_are_spread_evenly_over_all(documents):
    chosen = Spread(8)
    for rows in np.array_split(np.arange(documents), 5):
        chosen.add(pa.table({"row": rows}))
    rows = chosen.rows().column("row").to_numpy()
    assert min(documents, 8) <= len(rows) <= 16
    steps = np.diff(rows)
    assert len(rows) == 0 or rows[0] == 0
    assert len(set(steps.tolist())) <= 1
    assert len(rows) < 2 or documents - rows[-1] <= steps[0]


@pytest.mark.parametrize("at_once", [1, 10, 1 << 20])
def test_keepers_are_looked_for_among_all_that_is_kept(monkeypatch, at_once):
    monkeypatch.setattr(streams, "KEEPERS_AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    kept = np.array_split(np.sort(rng.choice(400, 200, replace=False)).astype(np.uint64), 6)
    kept.insert(2, np.empty(0, np.uint64))
    keepers = [rng.integers(0, 420, 30).astype(np.uint64) for _ in range(5)]
    expected = int(np.isin(np.concatenate(keepers), np.concatenate(kept)).sum())
    assert count_kept(keepers, lambda: kept) == (150, expected)
    assert count_kept([], lambda: kept) == (0, 0)
