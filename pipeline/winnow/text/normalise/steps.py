"""Our own optional steps after the repair: lower case, masks, removal of symbols. All are off by default.

They run in this order on whole documents, in Python's own string functions (50 to 500 MB/s); none of them
looks beyond a document.
"""

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from winnow.text.characters import SPACELESS_BLOCKS
from winnow.text.normalise.cjk import BLOCKS as CJK_BLOCKS

URL_MASK = "[URL]"
EMAIL_MASK = "[EMAIL]"

_CLOSING = r".,;:!?')\]}"
_ENDS_URL = "".join(
    f"{chr(first)}-{chr(last)}"
    for first, last in (*SPACELESS_BLOCKS.values(), *CJK_BLOCKS.values(), (0x2018, 0x201F), (0xFF01, 0xFF60))
)
_URL_RE = re.compile(
    rf"""(?<![A-Za-z0-9_])(?:(?:https?|ftp)://|www\.)[^\s<>"{_ENDS_URL}]*[^\s<>"{_ENDS_URL}{_CLOSING}]""",
    re.IGNORECASE,
)
_EMAIL_RE = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}(?![A-Za-z0-9-])")


@lru_cache(maxsize=1)
def _symbol_re() -> re.Pattern[str]:
    symbols = [
        chr(code_point)
        for code_point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code_point)).startswith("S")
    ]
    return re.compile("[" + re.escape("".join(symbols)) + "]+")


@dataclass(frozen=True)
class ExtraSteps:
    """The chosen steps; see ``NormaliseConfig`` for their definitions."""

    lowercase: bool
    mask_urls: bool
    mask_emails: bool
    remove_symbols: bool

    def __call__(self, texts: pa.LargeStringArray) -> pa.LargeStringArray:
        """Apply the steps to large_string[N]; the very input if none is chosen."""
        if not (self.lowercase or self.mask_urls or self.mask_emails or self.remove_symbols):
            return texts
        return pa.array([self.apply(text) for text in texts.to_pylist()], pa.large_string())

    def apply(self, text: str) -> str:
        """Apply the steps to one document."""
        if self.lowercase:
            text = text.lower()
        if self.mask_urls and ("://" in text or "www." in text.lower()):
            text = _URL_RE.sub(URL_MASK, text)
        if self.mask_emails and "@" in text:
            text = _EMAIL_RE.sub(EMAIL_MASK, text)
        if self.remove_symbols:
            text = _symbol_re().sub("", text)
        return text
