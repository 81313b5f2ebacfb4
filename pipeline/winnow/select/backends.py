"""Where vectors are computed with: numpy, or a torch device."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from winnow.select.nearest import HostVectors, Vectors


def vectors_on(device: str, vectors: NDArray[Any]) -> Vectors:
    """Vectors float16 or float32 [N, D] (scaled to unit length) where they are computed with.

    Args:
        device: ``cpu`` stays with numpy; any name of a torch device (``cuda``, ``cpu:0``) goes there.
        vectors: no zero rows.
    """
    if device == "cpu":
        return HostVectors(vectors)
    from winnow.select.device_vectors import DeviceVectors  # noqa: PLC0415 - torch is optional, and slow to load

    return DeviceVectors.of(vectors, device)


def nearest_centres(
    vectors: NDArray[Any], centres: NDArray[np.float32], number: int = 1, device: str = "cpu"
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``number`` centres of largest cosine for each vector, as :meth:`Vectors.nearest` gives them."""
    return vectors_on(device, vectors).nearest(centres, number)
