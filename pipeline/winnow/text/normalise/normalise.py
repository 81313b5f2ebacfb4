"""Text normalisation: exactly ``ftfy.fix_text``, at the speed of a byte scan.

A compiled scanner (``normalise_prove``) proves the segments that ftfy leaves alone, makes the plain
substitutions itself, and sends the rest, about one byte in a hundred, to ftfy. Optional steps of our own
follow (``normalise_steps``).
"""

import unicodedata
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from ftfy import TextFixerConfig, fix_and_explain
from ftfy.fixes import fix_surrogates
from numpy.typing import NDArray

from winnow.numeric.arrow_strings import string_buffers, strings_from_buffers
from winnow.numeric.cached_arrays import prepared_arrays
from winnow.text.normalise.cjk import in_cjk
from winnow.text.normalise.config import NormaliseConfig
from winnow.text.normalise.prove import HTML_AUTO, HTML_OFF, HTML_ON, SOURCE_END, SOURCE_START, UNESCAPE, scan
from winnow.text.normalise.splice import count_changed, splice
from winnow.text.normalise.steps import ExtraSteps
from winnow.text.normalise.tables import Tables, build_tables


def _tables(config: TextFixerConfig) -> Tables:
    """The scanner's tables for these options, built once a node."""
    made_of = (version("ftfy"), unicodedata.unidata_version, config)
    return Tables(**prepared_arrays("normalise", made_of, lambda: build_tables(config)._asdict()))


class NormalisedTexts(NamedTuple):
    """The result of one batch of N documents, B bytes."""

    texts: pa.LargeStringArray
    """large_string[N]; the very input where no document changed."""
    documents_changed: int
    cjk_documents: int
    """Documents in Chinese, Japanese or Korean, in which options that are `auto` are off."""
    identical_bytes: int
    """Input bytes proven to be left alone by ftfy (all, where ftfy is off)."""
    substituted_bytes: int
    """Input bytes of segments in which the scanner made the substitutions."""
    ftfy_bytes: int
    """Input bytes of segments that ftfy itself repaired."""


class Normaliser:
    """Normalises batches. Build it once a worker (about 0.1 s); it can be pickled, and is then built anew.

    The input must be valid UTF-8, as Arrow requires; lone surrogates, which JSON can smuggle in, are replaced
    by the reader. The result of a document does not depend on the batch it came in.
    """

    def __init__(self, config: NormaliseConfig) -> None:
        self.config = config
        self._usual = _Repair(config, config.ftfy_config()) if config.ftfy else None
        self._cjk = _Repair(config, config.ftfy_config(cjk=True)) if config.tells_cjk else None
        self._own_steps = ExtraSteps(
            lowercase=config.lowercase,
            mask_urls=config.mask_urls,
            mask_emails=config.mask_emails,
            remove_symbols=config.remove_symbols,
        )

    def __reduce__(self) -> tuple[type["Normaliser"], tuple[NormaliseConfig]]:
        return Normaliser, (self.config,)

    def __call__(self, texts: pa.LargeStringArray, documents: NDArray[np.int64] | None = None) -> NormalisedTexts:
        """Normalise a column.

        Args:
            texts: large_string[N] without nulls.
            documents: int64[N] the document that each text is a part of, numbered from 0; None: each is one. Parts
                are repaired one by one, with the options for the language of the whole.

        Raises:
            TypeError: the column has another type.
            ValueError: the column holds nulls.
        """
        data, offsets = string_buffers(texts)
        num_bytes = int(offsets[-1] - offsets[0])
        repaired, cjk = self._repaired(texts, documents)
        result = self._own_steps(repaired.texts)
        changed = 0 if result is texts else int(count_changed(data, offsets, *string_buffers(result)))
        number = np.flatnonzero(cjk) if documents is None else np.unique(documents[cjk])
        return NormalisedTexts(
            texts if changed == 0 else result,
            changed,
            len(number),
            num_bytes - repaired.substituted_bytes - repaired.ftfy_bytes,
            repaired.substituted_bytes,
            repaired.ftfy_bytes,
        )

    def _repaired(
        self, texts: pa.LargeStringArray, documents: NDArray[np.int64] | None
    ) -> tuple["_Repaired", NDArray[np.bool_]]:
        """The texts as ftfy would have them, and bool[N], which of them are in Chinese, Japanese or Korean."""
        cjk = np.zeros(len(texts), bool)
        if self._usual is None:
            return _Repaired(texts, 0, 0), cjk
        if self._cjk is None:
            return self._usual(texts), cjk
        cjk = in_cjk(texts, documents)
        repaired = self._apart(texts, cjk)
        if repaired.ftfy_bytes:  # what was mojibake has its letters only now
            late = in_cjk(repaired.texts, documents) & ~cjk
            if late.any():
                cjk |= late
                repaired = self._apart(texts, cjk)
        return repaired, cjk

    def _apart(self, texts: pa.LargeStringArray, cjk: NDArray[np.bool_]) -> "_Repaired":
        """Repair the texts of both kinds, each with its options."""
        assert self._usual is not None and self._cjk is not None
        if cjk.all() or not cjk.any():
            return (self._cjk if len(cjk) and cjk[0] else self._usual)(texts)
        usual, theirs = self._usual(texts.filter(pa.array(~cjk))), self._cjk(texts.filter(pa.array(cjk)))
        order = np.empty(len(texts), np.int64)
        order[np.argsort(cjk, kind="stable")] = np.arange(len(texts))
        return _Repaired(
            pa.concat_arrays([usual.texts, theirs.texts]).take(pa.array(order)),
            usual.substituted_bytes + theirs.substituted_bytes,
            usual.ftfy_bytes + theirs.ftfy_bytes,
        )


