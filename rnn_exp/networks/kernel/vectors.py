"""A vector of 64 bytes for numba: a type, its operators, and few functions of all its lanes.

A vector is wider than the registers of some processors; LLVM then uses two or four of them. So the
layout of memory, the order of every sum and therefore every bit are the same on all processors.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

from rnn_exp.networks.kernel.compiling import named
from rnn_exp.networks.kernel.memory import BYTES

__all__ = [
    "BYTES",
    "Vector",
    "absolute",
    "arrays_at",
    "called",
    "copysign",
    "filled",
    "first_half",
    "first_lanes",
    "fma",
    "lane_sum",
    "lanes_of",
    "llvm_of",
    "load",
    "power_of_two",
    "splat",
    "store",
    "where",
    "wide",
]

_I32 = ir.IntType(32)


class Vector(types.Type):
    """So many numbers of one precision, in registers."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


class Mask(types.Type):
    """Yes or no of every lane."""

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


def llvm_of(vector):
    """Return LLVM's type of a vector."""
    element = ir.FloatType() if vector.dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(element, vector.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, llvm_of(vector))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, mask):
        super().__init__(manager, mask, ir.VectorType(ir.IntType(1), mask.lanes))


def lanes_of(array):
    """Return the vector that the numbers of an array make."""
    return Vector(array.dtype, BYTES * 8 // array.dtype.bitwidth)


def splat(builder, number, vector):
    """Emit a number in every lane."""
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, number, _I32(0))
    zeros_ = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first, nothing, zeros_)


def _as_vector(context, builder, value, type_, vector):
    """Emit a vector as it is; a number, rounded to the vector's precision, in every lane."""
    if isinstance(type_, Vector):
        return value
    return splat(builder, context.cast(builder, value, type_, vector.dtype), llvm_of(vector))


def _place(context, builder, type_, array, index, vector):
    data = context.make_array(type_)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


@intrinsic
def arrays_at(typing, like, addresses):
    """Return what lies at some addresses as arrays of the type of another, of no length."""
    made = types.UniTuple(like, len(addresses))

    def emit(context, builder, signature, given):
        found = []
        for address in cgutils.unpack_tuple(builder, given[1], len(addresses)):
            array = context.make_array(like)(context, builder, value=given[0])
            array.data = builder.inttoptr(address, array.data.type)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)  # it owns nothing
            array.parent = cgutils.get_null_value(array.parent.type)
            found.append(array._getvalue())  # noqa: SLF001 - numba's name
        return context.make_tuple(builder, made, found)

    return made(like, addresses), emit


@intrinsic
def load(typing, array, index):
    """Return the vector that begins at a number of a contiguous array."""
    vector = lanes_of(array)

    def emit(context, builder, signature, arguments):
        place = _place(context, builder, array, *arguments, llvm_of(vector))
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp), emit


@intrinsic
def store(typing, array, index, value):
    """Put a vector, or a number in every lane of one, into a contiguous array from a place on."""
    vector = value if isinstance(value, Vector) else lanes_of(array)

    def emit(context, builder, signature, arguments):
        place = _place(context, builder, array, *arguments[:2], llvm_of(vector))
        given = _as_vector(context, builder, arguments[2], value, vector)
        builder.store(given, place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), emit


def called(builder, name, *values):
    """Emit a call of one of LLVM's functions of vectors."""
    vector = values[0].type
    bits = 32 if vector.element == ir.FloatType() else 64
    function = ir.FunctionType(vector, [vector] * len(values))
    found = cgutils.get_or_insert_function(
        builder.module, function, f"llvm.{name}.v{vector.count}f{bits}"
    )
    return builder.call(found, values)


def _lanewise(emit_lanes, result=lambda vector: vector):
    """Return a function of a few vectors or numbers, at least one of which is a vector."""

    def typed(types_):
        return next(one for one in types_ if isinstance(one, Vector))

    def made(*types_):
        vector = typed(types_)

        def emit(context, builder, signature, arguments):
            pairs = zip(arguments, types_, strict=True)
            given = [_as_vector(context, builder, value, one, vector) for value, one in pairs]
            return emit_lanes(builder, *given)

        return result(vector)(*types_), emit

    return made


def _of_two(emit_lanes, result=lambda vector: vector):
    made = _lanewise(emit_lanes, result)

    @intrinsic
    def function(typing, x, y):
        return made(x, y)

    return function


