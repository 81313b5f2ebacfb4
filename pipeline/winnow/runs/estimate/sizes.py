"""How large the tables of a run become, in how many files, from how much text it reads: before there is anything.

Every constant says where it was measured. Figures hold for text like that of docs/performance.md (mixed, 90 % kept);
whoever has other text measures a hundredth of it first.

Legend: a part is a unit (``compute.unit_mb``) of text, the unit of every stage after ``measure``.
"""

from dataclasses import dataclass

from winnow.config.config import Config
from winnow.dedup.config import DedupConfig
from winnow.engine.config import Keep
from winnow.engine.work_sizes import WorkSizes, work_sizes
from winnow.flow.flow import part_work, stages_of
from winnow.flow.measure import text_compression
from winnow.shards.formats.formats import FORMATS, indexed
from winnow.stages.tables import Compression

MEAN_DOCUMENT_BYTES = 4_500
"""Bytes of text a document, where nobody knows better: pages of the web. (The measured corpus: 7,400.)"""
TOKENS_A_BYTE = 0.23
"""Tokens a byte of text, o200k_base on mixed text (docs/performance.md: 408 MB of mixed sources)."""
TEXT_BYTES_A_BYTE: dict[Compression, float] = {"zstd": 0.30, "lz4": 0.45}
"""Normalised text and signals, a byte of text (docs/performance.md, Disk)."""
EXACT_HASH_BYTES = 28
"""What the signatures table has besides the signature: document, 128-bit hash of the text, number of shingles."""
KEY_BYTES = 16
"""A band key and a document (docs/performance.md, bands exchange)."""
CANDIDATE_SHARE = 0.29
"""Documents that share a band with another (docs/performance.md: 21 % of the corpus; 29 % of 250 million made-up
documents with clusters: the larger one, because memory follows from it)."""
CANDIDATE_BYTES = 64
"""Of a candidate beside its signature (``plan_candidates``)."""
SHINGLE_BYTES_A_BYTE = 0.1
"""Unless `verify: estimate`: shingle sets of candidates, a byte of all text (docs/performance.md: 39 MB of 405)."""
CONTENT_BYTES_A_BYTE = 0.08
"""With `dedup.guard`: runs of three words of candidates, a byte of all text (docs/performance.md: 33 MB of 405)."""
SMALL_BYTES_A_DOCUMENT = 60
"""Verdicts, decisions, edges and records (run folders of 1x and 3x: 4 to 9 MB for 54,713 and 164,139 documents)."""


@dataclass(frozen=True)
class Corpus:
    """What is to be read."""

    text_bytes: int
    """Bytes of text, decompressed."""
    stored_bytes: int
    """Bytes of the files that hold it."""
    documents: int


@dataclass(frozen=True)
class Sizes:
    """What a run over a corpus writes."""

    work: WorkSizes
    parts: int
    tokens: int
    tables: dict[str, int]
    """Bytes by what they are, shards last."""
    files: int
    records: int
    band_partitions: int
    candidate_partitions: int
    shards: int
    """Of one format; each is read from a stretch of every file of the shuffle."""
    stages: int
    """Stages of the run."""
    keep: Keep
    """What stays in the run folder (``compute.keep``)."""
    opened: int
    """Tables of parts that are opened to read, and files of shards that are opened again once they are written."""

    @property
    def written_bytes(self) -> int:
        """Bytes of all tables, shards included."""
        return sum(self.tables.values())

    @property
    def fullest_bytes(self) -> int:
        """Bytes of the tables that are on the disk at the same time, at the fullest."""
        if self.keep == "all":
            return self.written_bytes
        of = self.tables
        always = of["text and signals"] + of["signatures"] + of["decisions"]
        return always + max(of["bands"] + of["candidates"], of["shuffle"] + max(of["tokens"], of["shards"]))


def corpus_of(text_bytes: int, stored_bytes: int, documents: int | None = None) -> Corpus:
    """A corpus of so many bytes; documents of the mean size where nobody has counted them."""
    return Corpus(text_bytes, stored_bytes, documents or -(-text_bytes // MEAN_DOCUMENT_BYTES))


def sizes_of(corpus: Corpus, config: Config, id_bytes: int, tokens: int | None = None) -> Sizes:
    """What a run writes, every document kept.

    Args:
        corpus: what is read.
        config: of the run.
        id_bytes: bytes of a token id.
        tokens: where they have been counted.
    """
    text, documents = corpus.text_bytes, corpus.documents
    tokens = int(text * TOKENS_A_BYTE) if tokens is None else tokens
    dedup = config.dedup
    minhash = (dedup or DedupConfig()).minhash
    signature = minhash.num_perm * 4
    bands = candidates = 0
    if dedup:
        bands = documents * minhash.num_bands * KEY_BYTES
        candidates = int(documents * CANDIDATE_SHARE * (signature + CANDIDATE_BYTES))
        candidates += int(text * SHINGLE_BYTES_A_BYTE) if dedup.verification.reads_texts else 0
        candidates += int(text * CONTENT_BYTES_A_BYTE) if dedup.guarded else 0
    ids = tokens * id_bytes
    tables = {
        "text and signals": int(text * TEXT_BYTES_A_BYTE[text_compression(config)]),
        "signatures": documents * (signature + EXACT_HASH_BYTES),
        "bands": bands,
        "candidates": candidates,
        "decisions": documents * SMALL_BYTES_A_DOCUMENT,
        "tokens": ids,
        "shuffle": tokens * 3 if id_bytes == 4 and config.marks is None else ids,
        "shards": ids * len(config.shards.formats),
    }
    work = work_sizes(config.compute, text)
    partition_bytes = work.partition_mb * 1_000_000
    band_partitions = -(-bands // partition_bytes)
    candidate_partitions = -(-candidates // partition_bytes)
    parts = max(1, -(-text // (work.unit_mb * 1_000_000)))
    shards = max(1, -(-ids // config.shards.shard_bytes(id_bytes)))
    a_part = part_work(config)
    reduced = band_partitions + candidate_partitions
    return Sizes(
        work=work,
        parts=parts,
        tokens=tokens,
        tables=tables,
        files=parts * a_part.files
        + parts  # unreadable records of each unit of measure
        + reduced
        + shards * sum(FORMATS.get(name).files_a_shard(config.shards.columns) for name in config.shards.formats)
        + len(config.shards.split_names) * len(indexed(config.shards.formats)),
        records=parts * (1 + a_part.records) + reduced + shards,
        band_partitions=band_partitions,
        candidate_partitions=candidate_partitions,
        shards=shards,
        stages=len(stages_of(config)),
        keep=config.compute.keep,
        opened=parts * a_part.opens
        + shards * sum(FORMATS.get(name).reads_after_writing for name in config.shards.formats),
    )
