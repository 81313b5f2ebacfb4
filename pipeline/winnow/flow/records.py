"""What a run has committed: where summary, manifest, books and every question to a run begin.

A running run fills it stage by stage (see :class:`winnow.flow.context.RunContext`); a finished one is read back from
its folder (:mod:`winnow.runs.state`). Records are reached in no other way.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from winnow.config.config import Config
from winnow.engine.engine import StageSummary
from winnow.engine.records import Json, Record, total, totals_under
from winnow.shards.manifest import read_manifest
from winnow.sources.catalogue import InputFile
from winnow.stages.ingest.labels import LabelSet, label_set
from winnow.stages.ingest.measure import Part, parts_of
from winnow.stages.tables import read_listing
from winnow.storage.store import Store

Made = TypeVar("Made")

BEFORE_TOKENS = ("passages", "redact", "decontaminate", "screen", "decide")
"""Stages that write the ledger before texts are tokenised, the last first."""
EDITING = ("contamination_spans", "redact_spans", "passage_spans")
"""Stages that find what is replaced in kept texts, in their order: their output is called ``edits``."""
REMOVALS = "removals"
"""The stage that writes the ledger where removal requests hold."""


@dataclass(frozen=True)
class VocabularyFacts:
    """What later questions need of the vocabulary that a run used."""

    name: str
    size: int
    sha256: str
    end_of_text: int
    dtype: str
    """Of token ids: uint16 where the vocabulary allows, else uint32."""
    columns: list[str]
    """Columns of the shards beside the ids."""
    begins: str = ""
    """Name and id of the token that begins each document; "" for none."""
    ends: str = ""
    """Of the one that ends it."""
    warnings: list[str] = field(default_factory=list)
    """What was changed, or is not as the vocabulary's file or a chat template would have it."""

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """Type of token ids."""
        return np.dtype(self.dtype)


@dataclass(frozen=True)
class IndexFacts:
    """How a run and the index that it joined belong together."""

    path: str
    segment: int
    """The run's number in the index."""
    segments: int
    """Earlier runs that it was compared with."""
    documents: int
    """Their kept documents."""
    skipped_files: int
    """Input files that they had taken."""
    parts: Json | None
    """Where the parts that were compared with are listed; None where there are none."""


@dataclass(frozen=True)
class Observations:
    """What the latest attempt of a run took. Reaches reports only, never a result."""

    seconds: float = 0.0
    start_seconds: float = 0.0
    """Of these, waiting for Ray."""
    stages: tuple[StageSummary, ...] = ()
    executor: str = ""
    """Who did the units, and why; empty where nothing was computed."""
    lineage_events: int = 0
    """OpenLineage events, to each place that the config names."""
    lineage_lost: int = 0
    """Of these, events that could not be delivered."""


@dataclass
class RunRecords:
    """Settings and commit records of a run."""

    store: Store
    config: Config
    records: dict[str, list[Record]] = field(default_factory=dict)
    """By stage, in unit order; a stage that did not run is absent."""
    files: list[InputFile] = field(default_factory=list)
    """Inputs, in order of their numbers."""
    ledger_stage: str = ""
    """The last stage that wrote every document's outcome."""
    layout: Json = field(default_factory=dict)
    """Where the shuffle's rows and partitions lie; empty where nothing was shuffled."""
    index: IndexFacts | None = None
    vocabulary: VocabularyFacts | None = None
    """None where nothing is tokenised."""
    shards: str = ""
    """Folder of the shard set, once it is out."""
    observed: Observations = Observations()
    found: dict[str, Json] = field(default_factory=dict)
    """How the files of sources were found, of those with lists or of which only a part is taken."""
    removals: str = ""
    """Names the lists of removal requests that the run was made with; empty where there are none."""
    _parts: tuple[list[Record], list[Part]] | None = field(default=None, init=False, repr=False, compare=False)
    """The parts of the records that were there when somebody asked."""

    _made: dict[Callable[["RunRecords"], Any], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether texts of the run leave it encrypted: reports then show none."""
        return self.config.storage.encryption is not None

    def once(self, make: Callable[["RunRecords"], Made]) -> Made:
        """What ``make`` gives of a run that is done, made when it is first asked for: several reports need the same."""
        if make not in self._made:
            self._made[make] = make(self)
        found: Made = self._made[make]
        return found

    def of(self, stage: str) -> list[Record]:
        """Records of a stage, in unit order; none where it did not run."""
        return self.records.get(stage, [])

    def total(self, stage: str, counter: str) -> int:
        """Sum of one counter over the records of a stage."""
        return total(self.of(stage), counter)

    def totals(self, stage: str, prefix: str) -> dict[str, int]:
        """Sums of all counters ``prefix/x`` of a stage, by ``x``, sorted by name."""
        return totals_under(self.of(stage), prefix)

    @property
    def ledger(self) -> list[Record]:
        """Records of the tables that hold every document's outcome, part by part."""
        return self.of(self.ledger_stage)

    @property
    def survivors(self) -> list[Record]:
        """Records of the ledger and of the documents that go on to tokenising."""
        return next((self.of(stage) for stage in BEFORE_TOKENS if self.of(stage)), [])

    @property
    def decided_stage(self) -> str:
        """The last stage that wrote the ledger before removal requests did."""
        removed = self.of(REMOVALS)
        return str(removed[0].metadata["before"]) if removed else self.ledger_stage

    def earlier(self, stage: str) -> str:
        """The stage that wrote the ledger last before one of BEFORE_TOKENS did."""
        before = BEFORE_TOKENS[1 + BEFORE_TOKENS.index(stage) :]
        return next((name for name in before if self.of(name)), before[-1])

    @property
    def edits(self) -> list[list[Json]]:
        """By part, references to the tables of edits that hold any, in the order of the flow."""
        return self.edits_before(None)

    def edits_before(self, stage: str | None) -> list[list[Json]]:
        """The same of the stages before one of EDITING."""
        stages = EDITING[: None if stage is None else EDITING.index(stage)]
        found = [[record.outputs["edits"] for record in self.of(name)] for name in stages if self.of(name)]
        return [[table[place].reference() for table in found if table[place].rows] for place in range(len(self.parts))]

    def decided_before(self, stage: str) -> list[Record]:
        """Records of the ledger that one of BEFORE_TOKENS takes up: of the last stage before it that ran."""
        return self.of(self.earlier(stage))

    @property
    def parts(self) -> list[Part]:
        """Parts of the measured text, in order: the units of every stage after ``measure``."""
        measured = self.of("measure")
        if self._parts is None or self._parts[0] is not measured:
            self._parts = measured, parts_of(measured)
        return self._parts[1]

    @property
    def labels(self) -> LabelSet | None:
        """The labels of documents; None where they have none."""
        found = self.of("label_set")
        return label_set(self.store, found[0]) if found else None

    @cached_property
    def index_parts(self) -> dict[int, Json]:
        """Parts of an index that the run was compared with, by number; their files may be gone since."""
        listing = self.index.parts if self.index else None
        return {entry["part"]: entry for entry in read_listing(self.store, listing)} if listing else {}

    @property
    def manifest(self) -> Json:
        """The current shard set's manifest; StorageError if it is missing or damaged."""
        return read_manifest(self.store, self.shards)
