"""Who stays among candidates that are taken best first: compiled, because each one depends on those before it.

Legend: B documents of a block, best first.
"""

from winnow.numeric.jit import kernel


@kernel
def choose_in_block(cosines, threshold, keeper, cosine):  # type: ignore[no-untyped-def]
    """Remove each document for the first *kept* one before it in the block that is alike enough.

    Args:
        cosines: float32[B, B] of the block with itself.
        threshold: smallest cosine at which a document is removed.
        keeper: int64[B], -1 where nobody before the block took the document; filled with a place in the block.
        cosine: float32[B], filled where ``keeper`` is.
    """
    decided = keeper != -1
    for document in range(len(keeper)):
        if decided[document]:
            continue
        for before in range(document):
            if not decided[before] and keeper[before] == -1 and cosines[document, before] >= threshold:
                keeper[document] = before
                cosine[document] = cosines[document, before]
                break
