"""The rules `opt_outs.KIND`: pages that say that they are not for training.

Legend: N documents.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from winnow.sources.web.opt_outs import kinds_of
from winnow.text.urls.verdicts import Failed, failed, joined


def judge_opt_outs(said: pa.Array, kinds: Iterable[str]) -> Failed:
    """Failures of documents, one for each kind that is asked for and there.

    Args:
        said: string[N], the field ``opt_out``, null for nothing.
        kinds: some of ``OPT_OUT_KINDS``.
    """
    encoded = said.dictionary_encode()
    found = [kinds_of(text) for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    parts = [failed(np.empty(0, np.int64), [], 1, 0, pa.array([], pa.string()))]
    for kind in kinds:
        row = np.flatnonzero(np.array([*(kind in some for some in found), False])[codes])
        rule = pa.array([f"opt_outs.{kind}"], pa.string()).take(pa.array(np.zeros(len(row), np.int64)))
        parts.append(failed(row, rule, 1, 0, pc.take(said, pa.array(row))))
    return joined(parts)
