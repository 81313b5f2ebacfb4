"""Alarms from counters alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.configs import source_of, unread_config
from winnow.config.config import parse_config
from winnow.engine.records import Record
from winnow.flow.dedup_alarms import LEAST_CLUSTER, dedup_alarms
from winnow.stages.dedup.keepers import largest_clusters


def record(stage: str, counters=None, metadata=None) -> Record:
    return Record(stage, "", "", 0, {}, counters or {}, {}, metadata or {})


def config(**dedup):
    sources = [source_of("-", name) for name in ("web", "books")]
    return parse_config(unread_config(sources=sources, dedup=dedup))


def decided(web_lost: int, web_kept: int, books_kept: int = 1000) -> list[Record]:
    return [
        record("decide", {"source/web/near_duplicate": web_lost, "source/web/kept": web_kept}),
        record("decide", {"source/books/kept": books_kept, "source/web/filtered": 10_000}),
    ]


def clustered(*clusters: tuple[int, int, int]) -> list[Record]:
    names = ("source", "keeper", "documents")
    return [record("keepers", metadata={"largest_clusters": [dict(zip(names, c, strict=True))]}) for c in clusters]


def test_a_source_that_lost_over_half():
    assert dedup_alarms(config(), [], decided(500, 500)) == []
    (alarm,) = dedup_alarms(config(), [], decided(501, 499))
    assert (alarm.source, alarm.documents, alarm.of, alarm.keeper) == ("web", 501, 1000, None)
    assert "source web lost 501 of 1,000 documents (50.1%)" in str(alarm)
    assert dedup_alarms(config(alarm_source_share=0.6), [], decided(501, 499)) == []


def test_a_cluster_over_one_percent_of_a_source():
    assert dedup_alarms(config(), clustered((1, 7, 10)), decided(0, 1000)) == []
    (alarm,) = dedup_alarms(config(), clustered((1, 7, 11), (1, 5, 12), (1, 9, 12), (1, 4, 10)), decided(0, 1000))
    assert (alarm.source, alarm.documents, alarm.of, alarm.keeper) == ("books", 12, 1000, 5)
    assert "document 5" in str(alarm)
    (alarm,) = dedup_alarms(config(), clustered((1, (1 << 63) + 5, 12)), decided(0, 1000))
    assert "an earlier run kept its document" in str(alarm)  # its number means nothing outside the index
    assert dedup_alarms(config(alarm_cluster_share=0.02), clustered((1, 7, 12)), decided(0, 1000)) == []


def test_a_pair_in_a_tiny_source_is_no_alarm():
    assert dedup_alarms(config(), clustered((1, 7, LEAST_CLUSTER - 1)), decided(0, 1, books_kept=11)) == []
    assert len(dedup_alarms(config(), clustered((1, 7, LEAST_CLUSTER)), decided(0, 1, books_kept=11))) == 1


def test_no_dedup_no_alarms():
    off = parse_config(unread_config(sources=[source_of("-", "web")], dedup="off"))
    assert dedup_alarms(off, [], decided(900, 1)) == []


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 5)), max_size=30))
def test_largest_clusters_against_plain_counting(members):
    source = [s for s, _ in members]
    # a member may only be removed for one that is kept
    kept_by = [k if k < n and k >= 0 and members[k][1] < 0 else -1 for n, (_, k) in enumerate(members)]
    kept_by = [k if k >= 0 and kept_by[k] < 0 else -1 for k in kept_by]
    docs = [100 + 7 * n for n in range(len(members))]
    sizes: dict[tuple[int, int], int] = {}
    for n, keeper in enumerate(kept_by):
        if keeper >= 0:
            sizes[source[n], docs[keeper]] = sizes.get((source[n], docs[keeper]), 0) + 1
    for keeper in {k for k in kept_by if k >= 0}:
        sizes[source[keeper], docs[keeper]] = sizes.get((source[keeper], docs[keeper]), 0) + 1
    expected = []
    for s in sorted({s for s, _ in sizes}):
        most = max(size for (of, _), size in sizes.items() if of == s)
        keeper = min(doc for (of, doc), size in sizes.items() if of == s and size == most)
        expected.append({"source": s, "keeper": keeper, "documents": most})
    found = largest_clusters(np.array(docs, np.uint64), np.array(source, np.uint16), np.array(kept_by, np.int64))
    assert found == expected
