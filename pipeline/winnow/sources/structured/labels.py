"""Labels of documents: what may stand in a label's field, and the one text that names it from there on."""

from typing import Any

from winnow.sources.structured.parts import MISSING

MAX_LABEL_BYTES = 1_000
"""Of a label's name; a longer one is a text that was taken for a label."""


class LabelError(ValueError):
    """A record has no usable label; the message is ``kind: detail`` and quotes no text."""


def label_text(value: Any, field: str) -> str:
    """The label's name: a string as it is, an integer in decimal digits, ``true`` or ``false``.

    Args:
        value: of the field, or ``MISSING``.
        field: its name, for the message.

    Raises:
        LabelError: there is none, or it cannot name a class.
    """
    if value is MISSING or value is None:
        raise LabelError(f"missing label: field {field!r} is {'null' if value is None else 'not there'}")
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        raise LabelError(f"wrong label: field {field!r} is neither a string nor an integer")
    reason = fault_of_name(len(value.encode()), field)
    if reason is not None:
        raise LabelError(reason)
    return value


def fault_of_name(size: int, field: str) -> str | None:
    """What is wrong with a label of so many bytes; None for nothing."""
    if size == 0:
        return f"missing label: field {field!r} is empty"
    if size > MAX_LABEL_BYTES:
        return f"wrong label: field {field!r} has {size:,} bytes, a label at most {MAX_LABEL_BYTES:,}"
    return None
