"""Prototypes: documents that lie nearest to their cluster's centre, the most ordinary ones of their kind.

Source: B. Sorscher and others, "Beyond neural scaling laws: beating power law scaling via data pruning" (2022), and
K. Tirumala and others, "D4: Improving LLM Pretraining via Document De-Duplication and Diversification" (2023), which
drops them after semantic duplicates. D4 clusters anew in between and ranks over all clusters; here the clusters are
those of semantic dedup, and each gives the same share, so that no kind of text is thinned out more than others.

Legend: N documents.
"""

import numpy as np
from numpy.typing import NDArray

from winnow.numeric.equal_runs import equal_runs


def nearest_to_centre(
    docs: NDArray[np.uint64], cluster: NDArray[np.integer], cosine: NDArray[np.float32], drop_share: float
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Which documents are dropped, and where each cluster's cut lies. A larger share drops the same ones and more.

    Args:
        docs: uint64[N], distinct; of equal cosines the smaller document stays.
        cluster: int[N], below 0 for documents without a vector: these stay.
        cosine: float32[N] with the cluster's centre.
        drop_share: share of each cluster.

    Returns:
        bool[N], and float32[N]: the smallest cosine that was dropped in the document's cluster; NaN where none was.
    """
    dropped = np.zeros(len(docs), np.bool_)
    cut = np.full(len(docs), np.nan, np.float32)
    order = np.lexsort((docs, cosine, cluster))
    order = order[cluster[order] >= 0]
    for begin, end in equal_runs(cluster[order]):
        number = int((end - begin) * drop_share)
        if number:
            dropped[order[end - number : end]] = True
            cut[order[begin:end]] = cosine[order[end - number]]
    return dropped, cut
