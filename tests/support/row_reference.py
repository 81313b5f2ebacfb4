"""Row kinds in plain Python, as their descriptions say. A piece is (document, start, length)."""

Row = list[tuple[int, int, int]]


def best_fit_decreasing(tokens: list[int], row_tokens: int, long_documents: str) -> list[Row]:
    """Rows in no particular order, pieces in the order of their documents."""
    rows: list[Row] = []
    waiting = []
    for document, length in enumerate(tokens):
        if length > row_tokens and long_documents == "drop":
            continue
        if length > row_tokens and long_documents == "truncate":
            length = row_tokens
        start = 0
        while length - start >= row_tokens:
            rows.append([(document, start, row_tokens)])
            start += row_tokens
        if start < length:
            waiting.append((document, start, length - start))
    shared: list[dict] = []
    for time, piece in enumerate(sorted(waiting, key=lambda piece: (-piece[2], piece[0]))):
        fitting = [row for row in shared if row["room"] >= piece[2]]
        if fitting:
            row = min(fitting, key=lambda row: (row["room"], row["since"]))
        else:
            row = {"room": row_tokens, "pieces": []}
            shared.append(row)
        row["pieces"].append(piece)
        row["room"] -= piece[2]
        row["since"] = time
    return rows + [sorted(row["pieces"]) for row in shared]


def taught_windows(stream: list, length: int, stride: int) -> list[tuple[list, list]]:
    """Input and target chunks as the book's dataset makes them."""
    pairs = []
    for i in range(0, len(stream) - length, stride):
        pairs.append((stream[i : i + length], stream[i + 1 : i + length + 1]))
    return pairs


def losses(rows: list[Row], tokens: list[int]) -> dict[str, int]:
    """What the rows leave out, token by token."""
    stands_in = {(document, at): [] for document, length in enumerate(tokens) for at in range(length)}
    for number, row in enumerate(rows):
        for document, start, length in row:
            for at in range(start, start + length):
                stands_in[document, at].append(number)
    lost = [sum(not stands_in[d, at] for at in range(length)) for d, length in enumerate(tokens)]
    several = [len({r for at in range(length) for r in stands_in[d, at]}) > 1 for d, length in enumerate(tokens)]
    return {
        "documents": len(tokens),
        "stream_tokens": sum(tokens),
        "rows": len(rows),
        "row_tokens": sum(length for row in rows for _, _, length in row),
        "repeated_tokens": sum(len(numbers) - 1 for numbers in stands_in.values() if numbers),
        "dropped_tokens": sum(lost),
        "dropped_documents": sum(n == length for n, length in zip(lost, tokens, strict=True)),
        "truncated_documents": sum(0 < n < length for n, length in zip(lost, tokens, strict=True)),
        "split_documents": sum(several),
    }
