"""Text that may come out of the corpus, made safe for a terminal."""


def printable(text: str, *, lines: bool = True) -> str:
    """Text that is safe on a terminal: control characters (but line ends, if ``lines``) are shown, not obeyed."""
    return "".join(c if c.isprintable() or (lines and c == "\n") else c.encode("unicode_escape").decode() for c in text)
