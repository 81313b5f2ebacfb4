"""What may have been meant by a name that is not known."""

import difflib
from collections.abc import Sequence

_LISTED = 12


def meant(name: str, known: Sequence[str], most: int = 1) -> str:
    """``did you mean 'words'?``; empty where no known name is near."""
    near = difflib.get_close_matches(name, known, n=most, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def suggestion(name: str, known: Sequence[str]) -> str:
    """``did you mean 'words' or 'word_count'?``, or some known names, or that there are none."""
    if not known:
        return "there is none"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return meant(name, known, 3) or f"there are {', '.join(known[:_LISTED])}{more}"


def meant_or_known(name: str, known: Sequence[str], known_as: str = "there are") -> str:
    """``did you mean 'gopher_quality.min_words'? there are: ...``: names with a part before a dot may be meant by what
    follows it alone. All known names, for those who look for one; ``known_as`` stands before them."""
    ends = [full for full in known if full.rpartition(".")[2] == name]
    hint = f"did you mean {' or '.join(map(repr, ends))}?" if ends else meant(name, known)
    return f"{hint} {known_as}: {', '.join(known)}".lstrip()
