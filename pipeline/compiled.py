"""The one decorator of all compiled kernels.

Compiled code is kept on disk beside the source (or in numba's user cache where that is read-only), so a node
compiles once. ``nogil`` lets a reader thread decode the next batch meanwhile; ``fastmath`` stays off because
results must not depend on the machine.
"""

from numba import njit

kernel = njit(cache=True, nogil=True, fastmath=False, boundscheck=False)
"""Compile a kernel on first call with the types it is called with."""

inline_kernel = njit(cache=True, nogil=True, fastmath=False, boundscheck=False, inline="always")
"""The same for small helpers that a kernel calls for every byte."""
