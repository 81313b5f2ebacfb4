"""Stop words: the eight commonest function words of a language, by which running text is told from lists of terms."""

from functools import cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

STOP_WORDS: dict[str, tuple[str, ...]] = {
    "en": ("the", "be", "to", "of", "and", "that", "have", "with"),
    "de": ("der", "die", "und", "das", "in", "zu", "ist", "nicht"),
    "fr": ("de", "la", "le", "et", "les", "des", "en", "que"),
    "es": ("de", "la", "que", "el", "en", "los", "y", "un"),
    "pt": ("de", "que", "o", "e", "do", "da", "em", "um"),
    "it": ("di", "che", "e", "il", "la", "un", "per", "non"),
    "nl": ("de", "van", "het", "een", "en", "in", "dat", "is"),
    "sv": ("och", "att", "det", "som", "en", "på", "är", "av"),
    "da": ("og", "at", "det", "er", "en", "på", "til", "af"),
    "no": ("og", "det", "er", "på", "til", "som", "en", "av"),
    "pl": ("w", "i", "na", "się", "z", "nie", "do", "jest"),
    "cs": ("a", "se", "v", "na", "je", "že", "s", "z"),
    "ru": ("и", "в", "не", "на", "что", "с", "по", "для"),
    "uk": ("і", "в", "не", "на", "що", "з", "до", "для"),
    "el": ("και", "το", "να", "του", "η", "της", "με", "για"),
    "ro": ("de", "în", "și", "la", "a", "cu", "nu", "pe"),
}
"""ISO 639-1 code -> eight words. English as Gopher publishes it (Rae et al. 2021, table A1), compared exactly ("The" is
none); the other lists are Winnow's own and compared after case folding."""

LANGUAGES_AT_MOST = 16  # eight bits a list, two uint64


class StopTable(NamedTuple):
    """Stop words by word hash, for the kernel that reads words."""

    keys: NDArray[np.uint64]  # [1024] word hash in slot `hash >> 54` or the next free one; 0 = free
    masks: NDArray[np.uint64]  # [1024, 2] bit `word` of byte `list`, over both numbers
    exact: np.uint64  # bits of masks[:, 0] that count only for a word that case folding leaves as it is


@cache
def stop_table() -> StopTable:
    """Build the table once a process."""
    from pipeline.text.words import hash_words  # words.py takes this table: imported late, not in a circle

    lists = list(STOP_WORDS.values())
    hashes = hash_words(pa.array([" ".join(words) for words in lists], pa.large_string())).hashes
    keys = np.zeros(1024, np.uint64)
    masks = np.zeros((1024, 2), np.uint64)
    for number, key in enumerate(hashes.tolist()):
        slot = key >> 54
        while keys[slot] not in (0, key):
            slot = (slot + 1) & 1023
        keys[slot] = key
        masks[slot, number // 64] |= np.uint64(1 << number % 64)
    return StopTable(keys, masks, np.uint64(0xFF))


def no_stop_words() -> StopTable:
    """A table without words."""
    return StopTable(np.zeros(1024, np.uint64), np.zeros((1024, 2), np.uint64), np.uint64(0))
