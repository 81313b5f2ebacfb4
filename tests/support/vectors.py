"""Made-up vectors that lie in clusters."""

import numpy as np

from winnow.select.vectors import unit_rows


def blobs(count: int, clusters: int, dimensions: int = 32, spread: float = 0.6, seed: int = 1):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(clusters, dimensions))
    points = middle[rng.integers(0, clusters, count)] + spread * rng.normal(size=(count, dimensions))
    return unit_rows(points.astype(np.float32))
