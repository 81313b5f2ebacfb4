"""Prompts: files of text with places for the passage, a mark around it, and what the operator sets.

Places are filled in one go, so whatever a text holds stays text: ``{mark}`` in a passage is five characters.
"""

import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

_PLACE = re.compile(r"\{([a-z_]+)\}")
LONGEST_BYTES = 100_000
BUILT_IN = ("text", "mark", "original")
SAME_LINE = 40
"""Characters of a line of a prompt from which a text that holds it repeats the prompt."""


class Template(NamedTuple):
    """One prompt."""

    text: str
    variables: dict[str, str]
    """By name: what stands for other places than ``BUILT_IN``."""

    @property
    def lines(self) -> list[str]:
        """What it says besides the passage, line by line, where a line is long enough to be known again."""
        parts = _PLACE.sub("\n", self.text).splitlines()
        return [part.strip() for part in parts if len(part.strip()) >= SAME_LINE]

    def fill(self, passage: str, original: str) -> str:
        """The prompt about a passage; ``original`` is the language of its document."""
        values = {**self.variables, "text": passage, "mark": mark_of(passage), "original": original}
        return _PLACE.sub(lambda found: values[found[1]], self.text)


def mark_of(passage: str) -> str:
    """A word that a passage does not hold: a passage that closes its own mark would have to hold its own hash."""
    return "text-" + hashlib.sha256(passage.encode(errors="surrogatepass")).hexdigest()[:12]


def built_in(name: str, variables: Mapping[str, str]) -> Template:
    """A prompt of this package."""
    return template((files("winnow.augment") / "prompts" / name).read_text(encoding="utf-8"), name, variables)


def from_file(path: str, variables: Mapping[str, str]) -> Template:
    """A prompt of the user's.

    Raises:
        ValueError: it cannot be read, is too long, or has other places than it may have.
    """
    try:
        content = Path(path).read_bytes()
        if len(content) > LONGEST_BYTES:
            raise ValueError(f"{path}: {len(content):,} bytes; a prompt has {LONGEST_BYTES:,} at most")
        return template(content.decode("utf-8"), path, variables)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; name a file with a prompt") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 (byte {error.start:,}); save it as UTF-8") from error


def template(text: str, name: str, variables: Mapping[str, str]) -> Template:
    """Check a prompt.

    Raises:
        ValueError: ``{text}`` does not stand in it once, or a place is unknown.
    """
    places = _PLACE.findall(text)
    known = {*BUILT_IN, *variables}
    if places.count("text") != 1:
        raise ValueError(f"{name}: {{text}} stands in it {places.count('text')} times; it must stand there once")
    if unknown := sorted(set(places) - known):
        raise ValueError(f"{name}: nothing is known for {{{unknown[0]}}}; there are {', '.join(sorted(known))}")
    return Template(text, dict(variables))
