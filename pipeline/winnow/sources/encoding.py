"""Names of character encodings, as a source gives them."""

import codecs
from typing import Annotated

from pydantic import AfterValidator

UTF_8 = "utf_8"
DETECT = "detect"
"""UTF-8 where bytes are that, else a guess."""
_NO_CHARSETS = {"idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined", "mbcs", "oem", "palmos"}


def _known_encoding(name: str) -> str:
    """The one spelling of an encoding's name."""
    if name.lower() == DETECT:
        return DETECT
    try:
        "a".encode(name)  # not so rot13 and base64, which make no bytes of text
        found = codecs.lookup(name).name.replace("-", "_")
    except (LookupError, ValueError):
        found = ""
    if not found or found in _NO_CHARSETS:
        raise ValueError(
            f"encoding ({name!r}) must be `detect`, or the name of a character encoding that Python knows, such as "
            "utf-8, cp1252, latin-1, gbk, big5, shift_jis, euc-kr, koi8-r or utf-16"
        )
    return UTF_8 if found in ("utf_8_sig", "ascii") else found


Encoding = Annotated[str, AfterValidator(_known_encoding)]
"""``detect``, or the name of an encoding in one spelling."""


def is_ascii_superset(name: str) -> bool:
    """Whether every ASCII byte means itself wherever it stands between characters, so that lines can be cut first."""
    if name == DETECT:
        return True
    try:
        return bytes(range(128)).decode(name) == "".join(map(chr, range(128)))
    except UnicodeDecodeError:
        return False
