"""The rules `licences.other`, `licences.unknown` and `licences.unclear`: documents without a licence that is allowed.

Legend: N documents.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from winnow.text.urls.config import LicencesConfig
from winnow.text.urls.verdicts import Failed, failed

UNCLEAR = "unclear"
"""What the reader of pages writes for one that links to several licences."""
_VERSION = re.compile(r"-\d+(\.\d+)*$")
_ALLOWED, _OTHER, _UNKNOWN, _UNCLEAR = range(4)


def judge_licences(licence: pa.Array, config: LicencesConfig, about: NDArray[np.bool_]) -> Failed:
    """Failures of documents, at most one each.

    Args:
        licence: string[N], null where none is known.
        config: what is allowed.
        about: bool[N], documents that are asked.
    """
    encoded = licence.dictionary_encode()
    kinds = np.array([*(_kind(name, config) for name in encoded.dictionary.to_pylist()), _UNKNOWN], np.int64)
    kind = kinds[encoded.indices.fill_null(len(kinds) - 1).to_numpy(zero_copy_only=False)]
    fails = np.array([False, True, config.unknown == "drop", config.unclear == "drop"])[kind] & about
    row = np.flatnonzero(fails)
    rules = pa.array([f"licences.{name}" for name in ("allowed", "other", "unknown", "unclear")], pa.string())
    return failed(row, rules.take(pa.array(kind[row])), 0, 1, pc.take(licence, pa.array(row)))


def _kind(name: str, config: LicencesConfig) -> int:
    name = name.strip().casefold()
    if name in ("", "unknown"):
        return _UNKNOWN
    if name == UNCLEAR:
        return _UNCLEAR
    allowed = {one.casefold() for one in config.allow}
    return _ALLOWED if name in allowed or _VERSION.sub("", name) in allowed else _OTHER