def _as_operator(symbol, function):
    @overload(symbol)
    def of_vectors(x, y):
        def called_by(x, y):
            return function(x, y)

        given = isinstance(x, Vector) or isinstance(y, Vector)
        return named(called_by, symbol.__name__) if given else None


def _to_mask(vector):
    return Mask(vector.lanes)


_as_operator(operator.add, _of_two(lambda builder, x, y: builder.fadd(x, y)))
_as_operator(operator.sub, _of_two(lambda builder, x, y: builder.fsub(x, y)))
_as_operator(operator.mul, _of_two(lambda builder, x, y: builder.fmul(x, y)))
_as_operator(operator.truediv, _of_two(lambda builder, x, y: builder.fdiv(x, y)))
_as_operator(operator.gt, _of_two(lambda b, x, y: b.fcmp_ordered(">", x, y), _to_mask))
_as_operator(operator.lt, _of_two(lambda b, x, y: b.fcmp_ordered("<", x, y), _to_mask))
copysign = _of_two(lambda builder, x, y: called(builder, "copysign", x, y))
_fused = _lanewise(lambda builder, x, y, z: called(builder, "fma", x, y, z))


def first_half(builder, x, like):
    """Emit the first half of a vector's lanes where another vector has no more."""
    if x.type == like.type:
        return x
    places = ir.Constant(ir.VectorType(_I32, like.type.count), list(range(like.type.count)))
    return builder.shuffle_vector(x, x, places)


@intrinsic
def absolute(typing, x):
    """Return |x|."""
    return x(x), lambda context, builder, signature, given: called(builder, "fabs", given[0])


@intrinsic
def fma(typing, x, y, z):
    """Return x y + z, rounded once."""
    return _fused(x, y, z)


@intrinsic
def where(typing, mask, x, y):
    """Return x in the lanes where the mask is yes, else y."""
    vector = next((one for one in (x, y) if isinstance(one, Vector)), None)
    if vector is None:
        return None

    def emit(context, builder, signature, given):
        pairs = (given[1], x), (given[2], y)
        either = [_as_vector(context, builder, value, one, vector) for value, one in pairs]
        return builder.select(given[0], *either)

    return vector(mask, x, y), emit


@intrinsic
def power_of_two(typing, t):
    """Return 2^n, where the last bits of t hold the whole number n."""

    def emit(context, builder, signature, given):
        single = t.dtype == types.float32
        size, shift, one = (32, 23, 0x3F800000) if single else (64, 52, 0x3FF0000000000000)
        whole = ir.VectorType(ir.IntType(size), t.lanes)
        shifted = builder.shl(
            builder.bitcast(given[0], whole), ir.Constant(whole, [shift] * t.lanes)
        )
        biased = builder.add(shifted, ir.Constant(whole, [one] * t.lanes))
        return builder.bitcast(biased, given[0].type)

    return t(t), emit


@intrinsic
def filled(typing, x, number):
    """Return a vector like another with a number in every lane."""

    def emit(context, builder, signature, given):
        return _as_vector(context, builder, given[1], number, x)

    return x(x, number), emit


@intrinsic
def wide(typing, x):
    """Return the numbers of a vector in float64."""
    doubled = Vector(types.float64, x.lanes)

    def emit(context, builder, signature, given):
        return given[0] if x == doubled else builder.fpext(given[0], llvm_of(doubled))

    return doubled(x), emit


@intrinsic
def first_lanes(typing, x, count):
    """Return the first lanes of a vector, and 0 in the others, whatever they hold."""

    def emit(context, builder, signature, given):
        whole = ir.VectorType(ir.IntType(64), x.lanes)
        places = ir.Constant(whole, list(range(x.lanes)))
        wanted = builder.icmp_signed("<", places, splat(builder, given[1], whole))
        return builder.select(wanted, given[0], ir.Constant(llvm_of(x), [0.0] * x.lanes))

    return x(x, types.int64), emit


@intrinsic
def lane_sum(typing, x):
    """Return the sum of a vector's lanes, in their order."""

    def emit(context, builder, signature, given):
        found = builder.extract_element(given[0], _I32(0))
        for lane in range(1, x.lanes):
            found = builder.fadd(found, builder.extract_element(given[0], _I32(lane)))
        return found

    return x.dtype(x), emit
