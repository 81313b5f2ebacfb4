"""The main content of a page as trafilatura finds it; of the extra ``trafilatura``."""

from winnow.errors import ConfigError
from winnow.sources.fields import BadRecordError

TRAFILATURA_PACKAGES = ("trafilatura", "lxml", "justext")
"""Distributions whose version may change what it finds."""


def main_text(html: str) -> str:
    """The text of a page; empty where there is none.

    Never with ``deduplicate``: it remembers earlier pages of the process, and a page would not always give the same.

    Raises:
        BadRecordError: it fails at the page.
        ConfigError: it is not installed.
    """
    try:
        from trafilatura import extract  # noqa: PLC0415 - slow to load, and of an extra
    except ImportError as error:
        raise ConfigError(
            f"extract: trafilatura needs the package ({error}): pip install 'winnow-corpus[trafilatura]', on every node"
        ) from error
    try:
        found = extract(html, include_comments=False, deduplicate=False, with_metadata=False)
    except (MemoryError, ConfigError):
        raise
    except Exception as error:
        raise BadRecordError(f"malformed HTML: trafilatura raises {type(error).__name__}", None, len(html)) from error
    return found or ""
