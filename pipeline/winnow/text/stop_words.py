"""Stop words: the eight commonest function words of a language, by which running text is told from lists of terms."""

from functools import cache

import numpy as np
import pyarrow as pa

from winnow.text.words import StopTable, hash_words

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
none); the other lists are Winnow's own and compared after case folding.
At most 16 lists of 8: a bit each in two uint64."""


@cache
def stop_table() -> StopTable:
    """Build the table once a process."""
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
