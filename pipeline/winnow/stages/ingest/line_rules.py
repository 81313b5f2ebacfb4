"""Line rules: what ``measure`` takes out of texts by what lines are, after boilerplate and before operators."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from winnow.engine.stage import Workspace
from winnow.numeric.arrow_strings import string_buffers
from winnow.numeric.jit import compile_once
from winnow.stages.ingest.line_removal import LineRemoval
from winnow.text.line_rules.clean import LineCleaner
from winnow.text.line_rules.config import RULES, LineRulesConfig, columns_of


class LineRules:
    """The line rules of one unit; where they are off, texts pass through and no column is written.

    Args:
        workspace: counts what goes, by source, under ``line_rules/SOURCE``.
        config: None = off.
    """

    def __init__(self, workspace: Workspace, config: LineRulesConfig | None) -> None:
        self._workspace = workspace
        self._config = config
        self._clean = None if config is None else LineCleaner(config)
        self.columns: list[pa.Field] = [pa.field(name, pa.uint32()) for name in (config.columns if config else ())]
        """What the signals table has besides the signals."""

    def __call__(self, source: str, texts: pa.Array) -> tuple[pa.Array, dict[str, Any]]:
        """Texts of a source without the lines that go, and the columns: what each has lost by which rule."""
        if self._config is None or self._clean is None:
            return texts, {}
        if not self._config.takes(source):
            return texts, {field.name: np.zeros(len(texts), np.uint32) for field in self.columns}
        with self._workspace.timed("line rules"):
            cleaned = self._clean(texts)
        before, after = (np.diff(string_buffers(some)[1]) for some in (texts, cleaned.texts))
        shorter = after < before
        counts = {
            "bytes_read": before.sum(),
            "bytes": (before - after).sum(),
            "documents": shorter.sum(),
            "emptied": (shorter & (after == 0)).sum(),
        }
        columns = {}
        for number, rule in enumerate(RULES):
            if rule not in self._config.rules:
                continue
            lost = cleaned.lines[:, number], cleaned.bytes[:, number]
            for name, kind, numbers in zip(columns_of(rule), ("lines", "bytes"), lost, strict=True):
                columns[name] = np.minimum(numbers, 0xFFFFFFFF).astype(np.uint32)
                counts[f"{kind}/{rule}"] = numbers.sum()
        for name, number in counts.items():
            self._workspace.count(f"line_rules/{source}/{name}", number)
        return cleaned.texts, columns


class Removal(NamedTuple):
    """All lines that go: first those that many documents share, as they were counted, then those that rules name."""

    by_count: LineRemoval
    by_rule: LineRules

    @property
    def columns(self) -> list[pa.Field]:
        """What the signals table has besides the signals."""
        return self.by_count.columns + self.by_rule.columns

    def __call__(self, source: str, texts: pa.Array) -> tuple[pa.Array, dict[str, Any]]:
        """Texts of a source, and the columns that tell what each has lost."""
        texts, shared = self.by_count(source, texts)
        texts, named = self.by_rule(source, texts)
        return texts, shared | named


def compile_line_rules() -> None:
    """Compile the kernels, once a node."""
    compile_once("line_rules", _use_kernels)


def _use_kernels() -> None:
    config = LineRulesConfig.model_validate({"c4": "on", "navigation": "on", "max_blank_lines": 1})
    LineCleaner(config)(pa.array(["Home\n\nA line with \u65e5 [1] words.\n"], pa.large_string()))