class _Repaired(NamedTuple):
    texts: pa.LargeStringArray
    """The very input where nothing changed."""
    substituted_bytes: int
    ftfy_bytes: int


class _Repair:
    """``ftfy.fix_text`` with one set of options."""

    def __init__(self, config: NormaliseConfig, options: TextFixerConfig) -> None:
        refining = (
            config.restore_byte_a0,
            config.replace_lossy_sequences,
            config.decode_inconsistent_utf8,
            config.fix_c1_controls,
        )
        self.config = config
        # Where none of them is off, ftfy's shorter way without explanations gives the same text.
        self._options = options._replace(explain=not all(refining))
        self._options_without_html = self._options._replace(unescape_html=False)
        self._html_mode = {"auto": HTML_AUTO, True: HTML_ON, False: HTML_OFF}[config.unescape_html]
        self._tables = _tables(self._options)

    def __call__(self, texts: pa.LargeStringArray) -> _Repaired:
        """The texts as ftfy would have them, bytes of substituted segments, bytes of segments given to ftfy."""
        if len(texts) == 0:
            return _Repaired(texts, 0, 0)
        data, offsets = string_buffers(texts)
        num_bytes = int(offsets[-1] - offsets[0])
        # A substitute has at most twice the bytes; pages that are not written cost nothing.
        out = np.empty(2 * num_bytes, np.uint8)
        out_offsets = np.empty(len(offsets), np.int64)
        holes, substituted_bytes, written = scan(
            data,
            offsets,
            self._html_mode,
            self.config.max_decode_length,
            *self._tables,
            self.config.replace_lossy_sequences,
            out,
            out_offsets,
        )
        if substituted_bytes == 0 and len(holes) == 0:
            return _Repaired(texts, 0, 0)
        ftfy_bytes = int((holes[:, SOURCE_END] - holes[:, SOURCE_START]).sum())
        if len(holes) == 0:
            return _Repaired(strings_from_buffers(out[:written], out_offsets), substituted_bytes, 0)
        fixed = []
        left_alone = substituted_bytes == 0
        for start, end, unescape in holes[:, [SOURCE_START, SOURCE_END, UNESCAPE]].tolist():
            segment = data[start:end].tobytes()
            fixed.append(self._fix_segment(segment, bool(unescape)))
            left_alone &= fixed[-1] == segment
        if left_alone:
            return _Repaired(texts, 0, ftfy_bytes)
        fixed_offsets = np.zeros(len(fixed) + 1, np.int64)
        np.cumsum([len(segment) for segment in fixed], out=fixed_offsets[1:])
        target = np.empty(written + fixed_offsets[-1], np.uint8)
        target_offsets = np.empty(len(offsets), np.int64)
        fixed_data = np.frombuffer(b"".join(fixed), np.uint8)
        splice(out, out_offsets, holes, fixed_data, fixed_offsets, target, target_offsets)
        return _Repaired(strings_from_buffers(target, target_offsets), substituted_bytes, ftfy_bytes)

    def _fix_segment(self, segment: bytes, unescape: bool) -> bytes:
        config = self._options if unescape else self._options_without_html
        fixed = fix_and_explain(segment.decode(), config).text
        try:
            return fixed.encode()
        except UnicodeEncodeError:  # CESU-8 mojibake with fix_surrogates off; Arrow cannot hold a surrogate
            return fix_surrogates(fixed).encode()
