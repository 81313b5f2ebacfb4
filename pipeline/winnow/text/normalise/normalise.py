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
        refining = (
            config.restore_byte_a0,
            config.replace_lossy_sequences,
            config.decode_inconsistent_utf8,
            config.fix_c1_controls,
        )
        # Where none of them is off, ftfy's shorter way without explanations gives the same text.
        self._ftfy_config = config.ftfy_config()._replace(explain=not all(refining))
        self._ftfy_config_without_html = self._ftfy_config._replace(unescape_html=False)
        self._html_mode = {"auto": HTML_AUTO, True: HTML_ON, False: HTML_OFF}[config.unescape_html]
        self._tables = _tables(self._ftfy_config) if config.ftfy else None
        self._own_steps = ExtraSteps(
            lowercase=config.lowercase,
            mask_urls=config.mask_urls,
            mask_emails=config.mask_emails,
            remove_symbols=config.remove_symbols,
        )

    def __reduce__(self) -> tuple[type["Normaliser"], tuple[NormaliseConfig]]:
        return Normaliser, (self.config,)

    def __call__(self, texts: pa.LargeStringArray) -> NormalisedTexts:
        """Normalise a column.

        Args:
            texts: large_string[N] without nulls.

        Raises:
            TypeError: the column has another type.
            ValueError: the column holds nulls.
        """
        data, offsets = string_buffers(texts)
        num_bytes = int(offsets[-1] - offsets[0])
        repaired, substituted_bytes, ftfy_bytes = self._repair(texts, data, offsets)
        result = self._own_steps(repaired)
        changed = 0 if result is texts else int(count_changed(data, offsets, *string_buffers(result)))
        return NormalisedTexts(
            texts if changed == 0 else result,
            changed,
            num_bytes - substituted_bytes - ftfy_bytes,
            substituted_bytes,
            ftfy_bytes,
        )

    def _repair(
        self, texts: pa.LargeStringArray, data: NDArray[np.uint8], offsets: NDArray[np.int64]
    ) -> tuple[pa.LargeStringArray, int, int]:
        """The texts as ftfy would have them, bytes of substituted segments, bytes of segments given to
        ftfy."""
        if self._tables is None or len(texts) == 0:
            return texts, 0, 0
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
            return texts, 0, 0
        ftfy_bytes = int((holes[:, SOURCE_END] - holes[:, SOURCE_START]).sum())
        if len(holes) == 0:
            return strings_from_buffers(out[:written], out_offsets), substituted_bytes, 0
        fixed = []
        left_alone = substituted_bytes == 0
        for start, end, unescape in holes[:, [SOURCE_START, SOURCE_END, UNESCAPE]].tolist():
            segment = data[start:end].tobytes()
            fixed.append(self._fix_segment(segment, bool(unescape)))
            left_alone &= fixed[-1] == segment
        if left_alone:
            return texts, 0, ftfy_bytes
        fixed_offsets = np.zeros(len(fixed) + 1, np.int64)
        np.cumsum([len(segment) for segment in fixed], out=fixed_offsets[1:])
        target = np.empty(written + fixed_offsets[-1], np.uint8)
        target_offsets = np.empty(len(offsets), np.int64)
        fixed_data = np.frombuffer(b"".join(fixed), np.uint8)
        splice(out, out_offsets, holes, fixed_data, fixed_offsets, target, target_offsets)
        return strings_from_buffers(target, target_offsets), substituted_bytes, ftfy_bytes

    def _fix_segment(self, segment: bytes, unescape: bool) -> bytes:
        config = self._ftfy_config if unescape else self._ftfy_config_without_html
        fixed = fix_and_explain(segment.decode(), config).text
        try:
            return fixed.encode()
        except UnicodeEncodeError:  # CESU-8 mojibake with fix_surrogates off; Arrow cannot hold a surrogate
            return fix_surrogates(fixed).encode()
