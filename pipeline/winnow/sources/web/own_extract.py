"""Text out of HTML by an operator of the user's (``extract: {use: FILE.py:NAME}``): a mapper, asked page by page.

It is loaded by whoever reads (``load``), since that knows the run folder; readers find it here by its fingerprint.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from winnow.errors import OperatorError
from winnow.operators.apply import SAMPLE, Applier
from winnow.operators.config import OperatorConfig
from winnow.sources.fields import BadRecordError

COLUMNS = ("text", "url", "source")
"""What it sees of a page: its HTML, its address where that is known, and the name of its source."""
_ONE = np.zeros(1, np.int64)


class OwnExtract:
    """An operator that is loaded."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self._asked = 0

    def text(self, html: str, source: str, address: str | None) -> str:
        """The text of a page. The first pages of a process are asked for twice.

        Raises:
            BadRecordError: it raises on the page.
            OperatorError: it returns what it must not, or something else when it is asked again.
        """
        page = {
            "text": pa.array([html], pa.large_string()),
            "id": pa.array([address or ""], pa.string()),
            "url": pa.array([address], pa.string()),
            "source": pa.array([source], pa.string()).dictionary_encode(),
        }
        batch = pa.record_batch(page)
        columns, failed = self._applier(batch)
        if failed:
            raise BadRecordError(f"operator {self._applier.operator.name}: raises {failed[0]}", None, len(html))
        if self._asked < SAMPLE:
            self._asked += 1
            self._applier.check(batch, columns, _ONE)
        found: str = columns["text"][0].as_py()
        return found

    def finish(self) -> None:
        """At the end of a unit.

        Raises:
            OperatorError: it raised on pages, and it is not the pages.
        """
        self._applier.finish()


_loaded: dict[str, OwnExtract] = {}


def load(entry: OperatorConfig, make: Callable[[str], Applier]) -> OwnExtract:
    """Have an operator here, made once a process from its fingerprint."""
    pinned = entry.pinned or ""
    if pinned not in _loaded:
        _loaded[pinned] = OwnExtract(make(pinned))
    return _loaded[pinned]


def own_text(html: str, entry: OperatorConfig, source: str, address: str | None) -> str:
    """The text of a page by an operator that was loaded; see :meth:`OwnExtract.text`."""
    if entry.pinned not in _loaded:
        raise OperatorError(f"extract: {entry.use}: nobody has loaded it in this process")
    return _loaded[entry.pinned].text(html, source, address)
