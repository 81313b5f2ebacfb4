"""Text normalisation: exactly ``ftfy.fix_text``, at the speed of a byte scan.

A compiled scanner (``normalise_prove``) proves the segments that ftfy leaves alone, makes the plain
substitutions itself, and sends the rest, about one byte in a hundred, to ftfy. Optional steps of our own
follow (``normalise_steps``).
"""

import unicodedata
from functools import lru_cache
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
from winnow.text.normalise.prove import (
    DOCUMENT,
    HOLE,
    HTML_AUTO,
    HTML_OFF,
    HTML_ON,
    SIZE,
    SOURCE_END,
    SOURCE_START,
    TEXT,
    scan,
)  # fmt: skip
from winnow.text.normalise.splice import count_changed, splice
from winnow.text.normalise.steps import ExtraSteps
from winnow.text.normalise.tables import Tables, build_tables

REMEMBERED, REMEMBERED_BYTES = 4096, 1000
"""Segments that ftfy repaired last and how long one may be: the footer of a site's pages comes again and again, and
ftfy takes a tenth of a millisecond for a line."""


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
        self._repair = _Repair(config) if config.ftfy else None
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
        changed = repaired.documents_changed
        if result is not repaired.texts:
            changed = int(count_changed(data, offsets, *string_buffers(result)))
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
        if self._repair is None:
            return _Repaired(texts, 0, 0, 0, np.empty(0, np.int64)), cjk
        if not self.config.tells_cjk:
            return self._repair(texts, cjk), cjk
        cjk = in_cjk(texts, documents)
        repaired = self._repair(texts, cjk)
        # What was mojibake has its letters only now.
        fixed = repaired.fixed
        if documents is not None:
            fixed = np.flatnonzero(np.isin(documents, documents[fixed]))
        late = fixed[in_cjk(repaired.texts.take(pa.array(fixed)), None if documents is None else documents[fixed])]
        if not cjk[late].all():
            cjk[late] = True
            repaired = self._repair(texts, cjk)
        return repaired, cjk


class _Repaired(NamedTuple):
    texts: pa.LargeStringArray
    """The very input where nothing changed."""
    documents_changed: int
    substituted_bytes: int
    ftfy_bytes: int
    fixed: NDArray[np.int64]
    """The texts of which ftfy was given segments."""


class _Repair:
    """``ftfy.fix_text`` with one set of options, and another for Chinese, Japanese and Korean."""

    def __init__(self, config: NormaliseConfig) -> None:
        refining = (
            config.restore_byte_a0,
            config.replace_lossy_sequences,
            config.decode_inconsistent_utf8,
            config.fix_c1_controls,
        )
        self.config = config
        # Where none of them is off, ftfy's shorter way without explanations gives the same text.
        usual, cjk = (config.ftfy_config(cjk=kind)._replace(explain=not all(refining)) for kind in (False, True))
        self._options = usual, cjk
        self._html_mode = {"auto": HTML_AUTO, True: HTML_ON, False: HTML_OFF}[config.unescape_html]
        self._tables = _tables(usual), _tables(cjk)

    def __call__(self, texts: pa.LargeStringArray, cjk: NDArray[np.bool_]) -> _Repaired:
        """The texts as ftfy would have them; ``cjk`` is bool[N]."""
        if len(texts) == 0:
            return _Repaired(texts, 0, 0, 0, np.empty(0, np.int64))
        data, offsets = string_buffers(texts)
        lossy = self.config.replace_lossy_sequences
        holes, edits, substituted_bytes = scan(
            data, offsets, self._html_mode, self.config.max_decode_length, *self._tables, cjk, lossy
        )
        ftfy_bytes = int((holes[:, SOURCE_END] - holes[:, SOURCE_START]).sum())
        segments = [data[start:end].tobytes() for start, end in holes[:, [SOURCE_START, SOURCE_END]].tolist()]
        fixed = [
            _fix_segment(segment, self._options[int(cjk[document])], bool(unescape))
            for segment, (document, unescape) in zip(segments, holes[:, DOCUMENT:].tolist(), strict=True)
        ]
        fixed_offsets = np.zeros(len(fixed) + 1, np.int64)
        np.cumsum([len(segment) for segment in fixed], out=fixed_offsets[1:])
        sizes = edits[:, TEXT] >> SIZE
        of_holes = np.flatnonzero(sizes == HOLE)
        sizes[of_holes] = np.diff(fixed_offsets)
        left_alone = of_holes[[segment == repaired for segment, repaired in zip(segments, fixed, strict=True)]]
        edits, sizes = np.delete(edits, left_alone, axis=0), np.delete(sizes, left_alone)
        given = np.unique(holes[:, DOCUMENT])
        changed = len(np.unique(np.searchsorted(offsets, edits[:, SOURCE_START], "right")))
        if changed == 0:
            return _Repaired(texts, 0, 0, ftfy_bytes, given)
        removed = edits[:, SOURCE_END] - edits[:, SOURCE_START]
        target = np.empty(int(offsets[-1] - offsets[0] + (sizes - removed).sum()), np.uint8)
        target_offsets = np.empty(len(offsets), np.int64)
        splice(data, offsets, edits, np.frombuffer(b"".join(fixed), np.uint8), fixed_offsets, target, target_offsets)
        return _Repaired(strings_from_buffers(target, target_offsets), changed, substituted_bytes, ftfy_bytes, given)


def _fix_segment(segment: bytes, options: TextFixerConfig, unescape: bool) -> bytes:
    """What ftfy makes of a segment that the scanner leaves to it."""
    fix = _fix_again if len(segment) <= REMEMBERED_BYTES else _fix
    return fix(segment, options, unescape)


def _fix(segment: bytes, options: TextFixerConfig, unescape: bool) -> bytes:
    fixed = fix_and_explain(segment.decode(), options if unescape else options._replace(unescape_html=False)).text
    try:
        return fixed.encode()
    except UnicodeEncodeError:  # CESU-8 mojibake with fix_surrogates off; Arrow cannot hold a surrogate
        return fix_surrogates(fixed).encode()


_fix_again = lru_cache(REMEMBERED)(_fix)
