"""A JSON object without the members that nobody reads: for lines whose unread parts no JSON reader takes."""

import json
import re
from collections.abc import Collection

import numpy as np

from winnow.sources.fields import BadRecordError

MAX_BYTES = 64 << 20
"""Of a line that is looked at like this; it takes some ten times as much memory."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def without_unread(line: bytes, wanted: Collection[str]) -> bytes:
    """The object of a line, with only its wanted members, the same as they were.

    What is inside the others is not looked at but for strings and brackets, so it may be nested to any depth.

    Args:
        line: JSON, an object.
        wanted: names of members at the top.

    Raises:
        BadRecordError: it is no object, its brackets do not match, or it is longer than MAX_BYTES.
    """
    if len(line) > MAX_BYTES:
        raise BadRecordError("malformed JSON: nested too deeply, in a long line")
    bare = np.frombuffer(_STRING.sub(lambda match: b'"' * len(match[0]), line), np.uint8)
    opens = np.isin(bare, np.frombuffer(b"[{", np.uint8))
    closes = np.isin(bare, np.frombuffer(b"]}", np.uint8))
    depth = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32)
    start, end = line.find(b"{"), line.rfind(b"}")
    if start < 0 or line[:start].strip() or line[end + 1 :].strip() or depth[-1] != 0 or (depth[start:end] < 1).any():
        raise BadRecordError("malformed JSON: nested too deeply, and its brackets do not match")
    commas = np.flatnonzero((bare == ord(",")) & (depth == 1)).tolist()
    members = [line[a + 1 : b] for a, b in zip([start, *commas], [*commas, end], strict=True)]
    return b"{" + b",".join(member for member in members if _name(member) in wanted) + b"}"


def _name(member: bytes) -> str | None:
    """The name of a member; None where it has none."""
    found = _STRING.match(member.lstrip())
    try:
        return str(json.loads(found[0])) if found else None
    except ValueError:
        return None
