"""Three operations that numba does not offer: an unaligned eight-byte load, trailing zeros, and a borrowed array.

Results do not depend on the machine: the load is little-endian by definition, and big-endian machines are refused.
"""

import sys
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

if sys.byteorder != "little":
    raise ImportError("the text kernels read eight bytes at a time and need a little-endian machine")


def _load_eight(_context: Any, data: Any, index: Any) -> Any:
    """``data[index : index + 8]`` as a little-endian uint64. The caller checks that the bytes exist."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        address = builder.gep(array.data, [arguments[1]])
        loaded = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(data, index), generate


def _trailing_zeros(_context: Any, value: Any) -> Any:
    """The number of zero bits below the lowest set bit of a uint64 as int64; 64 for zero."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


def _borrowed(_context: Any, array: Any) -> Any:
    """The same array without a reference count, for use while the caller holds the array.

    Numba counts references, with an atomic operation, around most calls that pass an array: two thirds of the time
    of a scan that calls small functions a million times a second. A borrowed array has no count to keep.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        view.meminfo = ir.Constant(view.meminfo.type, None)
        return view._getvalue()

    return array(array), generate


load_eight: Any = intrinsic(_load_eight)
trailing_zeros: Any = intrinsic(_trailing_zeros)
borrowed: Any = intrinsic(_borrowed)
