"""What may have been meant by a name that is not known."""

import difflib
from collections.abc import Sequence

_LISTED = 12


def suggestion(name: str, known: Sequence[str]) -> str:
    """``did you mean 'words'?``, or the known names, or that there are none."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if not known:
        return "there is none"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"there are {', '.join(known[:_LISTED])}{more}"
