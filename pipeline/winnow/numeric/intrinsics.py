"""How the functions of :mod:`winnow.numeric.bits` are compiled.

Masks are vector comparisons of 64 bytes, for which LLVM takes the widest registers of the machine. Results do
not depend on the machine: the load is little-endian by definition, and big-endian machines are refused.
"""

import sys
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

if sys.byteorder != "little":
    raise ImportError("the text kernels read eight bytes at a time and need a little-endian machine")

_BLOCK = 64


def _load_eight(_context: Any, data: Any, index: Any) -> Any:
    """Eight bytes of a pointer to bytes from ``index`` on as a little-endian uint64. The caller checks these exist."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        address = builder.gep(arguments[0], [arguments[1]])
        loaded = builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(data, index), generate


def _compared(folded: bool) -> Any:
    def bytes_between(_context: Any, data: Any, index: Any, low: Any, high: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            lanes, byte = ir.VectorType(ir.IntType(8), _BLOCK), ir.IntType(8)

            def everywhere(value: Any) -> Any:
                one = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
                zeros = ir.Constant(ir.VectorType(ir.IntType(32), _BLOCK), None)
                return builder.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), zeros)

            address = builder.gep(arguments[0], [arguments[1]])
            block = builder.load(builder.bitcast(address, lanes.as_pointer()))
            block.align = 1
            if folded:
                block = builder.or_(block, ir.Constant(lanes, [0x20] * _BLOCK))
            first, last = (builder.trunc(argument, byte) for argument in arguments[2:])
            above = builder.sub(block, everywhere(first))
            inside = builder.icmp_unsigned("<=", above, everywhere(builder.sub(last, first)))
            return builder.bitcast(inside, ir.IntType(64))

        return types.uint64(data, types.int64, types.int64, types.int64), generate

    return bytes_between


def _copy_block(_context: Any, source: Any, first: Any, target: Any, second: Any) -> Any:
    """64 bytes of one pointer from ``first`` on, to another from ``second`` on. The caller checks that both exist."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), _BLOCK).as_pointer()
        from_there, there = (builder.gep(arguments[at], [arguments[at + 1]]) for at in (0, 2))
        block = builder.load(builder.bitcast(from_there, kind))
        stored = builder.store(block, builder.bitcast(there, kind))
        block.align = stored.align = 1
        return _context.get_dummy_value()

    return types.none(source, types.int64, target, types.int64), generate


def _trailing_zeros(_context: Any, value: Any) -> Any:
    """The number of zero bits below the lowest set bit of a uint64 as int64; 64 for zero."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


def _count_ones(_context: Any, value: Any) -> Any:
    """The number of set bits of a uint64 as int64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


def _pointer_to(_context: Any, array: Any) -> Any:
    """A pointer to the first item of a contiguous array, for use while the caller holds the array: ``pointer[i]``.

    Numba counts references to arrays around most calls that pass one, by calls that it cannot drop: half of the time
    of a scan that calls small functions a million times a second. A pointer has no count, no length and no negative
    indices. Of a pointer: itself.
    """
    if isinstance(array, types.CPointer):
        return array(array), lambda _context, _builder, _signature, arguments: arguments[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return types.CPointer(array.dtype)(array), generate  # type: ignore[no-untyped-call]


def _pointers_to(_context: Any, record: Any) -> Any:
    """A named tuple with a pointer in place of each array, as ``pointer_to`` has it; other fields stay."""
    of_arrays = [isinstance(kind, types.Array) for kind in record.types]
    pointer: Any = types.CPointer
    kinds = [pointer(kind.dtype) if array else kind for kind, array in zip(record.types, of_arrays, strict=True)]
    pointers = types.BaseTuple.from_types(kinds, record.instance_class)  # type: ignore[no-untyped-call]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        fields = [builder.extract_value(arguments[0], place) for place in range(len(of_arrays))]
        for place, array in enumerate(of_arrays):
            if array:
                fields[place] = context.make_array(record.types[place])(context, builder, fields[place]).data
        return context.make_tuple(builder, signature.return_type, fields)

    return pointers(record), generate


def _pointer_behind(_context: Any, pointer: Any, items: Any) -> Any:
    """A pointer to the item so many behind the one that a pointer points to."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


MADE: dict[str, Any] = {
    "load_eight": intrinsic(_load_eight),
    "bytes_between": intrinsic(_compared(folded=False)),
    "folded_between": intrinsic(_compared(folded=True)),
    "copy_block": intrinsic(_copy_block),
    "count_ones": intrinsic(_count_ones),
    "trailing_zeros": intrinsic(_trailing_zeros),
    "pointer_to": intrinsic(_pointer_to),
    "pointers_to": intrinsic(_pointers_to),
    "pointer_behind": intrinsic(_pointer_behind),
}
"""By the names that kernels know them by (:mod:`winnow.numeric.bits`)."""
