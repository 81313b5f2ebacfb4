"""Counts on the command line, written as in a config: ``--documents 20k``, ``--sample-mb 2GB``."""

from collections.abc import Callable

import typer


def count(least: int = 1, *, in_mb: bool = False) -> Callable[[str | int], int]:
    """For ``parser=`` of an option: what makes a whole number of what was written.

    Args:
        least: smallest number.
        in_mb: the number is one of MB, so that what has a unit is in bytes.
    """

    def parse(written: str | int) -> int:
        from winnow.config.written import whole_number

        text = str(written)
        number = int(text) if text.isascii() and text.isdecimal() else whole_number(text, in_mb=in_mb)
        if number is None or number < least:
            example = "200, 512MB or 2GB" if in_mb else "20000, 20k or 1M"
            raise typer.BadParameter(f"{text!r} is no whole number of at least {least:,}, such as {example}")
        return number

    return parse


def shown_tokens(tokens: float) -> str:
    """A number of tokens: in millions from 100,000 on, and below that as it is."""
    return f"{tokens / 1e6:,.1f} M" if tokens >= 100_000 else f"{tokens:,.0f}"
