"""Short vectors in kernels.

Numba runs no pass that joins neighbouring scalar operations, and the loop vectoriser guards every
loop by checks of overlap that cost more than a short loop itself. Eight taps added by an intrinsic
of this module take 1 ns, by a loop 2 to 5 ns. Arrays are flat; there are no bounds checks.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

#: Values that `add_rows` works on at once.
LANES = 16
#: Rows and columns of `transpose_8`.
BLOCK = 8
#: Values of a word of `differ_64`.
WORD = 64
_CONTRACT = ("contract",)


class _Vectors:
    """Loads, stores and sums of vectors of one width while an intrinsic is generated."""

    def __init__(self, context: Any, builder: Any, dtype: Any, width: int) -> None:
        self.context, self.builder, self.width = context, builder, width
        self.type = ir.VectorType(context.get_value_type(dtype), width)
        self.align = dtype.bitwidth // 8

    def data(self, array_type: Any, array: Any) -> Any:
        """Return the address of an array's first value."""
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def at(self, data: Any, position: Any) -> Any:
        """Return the address of the vector that begins at a position."""
        address = self.builder.gep(data, [position])
        return self.builder.bitcast(address, self.type.as_pointer())

    def load(self, address: Any) -> Any:
        """Load a vector from any address of a value."""
        return self.builder.load(address, align=self.align)

    def store(self, vector: Any, address: Any) -> None:
        """Store a vector."""
        self.builder.store(vector, address, align=self.align)

    def splat(self, value: Any) -> Any:
        """Return a vector of equal values."""
        lane = ir.Constant(ir.IntType(32), 0)
        one = self.builder.insert_element(ir.Constant(self.type, ir.Undefined), value, lane)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.builder.shuffle_vector(one, one, mask)

    def multiply_add(self, total: Any, scale: Any, vector: Any) -> Any:
        """Return ``total + scale * vector``, rounded once where the machine can."""
        product = self.builder.fmul(scale, vector, flags=_CONTRACT)
        return self.builder.fadd(total, product, flags=_CONTRACT)


def _add_scaled(width: int) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def add_scaled(typing_context: Any, to: Any, p: Any, value: Any, of: Any, q: Any) -> Any:
        """``to[p:p + width] += value * of[q:q + width]``."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vectors = _Vectors(context, builder, to.dtype, width)
            target = vectors.at(vectors.data(signature.args[0], arguments[0]), arguments[1])
            source = vectors.at(vectors.data(signature.args[3], arguments[3]), arguments[4])
            total, row = vectors.load(target), vectors.load(source)
            vectors.store(vectors.multiply_add(total, vectors.splat(arguments[2]), row), target)
            return context.get_dummy_value()

        return types.void(to, types.intp, to.dtype, of, types.intp), generate

    return add_scaled


add_scaled_2 = _add_scaled(2)
add_scaled_8 = _add_scaled(8)
add_scaled_16 = _add_scaled(LANES)


@intrinsic  # type: ignore[untyped-decorator]
def add_rows(  # type: ignore[no-untyped-def]
    typing_context, to, p, r, of, q0, q1, q2, q3, a0, b0, a1, b1, a2, b2, a3, b3
):
    """Add four scaled rows to two sums, `LANES` values each.

    ``to[p:] += a0 * of[q0:] + ... + a3 * of[q3:]`` and ``to[r:] += b0 * of[q0:] + ...``: every row
    is loaded once for both sums.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = _Vectors(context, builder, to.dtype, LANES)
        base = vectors.data(signature.args[0], arguments[0])
        rows_base = vectors.data(signature.args[3], arguments[3])
        targets = [vectors.at(base, arguments[k]) for k in (1, 2)]
        sums = [vectors.load(target) for target in targets]
        for k in range(4):
            row = vectors.load(vectors.at(rows_base, arguments[4 + k]))
            for n in range(2):
                scale = vectors.splat(arguments[8 + 2 * k + n])
                sums[n] = vectors.multiply_add(sums[n], scale, row)
        for total, target in zip(sums, targets, strict=True):
            vectors.store(total, target)
        return context.get_dummy_value()

    real, integer = to.dtype, types.intp
    return types.void(to, integer, integer, of, *(integer,) * 4, *(real,) * 8), generate


@intrinsic  # type: ignore[untyped-decorator]
def transpose_8(  # type: ignore[no-untyped-def]
    typing_context, of, q, of_stride, to, p, to_stride
):
    """``to[p + j * to_stride + i] = of[q + i * of_stride + j]`` for i, j < 8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = _Vectors(context, builder, of.dtype, BLOCK)

        def place(array: int, k: int) -> Any:
            base = vectors.data(signature.args[array], arguments[array])
            stride = ir.Constant(arguments[array + 2].type, k)
            step = builder.mul(arguments[array + 2], stride)
            return vectors.at(base, builder.add(arguments[array + 1], step))

        rows = [vectors.load(place(0, k)) for k in range(BLOCK)]
        for step in (1, 2, 4):  # exchanges the bit `step` of the row with that of the lane
            low = [lane if not lane & step else lane - step + BLOCK for lane in range(BLOCK)]
            masks = [
                ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [lane + add for lane in low])
                for add in (0, step)
            ]
            for k in range(BLOCK):
                if not k & step:
                    pair = rows[k], rows[k + step]
                    rows[k], rows[k + step] = (builder.shuffle_vector(*pair, m) for m in masks)
        for k, row in enumerate(rows):
            vectors.store(row, place(3, k))
        return context.get_dummy_value()

    integer = types.intp
    return types.void(of, integer, integer, to, integer, integer), generate


def _differ(constant: float) -> Any:
    @intrinsic  # type: ignore[untyped-decorator]
    def differ_64(typing_context: Any, of: Any, q: Any) -> Any:
        """Bits of the values ``of[q:q + 64]`` that differ from a constant, the first one lowest."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            vectors = _Vectors(context, builder, of.dtype, WORD)
            row = vectors.load(vectors.at(vectors.data(of, arguments[0]), arguments[1]))
            bits = builder.fcmp_unordered("!=", row, ir.Constant(row.type, [constant] * WORD))
            return builder.bitcast(bits, ir.IntType(WORD))

        return types.uint64(of, types.intp), generate

    return differ_64


nonzero_64 = _differ(0.0)
other_than_one_64 = _differ(1.0)


@intrinsic  # type: ignore[untyped-decorator]
def count_bits(typing_context: Any, word: Any) -> Any:
    """Return how many bits of a word are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Return the place of the lowest bit of a word that is set; 64 where none is."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate
