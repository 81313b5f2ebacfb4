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


def meant_or_known(name: str, known: Sequence[str]) -> str:
    """``did you mean 'gopher_quality.min_words'? there are: ...``: names with a part before a dot may be meant by what
    follows it alone. All known names, for those who look for one."""
    near = [full for full in known if full.rpartition(".")[2] == name] or difflib.get_close_matches(
        name, known, 1, 0.75
    )
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{hint}there are: {', '.join(known)}"
