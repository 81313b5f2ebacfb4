"""A run at work: its records so far, and the engine that adds to them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from winnow.config.config import Config
from winnow.engine.engine import Engine
from winnow.engine.records import Json
from winnow.engine.work_sizes import WorkSizes, work_sizes
from winnow.flow.records import RunRecords
from winnow.index.join import IndexRun
from winnow.stages.ingest import estimates
from winnow.stages.removals.lists import Listed
from winnow.tokens.vocabulary import Vocabulary


@dataclass
class RunContext:
    """What the steps of the flow work with. What they commit stands in ``run``, under the stage's name."""

    run: RunRecords
    engine: Engine
    inputs: dict[str, list[str]]
    """Files of every source."""
    vocabulary: Vocabulary | None = None
    """None where nothing is tokenised."""
    index: IndexRun | None = None
    duplicates: tuple[Json, Json | None] | None = None
    """Where decisions on members of components, and matched components of an index, are listed; None without dedup."""
    removals: Listed | None = None
    """What removal requests to this run, and to those of its index, list; None where there are none."""

    @classmethod
    def of(
        cls,
        config: Config,
        engine: Engine,
        inputs: dict[str, list[str]],
        vocabulary: Vocabulary | None = None,
        index: IndexRun | None = None,
    ) -> "RunContext":
        """A context in which nothing is known yet."""
        removals = Listed.of(engine.store, None if index is None else index.index.store)
        run = RunRecords(engine.store, config, engine.committed)
        return cls(run, engine, inputs, vocabulary, index, removals=removals)

    @property
    def config(self) -> Config:
        """Settings of the run."""
        return self.run.config

    @cached_property
    def sizes(self) -> WorkSizes:
        """Of units and partitions; known once the files are."""
        sources = {source.name: source for source in self.config.sources}
        return work_sizes(self.config.compute, estimates.estimated_text(self.run.files, sources))

    def release(self, *outputs: tuple[str, str]) -> None:
        """Remove outputs of stages, (stage, output), that no later stage reads, where the config lets them go."""
        if self.config.compute.keep == "needed":
            for stage, output in outputs:
                self.engine.release(stage, output)

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """Type of token ids: uint16 where the vocabulary allows, else uint32."""
        assert self.vocabulary is not None
        return np.dtype(self.vocabulary.dtype)
