"""Kinds of signals against use for training, in what a page or a record says of them."""

import re

OPT_OUT_KINDS = ("noai", "noimageai", "noarchive", "tdm-reservation", "content-usage")
"""Words of robots meta and X-Robots-Tag, the TDM reservation protocol, and Content-Usage (IETF aipref)."""
_PREFERENCE = re.compile(r"([a-z][a-z-]{0,40})\s{0,3}=\s{0,3}(?:n\b|\?0)")
_MOST = 2_000
"""Characters that are looked at: the reader writes fewer; a field of records may hold anything."""
_NO_TRAINING = frozenset(("search",))
"""Preferences that say nothing of training."""
_WORDS = {kind: re.compile(rf"(?<![\w-]){kind}(?![\w-])") for kind in OPT_OUT_KINDS}


def kinds_of(said: str) -> tuple[str, ...]:
    """The kinds in the field ``opt_out``, in the order of ``OPT_OUT_KINDS``.

    Content-Usage is one where a preference says no (``train-ai=n``), unless it is about search alone.
    """
    said = said[:_MOST].lower()
    found = {kind for kind, word in _WORDS.items() if word.search(said)}
    if "content-usage" in found and not set(_PREFERENCE.findall(said)) - _NO_TRAINING:
        found.remove("content-usage")
    return tuple(kind for kind in OPT_OUT_KINDS if kind in found)
