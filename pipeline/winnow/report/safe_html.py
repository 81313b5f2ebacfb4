"""Corpus text in HTML: shown and never obeyed.

Every value is escaped; characters that would be invisible or turn the direction of text stand as marks; a page's own
policy allows nothing but its one style sheet: no script, image, form or request, whatever got in.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

_HERE = Path(__file__).parent
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad"  # controls but tab and line feed, soft hyphen
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # marks and overrides of direction, widths of nothing
    "\ud800-\udfff\ufff9-\uffff\U000e0000-\U000e0fff]"  # no characters, tags
)


def spelled(text: str) -> str:
    """Characters that a reader could not see, or that would move others, as escapes such as \\x1b."""
    return _HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def visible(value: Any) -> Any:
    """What a value of the template is shown as: such characters are marks in a frame, unlike text that spells them."""
    if isinstance(value, Markup) or not isinstance(value, str) or not _HIDDEN.search(value):
        return value
    shown, at = Markup(), 0
    for found in _HIDDEN.finditer(value):
        shown += escape(value[at : found.start()])
        shown += Markup('<span class="sign">{}</span>').format(spelled(found.group()))
        at = found.end()
    return shown + escape(value[at:])


def environment_of(folder: Path, style: str) -> Environment:
    """Templates of a folder, and safe.html beside this file, with autoescape.

    ``style`` is the style sheet, which their policy allows by its hash.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["spelled"] = spelled
    environment.globals["style"] = Markup(style)  # noqa: S704 - a file of this package
    environment.globals["style_hash"] = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment
