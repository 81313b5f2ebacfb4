"""Small XML files as a list of their elements. Entities that a file declares itself are never expanded."""

from typing import NamedTuple
from xml.parsers import expat

from winnow.sources.fields import BadRecordError

MOST_ELEMENTS = 200_000


class Element(NamedTuple):
    """One element."""

    name: str
    """Without its namespace."""
    attributes: dict[str, str]
    text: list[str]
    """What stands directly in it, in pieces."""


def elements_of(data: bytes) -> list[Element]:
    """All elements in the order in which they begin.

    Raises:
        BadRecordError: the XML is malformed, declares entities, or is larger than any that is meant.
    """
    found: list[Element] = []
    opened: list[Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        element = Element(name.rpartition("}")[2], attributes, [])
        if len(found) >= MOST_ELEMENTS:
            raise BadRecordError(f"too large: an XML file of over {MOST_ELEMENTS:,} elements")
        found.append(element)
        opened.append(element)

    def characters(text: str) -> None:
        if opened:
            opened[-1].text.append(text)

    def refuse(*_declared: object) -> None:
        raise BadRecordError("refused: an XML file of the book declares entities")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _name: opened.pop()
    parser.CharacterDataHandler = characters
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, expat.ExpatError):
            raise BadRecordError(f"malformed XML: {expat.ErrorString(error.code)}") from None
        raise BadRecordError(f"malformed XML: {type(error).__name__}") from None
    return found
