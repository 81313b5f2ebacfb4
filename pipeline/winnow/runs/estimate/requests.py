"""How many requests a run sends to an object store, where its folder is in one.

Counted from what the stages open (their ``run`` functions) and from the layout of an exchange file: a reduce unit
opens every map file and reads its header, its place in the index and its rows, so the requests of an exchange grow
with parts times partitions (for the shuffle: times shards). Larger units, partitions and shards lower them.
"""

from dataclasses import dataclass

from winnow.runs.estimate.sizes import Corpus, Sizes

RANGE_BYTES = 16_000_000
"""Bytes of one ranged read and of one piece of a multipart upload; an assumption, stores take 5 MB to 5 GB."""
READS_AN_OPEN = 2
"""The end of a file (where Parquet and Arrow keep their index) and its beginning; large tables take more."""
READS_OF_ROWS = 2
"""Header with index, and rows: one partition of one map file (docs/performance.md, Object stores)."""
READS_OF_ROWS_AND_PAYLOAD = 4
"""The same; then header with index, and payload (the same place)."""
READS_OF_A_STRETCH = 2
"""Rows and payload: what a shard reads of one map file of the shuffle, whose extents it knows (the same place)."""
LOOKS_A_UNIT = 3
"""Is the record there, was the run asked to stop, and the record itself, for the driver."""
LIST_PAGE = 1_000
"""Names in one answer of a listing (S3)."""
READS_A_SECOND = 5_500
"""Reads that one prefix of S3 takes a second before it asks to slow down (Amazon S3 User Guide, "Best practices design
patterns: optimizing Amazon S3 performance"; 3,500 writes). A bucket that grows with its load takes more in time."""


@dataclass(frozen=True)
class Requests:
    """Requests of one run that is not interrupted."""

    writes: int
    """PUT, POST, LIST: what providers bill as writes."""
    reads: int
    """GET and HEAD."""
    exchange_reads: int
    """Of the reads, those of exchanges."""

    @property
    def least_seconds(self) -> float:
        """At what one prefix takes."""
        return self.reads / READS_A_SECOND


def requests_of(corpus: Corpus, sizes: Sizes) -> Requests:
    """Requests of a run over a corpus."""
    written = sum(-(-size // RANGE_BYTES) for size in sizes.tables.values())
    lists = sizes.stages + sizes.records // LIST_PAGE
    exchanged = sizes.parts * (
        sizes.band_partitions * READS_OF_ROWS
        + sizes.candidate_partitions * READS_OF_ROWS_AND_PAYLOAD
        + sizes.shards * READS_OF_A_STRETCH
    )
    return Requests(
        writes=sizes.files + written + sizes.records + lists,
        reads=-(-corpus.stored_bytes // RANGE_BYTES)
        + sizes.opened * READS_AN_OPEN
        + written
        + sizes.records * LOOKS_A_UNIT
        + exchanged,
        exchange_reads=exchanged,
    )
