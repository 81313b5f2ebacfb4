"""Line removal: what ``measure`` does with the boilerplate of a unit's sources."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from winnow import schemas
from winnow.engine.records import Json, Unit
from winnow.engine.stage import Workspace
from winnow.numeric.arrow_strings import string_buffers
from winnow.stages.tables import parquet_output
from winnow.text.lines.config import LinesConfig
from winnow.text.lines.removal import KnownLines, LineRemover


def with_boilerplate(units: list[Unit], sets: dict[str, Json]) -> list[Unit]:
    """Measure's units, each with the sets of its own sources in its inputs."""
    described = []
    for unit in units:
        sources = dict.fromkeys(fields["source"] for fields in unit.inputs["slices"])
        boilerplate = {source: sets[source] for source in sources if source in sets}
        described.append(replace(unit, inputs={**unit.inputs, "boilerplate": boilerplate}))
    return described


class LineRemoval:
    """The boilerplate removal of one unit; where it is off, texts pass through and no table or column is written.

    Args:
        unit: its inputs names the sets (``with_boilerplate``).
        workspace: counts what goes, by source, under ``boilerplate/SOURCE``.
        config: None = off.
    """

    def __init__(self, unit: Unit, workspace: Workspace, config: LinesConfig | None) -> None:
        self._workspace = workspace
        self._removers: dict[str, LineRemover] = {}
        self.columns: list[pa.Field] = list(schemas.REMOVED_LINES) if config else []
        """What the signals table has besides the signals."""
        if config:
            with workspace.timed("load boilerplate"):
                for source, sets in unit.inputs["boilerplate"].items():
                    self._removers[source] = _remover(workspace, sets, config)

    def __call__(self, source: str, texts: pa.Array) -> tuple[pa.Array, dict[str, Any]]:
        """Texts of a source without its boilerplate, and the columns: what each has lost."""
        if not self.columns:
            return texts, {}
        if source not in self._removers:
            return texts, {name: np.zeros(len(texts), np.uint32) for name in schemas.REMOVED_LINES.names}
        with self._workspace.timed("remove lines"):
            left, lines, characters = self._removers[source](texts)
        bytes_read, bytes_left = string_buffers(texts)[1], string_buffers(left)[1]
        shortened = lines > 0
        counts = {
            "documents": shortened.sum(),
            "emptied": (shortened & (np.diff(bytes_left) == 0)).sum(),
            "lines": lines.sum(),
            "characters": characters.sum(),
            "bytes": bytes_read[-1] - bytes_read[0] - (bytes_left[-1] - bytes_left[0]),
            "bytes_read": bytes_read[-1] - bytes_read[0],
        }
        for name, number in counts.items():
            self._workspace.count(f"boilerplate/{source}/{name}", number)
        # columns like all signals: counts above 2^32 - 1 are stored as that
        lost = (np.minimum(values, 0xFFFFFFFF).astype(np.uint32) for values in (lines, characters))
        return left, dict(zip(schemas.REMOVED_LINES.names, lost, strict=True))

    def write_examples(self) -> None:
        """Write the table ``examples``, once the unit's last text has gone through."""
        if not self.columns:
            return
        with parquet_output(self._workspace, "examples", schemas.EXAMPLES) as table:
            for source, remover in self._removers.items():
                keys = sorted(remover.examples)
                texts = [remover.examples[key] for key in keys]
                table.write({"source": [source] * len(keys), "key": np.array(keys, np.uint64), "text": texts})


def _remover(workspace: Workspace, sets: Json, config: LinesConfig) -> LineRemover:
    paths = [str(workspace.store.local(sets[name]["path"], sets[name]["hash"])) for name in ("keys", "listed_keys")]
    return LineRemover(config, _known_lines(paths[0], sets["keys"]["hash"]), _mapped(paths[1]))


@lru_cache(maxsize=4)
def _known_lines(path: str, _hash: str) -> KnownLines:
    """A source's set with its index; the last few are kept for the units to come."""
    return KnownLines(_mapped(path))


def _mapped(path: str) -> NDArray[np.uint64]:
    if Path(path).stat().st_size == 0:  # cannot be mapped
        return np.empty(0, np.uint64)
    return np.frombuffer(pa.memory_map(path).read_buffer(), "<u8")
