"""What Numba has no word for: addresses, calls through them, atomics, bit casts, yielding."""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from neurosim.engines.cpu.kernels.pipeline import Straight

_I32, _I64 = ir.IntType(32), ir.IntType(64)

#: Options of functions that only compiled code calls: without a way in from Python they compile
#: in half the time, and they are cached with whoever calls them.
ALLOCATES = {
    "error_model": "numpy", "pipeline_class": Straight,
    "no_cpython_wrapper": True, "no_cfunc_wrapper": True,
}  # fmt: skip
#: The same for functions that allocate nothing: without counting references, which would cost a
#: third of the step of a small network.
INNER = ALLOCATES | {"_nrt": False}


def _dtype(kind: Any) -> Any:
    return kind.dtype


@intrinsic
def view(typingctx: Any, address: Any, n: Any, dtype: Any) -> Any:
    """Return the array of `n` numbers at an address; whoever made it keeps it alive.

    Unlike `numba.carray` it involves no reference count.
    """
    array = types.Array(_dtype(dtype), 1, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _array(context, builder, array, args[0], [args[1]])

    return array(types.int64, types.int64, dtype), generate


@intrinsic
def view_rows(typingctx: Any, address: Any, rows: Any, n: Any, dtype: Any) -> Any:
    """Return the two-dimensional array of `rows` rows of `n` numbers at an address."""
    array = types.Array(_dtype(dtype), 2, "C")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _array(context, builder, array, args[0], [args[1], args[2]])

    return array(types.int64, types.int64, types.int64, dtype), generate


@intrinsic
def view_field(typingctx: Any, address: Any, n: Any, stride: Any, dtype: Any) -> Any:
    """Return the array of one field of `n` records: numbers that lie `stride` bytes apart."""
    array = types.Array(_dtype(dtype), 1, "A")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _array(context, builder, array, args[0], [args[1]], args[2])

    return array(types.int64, types.int64, types.int64, dtype), generate


def _array(
    context: Any, builder: Any, kind: Any, address: Any, shape: list[Any], stride: Any = None
) -> Any:
    array = context.make_array(kind)(context, builder)
    item = context.get_constant(
        types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype))
    )
    strides = [item if stride is None else stride]
    for size in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    data = builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())
    populate_array(array, data=data, shape=shape, strides=strides, itemsize=item, meminfo=None)
    return array._getvalue()


@intrinsic
def call_kernel(typingctx: Any, function: Any, block: Any, step: Any, row: Any, out: Any) -> Any:
    """Call the kernel at an address: int64 f(block, step, row, out)."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_I64] * 4)
        return builder.call(builder.inttoptr(args[0], ir.PointerType(kind)), args[1:])

    return signature, generate


@intrinsic
def call_feature(typingctx: Any, function: Any, table: Any, slot: Any, step: Any) -> Any:
    """Call the feature at an address: int64 f(table, slot, step)."""
    signature = types.int64(types.int64, types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I64, [_I64] * 3)
        return builder.call(builder.inttoptr(args[0], ir.PointerType(kind)), args[1:])

    return signature, generate


@intrinsic
def call_peek(typingctx: Any, function: Any, block: Any, i: Any, state: Any, step: Any) -> Any:
    """Call the kernel at an address: float64 f(block, neuron, state, step)."""
    signature = types.float64(types.int64, types.int64, types.int64, types.int64, types.int64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.DoubleType(), [_I64] * 4)
        return builder.call(builder.inttoptr(args[0], ir.PointerType(kind)), args[1:])

    return signature, generate


@intrinsic
def atomic_add(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the int64 at an address, return what was there before (release and acquire)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = builder.inttoptr(args[0], ir.PointerType(_I64))
        return builder.atomic_rmw("add", target, args[1], "acq_rel")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def atomic_load(typingctx: Any, address: Any) -> Any:
    """Return the int64 at an address (acquire)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = builder.inttoptr(args[0], ir.PointerType(_I64))
        return builder.load_atomic(target, "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]`` (one-dimensional), which need not exist."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), ir.PointerType(ir.IntType(8)))
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(ir.IntType(8)), _I32, _I32, _I32])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(function, [place, _I32(0), _I32(3), _I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _place(context: Any, builder: Any, array: Any, value: Any, index: Any) -> Any:
    return builder.gep(context.make_array(array)(context, builder, value).data, [index])


@intrinsic
def fetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Return ``array[index]`` of a contiguous array for an index that is not negative.

    Subscripts count negative ones from the end, which costs a few instructions each.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, signature.args[0], args[0], args[1])
        return context.unpack_value(builder, signature.return_type, place)

    return array.dtype(array, types.int64), generate


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Set ``array[index]`` of a contiguous array for an index that is not negative."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = signature.args[0]
        place = _place(context, builder, kind, args[0], args[1])
        number = context.cast(builder, args[2], signature.args[2], kind.dtype)
        context.pack_value(builder, kind.dtype, number, place)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), generate


def _bit_cast(source: Any, target: Any) -> Any:
    @intrinsic
    def cast(typingctx: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(source), generate

    return cast


float64_from_bits = _bit_cast(types.int64, types.float64)
float32_from_bits = _bit_cast(types.int32, types.float32)
bits_of_float64 = _bit_cast(types.float64, types.int64)
bits_of_float32 = _bit_cast(types.float32, types.int32)

_WINDOWS = sys.platform == "win32"
#: Gives the core to another thread; found in the C library when the code is loaded.
yield_core = types.ExternalFunction("SwitchToThread" if _WINDOWS else "sched_yield", types.int32())
#: Sleeps for some microseconds. Windows counts milliseconds, too long: there it yields (0).
nap = types.ExternalFunction("Sleep" if _WINDOWS else "usleep", types.int32(types.uint32))
NAP = 0 if _WINDOWS else 30

_IS_X86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
_FLUSH = 0x8040  # flush to zero and denormals are zero, in MXCSR


def _mxcsr(builder: Any, name: str, slot: Any) -> None:
    pointer_type = ir.PointerType(ir.IntType(8))
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(ir.VoidType(), [pointer_type]), name
    )
    builder.call(function, [builder.bitcast(slot, pointer_type)])


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Make this thread treat denormal numbers as zero; return its former mode.

    A decaying state would otherwise become denormal, and arithmetic many times slower.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if not _IS_X86:
            return ir.Constant(_I64, 0)
        slot = builder.alloca(_I32)
        _mxcsr(builder, "llvm.x86.sse.stmxcsr", slot)
        old = builder.load(slot)
        builder.store(builder.or_(old, ir.Constant(_I32, _FLUSH)), slot)
        _mxcsr(builder, "llvm.x86.sse.ldmxcsr", slot)
        return builder.zext(old, _I64)

    return types.int64(), generate


@intrinsic
def restore_denormals(typingctx: Any, mode: Any) -> Any:
    """Set the mode that `flush_denormals` returned."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _IS_X86:
            slot = builder.alloca(_I32)
            builder.store(builder.trunc(args[0], _I32), slot)
            _mxcsr(builder, "llvm.x86.sse.ldmxcsr", slot)
        return context.get_dummy_value()

    return types.void(types.int64), generate
