"""Boilerplate lines in plain Python: which there are, and what a text is without them."""

from collections import Counter

from winnow.text.lines.config import LinesConfig


def pieces(text: str, unit: str) -> list[tuple[str, list[int]]]:
    """What is compared, and the lines it stands on."""
    lines = text.split("\n")
    groups: list[list[int]] = []
    for n, line in enumerate(lines):
        if line.strip() and unit == "paragraph" and n and lines[n - 1].strip():
            groups[-1].append(n)
        elif line.strip():
            groups.append([n])
    return [("\n".join(lines[n] for n in group).strip(), group) for group in groups]


def counted(texts: list[str], config: LinesConfig) -> Counter[str]:
    """In how many documents each line of sufficient length is."""
    return Counter(
        piece
        for text in texts
        for piece in {piece for piece, _ in pieces(text, config.unit) if len(piece) >= config.min_characters}
    )


def removed(text: str, config: LinesConfig, boilerplate: set[str]) -> tuple[str, int]:
    """The text without its boilerplate, and how many lines that were."""
    lines = text.split("\n")
    gone = {n for piece, group in pieces(text, config.unit) if piece in boilerplate for n in group}
    kept: list[str] = []
    since_filled = False
    for n, line in enumerate(lines):
        if n in gone:
            since_filled = True
        elif line.strip():
            since_filled = False
            kept.append(line)
        elif not (since_filled and (not kept or not kept[-1].strip())):
            kept.append(line)
    if gone and not "".join(kept).strip():
        return "", len(gone)
    return "\n".join(kept), len(gone)
