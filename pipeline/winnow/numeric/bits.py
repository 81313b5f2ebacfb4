"""What numba does not offer: unaligned loads, masks of 64 bytes at a time, bit counts, and pointers.

Only kernels can call these; :mod:`winnow.numeric.intrinsics` says how they are compiled.
"""

from typing import Any

from winnow.numeric.jit import Deferred


def _intrinsic(name: str) -> Any:
    def make() -> Any:
        from winnow.numeric.intrinsics import MADE  # noqa: PLC0415 - loads numba

        return MADE[name]

    return Deferred(make)


load_eight: Any = _intrinsic("load_eight")
bytes_between: Any = _intrinsic("bytes_between")
"""(pointer to bytes, i, low, high): bit k is set where low <= byte i + k <= high, k from 0 to 63. The caller checks
that the bytes exist."""
folded_between: Any = _intrinsic("folded_between")
"""The same of byte i + k | 32: the lower case of an ASCII letter."""
copy_block: Any = _intrinsic("copy_block")
count_ones: Any = _intrinsic("count_ones")
trailing_zeros: Any = _intrinsic("trailing_zeros")
pointer_to: Any = _intrinsic("pointer_to")
pointers_to: Any = _intrinsic("pointers_to")
pointer_behind: Any = _intrinsic("pointer_behind")
