"""The footer of a Parquet shard: what the manifest says of it, so that nobody parses one that was altered.

Arrow's parser of footers is C++ made for files that are whole; some altered bytes end the process instead of raising.
"""

import hashlib
from typing import Any, BinaryIO

_TAIL_BYTES = 8  # length of the metadata as int32, "PAR1" (Apache Parquet format, "File format")


def describe_footer(file: BinaryIO) -> dict[str, Any]:
    """``bytes`` from the end of a whole Parquet file that are its footer, and their ``sha256``."""
    file.seek(-_TAIL_BYTES, 2)
    size = int.from_bytes(file.read(4), "little") + _TAIL_BYTES
    file.seek(-size, 2)
    return {"bytes": size, "sha256": hashlib.sha256(file.read(size)).hexdigest()}


def footer_fault(data: Any, size: int, sha256: str) -> str | None:
    """What is wrong with the footer of a file whose last bytes are ``data``; None if nothing is."""
    found = hashlib.sha256(data[-size:]).hexdigest()
    return None if found == sha256 else f"the sha256 of its last {size:,} bytes is {found}, the manifest says {sha256}"
