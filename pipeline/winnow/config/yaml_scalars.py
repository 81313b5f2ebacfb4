"""Which words of YAML are more than text: true, false, null and numbers, as YAML 1.2 has them.

PyYAML's YAML 1.1 also reads ``no`` (Norwegian), ``on`` and ``yes`` as booleans, ``1:30`` and ``010`` as other numbers
and days as dates, and takes ``1e9`` for a text. Source: YAML 1.2.2, section 10.3.2 (core schema).
"""

import re

_WORDS = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
)
_LEADING_ZERO = r"(?!0[0-9_])"
"""A number that begins with a zero is text: people mean a name by it, or think of octal."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for tag, pattern, first in _WORDS:
        for character in first:
            found.setdefault(character, []).append((tag, re.compile(rf"{_LEADING_ZERO}(?:{pattern})\Z")))
    return found


RESOLVERS = _resolvers()
"""First character -> tags to try; for ``yaml_implicit_resolvers`` of a loader."""
