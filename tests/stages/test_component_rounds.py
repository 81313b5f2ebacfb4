"""Units of rounds are as large as their memory allows."""

from winnow.engine.records import Record
from winnow.stages.dedup.component_rounds import PAIR_BYTES, plan_half


def test_what_small_star_writes_for_both_documents_is_no_more_than_a_partition():
    edges = 40_000_000
    before = [Record("large_star", "", "", 0, {}, {"edges": edges, "rows": edges}, {}, {"partitions": 8})]
    (unit, *_), partition_mb = plan_half({}, before, 64), 64
    assert unit.inputs["partition"] == 0
    written = 2 * edges / unit.inputs["partitions"] * PAIR_BYTES
    assert written <= partition_mb * 1_000_000 < 2 * written
