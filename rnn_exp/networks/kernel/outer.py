"""Norms of sums of outer products, ‖Σ_b δ_b h_bᵀ‖²: multiplied out, or by products of sequences.

Multiplied out, a tile of the matrix stays in registers until its squares are added up: it is never
written. The other way (the Gram form, see `networks.norms`),

    ‖Σ_b δ_b h_bᵀ‖² = Σ_{b,b'} (δ_b·δ_b') (h_b·h_b'),

is computed in float64. Where outer products nearly cancel it loses digits, and they are multiplied
out after all. The order of every sum is the same whatever the shape of a tile. Arrays are flat.
"""

import math

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnn_exp.networks.kernel.compiling import compiled
from rnn_exp.networks.kernel.tiles import Tile, has_wide_registers, looped
from rnn_exp.networks.kernel.vectors import (
    BYTES,
    called,
    filled,
    first_lanes,
    lane_sum,
    lanes_of,
    llvm_of,
    load,
    store,
    wide,
)

__all__ = ["ROWS", "outer_squares"]

ROWS = 4
"""Rows of a tile: so many more than there are of δ and of sequences may be read, at most."""
_DOUBLES = BYTES // 8
# The square of a sum over that of the sum of norms, from which on it is multiplied out.
_CANCELLED = 1e-4
# Sums of squares of float64 numbers between these have all their digits, and so have products.
_LEAST, _MOST = 1e-100, 1e100


@compiled
def outer_squares(D, gates, h, rows, spare):
    """Return Σ ‖Σ_b δ_b h_bᵀ‖² of the blocks of δ of gates.

    Args:
        D: δ, a block of sequences a gate; 0 in what fills rows up.
        gates: how many.
        h: the states' array, and the place of the first one.
        rows: B, units, row.
        spare: room for sums of columns and, for the Gram form, for rows in float64 and their
            products; how many numbers of that are from one row of products to the next; whether
            to take that.
    """
    (H, at), (B, _, row), (room, ld, by_gram), found = h, rows, spare, 0.0
    of_wide = row
    of_h = of_wide + (B + ROWS) * row
    of_d = of_h + (B + ROWS) * ld
    if by_gram:
        _widen(room, of_wide, H, at, rows)
        _dots(room, of_wide, of_h, B, row, ld)
    for gate in range(gates):
        own = -1.0
        if by_gram:
            _widen(room, of_wide, D, gate * B * row, rows)
            _dots(room, of_wide, of_d, B, row, ld)
            own = _paired(room, of_h, of_d, B, ld, _most_of(D))
        if own < 0.0:
            own = _multiplied_out(D, gate * B * row, H, at, rows, room)
        found += own
    return found


@compiled
def _multiplied_out(D, d, H, h, rows, sums):
    """Return ‖Σ_b δ_b h_bᵀ‖²: what stands in a column is one sum, and then these are added up."""
    (B, units, row), lanes = rows, BYTES // D.itemsize
    for j in range(0, row, _DOUBLES):
        store(sums, j, 0.0)
    j = 0
    while j < units:
        left = (units - j + lanes - 1) // lanes
        for i in range(0, units, ROWS):
            if left >= _COLUMNS:
                _add_squares(_COLUMNS, sums, j, D, d + i, H, h + j, row, B)
            elif left >= 2:
                _add_squares(_TWO, sums, j, D, d + i, H, h + j, row, B)
            else:
                _add_squares(1, sums, j, D, d + i, H, h + j, row, B)
        j += lanes * (_COLUMNS if left >= _COLUMNS else _TWO if left >= 2 else 1)
    total = filled(load(sums, 0), 0.0)
    for j in range(0, units, _DOUBLES):
        total = total + first_lanes(load(sums, j), units - j)
    return lane_sum(total)


@intrinsic
def _add_squares(typing, columns, sums, s, D, d, H, h, row, B):
    """Emit: add the squares of the numbers of a tile of Dᵀ H to the sums of their columns."""
    if not isinstance(columns, types.IntegerLiteral):
        return None
    vector, place, count = lanes_of(D), types.intp, columns.literal_value

    def emit(context, builder, signature, given):
        _, sums_, s_, D_, d_, H_, h_, ld, K = given
        tile = Tile(context, builder, vector, ROWS, 2 * count)
        first = [ir.Constant(tile.vector, [0.0] * vector.lanes)] * (ROWS * count)
        of_d = tile.at(D, D_, d_), ir.IntType(64)(1), ld
        found = tile.sums(first, of_d, (tile.at(H, H_, h_), ld), K)
        doubled = ir.VectorType(ir.DoubleType(), vector.lanes)
        start = tile.at(sums, sums_, s_)
        for j in range(count):
            place = builder.gep(start, [ir.IntType(64)(j * vector.lanes)])
            place = builder.bitcast(place, doubled.as_pointer())
            total = builder.load(place, align=8)
            for one in found[j::count]:
                value = one if one.type == doubled else builder.fpext(one, doubled)
                total = called(builder, "fma", value, value, total)
            builder.store(total, place, align=8)
        return context.get_dummy_value()

    return types.void(columns, sums, place, D, place, H, place, place, place), emit


@compiled
def _widen(room, w, values, v, rows):
    """Copy rows in float64, with 0 in what fills them up."""
    (B, units, row), lanes = rows, BYTES // values.itemsize
    for b in range(0, B * row, row):
        for j in range(0, row, lanes):
            own = load(values, v + b + j)
            if j + lanes > units:
                own = first_lanes(own, units - j)
            store(room, w + b + j, wide(own))


@compiled
def _dots(room, w, k, B, row, ld):
    """Fill in the products of all sequences with those that are no later."""
    for b in range(0, B, _SIDE):
        for c in range(0, b + 1, _SIDE):
            _dot_tile(_SIDE, room, w + b * row, w + c * row, row, k + b * ld + c, ld)


@intrinsic
def _dot_tile(typing, side, room, a, b, row, k, ld):
    """Emit the products of so many rows with as many; they are put from place k on."""
    if not isinstance(side, types.IntegerLiteral):
        return None
    place, count = types.intp, side.literal_value

    def emit(context, builder, signature, given):
        _, room_, a_, b_, row_, k_, ld_ = given
        vector, i64 = llvm_of(lanes_of(room)), ir.IntType(64)
        data = context.make_array(room)(context, builder, room_).data

        def rows_from(start):
            return [
                builder.gep(data, [builder.add(start, builder.mul(i64(i), row_))])
                for i in range(count)
            ]

        def loaded(start, j):
            own = builder.bitcast(builder.gep(start, [j]), vector.as_pointer())
            return builder.load(own, align=8)

        left, right = rows_from(a_), rows_from(b_)

        def step(j, sums):
            theirs, new = [loaded(one, j) for one in right], []
            for i, one in enumerate(left):
                mine = loaded(one, j)
                own = sums[i * count : (i + 1) * count]
                pairs = zip(theirs, own, strict=True)
                new += [called(builder, "fma", mine, x, total) for x, total in pairs]
            return new

        nothing = [ir.Constant(vector, [0.0] * vector.count)] * count**2
        sums = looped(builder, nothing, row_, vector.count, step)
        short = ir.VectorType(ir.DoubleType(), count)
        for i, own in enumerate(_lane_sums(builder, sums, count)):
            into = builder.gep(data, [builder.add(k_, builder.mul(i64(i), ld_))])
            builder.store(own, builder.bitcast(into, short.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(side, room, place, place, place, place, place), emit


def _lane_sums(builder, vectors, count):
    """Emit the sums of the lanes of vectors of 8, in pairs of pairs of pairs, so many a vector."""
    for size in (1, 2, 4):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        if len(vectors) > 1:
            vectors = [_folded(builder, one, other, size) for one, other in pairs]
        else:
            vectors = [_halves(builder, vectors[0])]
    wanted = range(0, len(vectors) * vectors[0].type.count, count)
    width = vectors[0].type.count
    return [_part(builder, vectors[at // width], at % width, count) for at in wanted]


def _folded(builder, one, other, size):
    """Emit sums of neighbours, of groups of so many lanes of two vectors, side by side."""
    places = range(8)
    first = [at % size + (at // size // 2 * 2) * size + 8 * (at // size % 2) for at in places]
    return builder.fadd(
        _shuffled(builder, one, other, first),
        _shuffled(builder, one, other, [at + size for at in first]),
    )


def _halves(builder, one):
    """Emit the sum of both halves of a vector."""
    return builder.fadd(_part(builder, one, 0, 4), _part(builder, one, 4, 4))


def _part(builder, one, start, count):
    """Emit some lanes of a vector."""
    return _shuffled(builder, one, one, range(start, start + count))


def _shuffled(builder, one, other, places):
    order = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(one, other, order)


@compiled
def _most_of(values):
    """Return what is beyond the numbers of a precision."""
    return 2.0**128 if values.itemsize == 4 else 2.0**1023


@compiled
def _paired(room, k, m, B, ld, largest):
    """Return Σ (δ_b·δ_b') (h_b·h_b'); −1: it may have lost digits, or its sum may not be a number.

    Args:
        room: where products are.
        k: the place of those of h.
        m: the place of those of δ.
        B: how many sequences.
        ld: numbers from one row to the next.
        largest: what the matrix's numbers must be below.
    """
    pairs, own, most, of_h, of_d = filled(load(room, k), 0.0), 0.0, 0.0, 0.0, 0.0
    for b in range(B):
        for c in range(0, b, _DOUBLES):
            both = load(room, k + b * ld + c) * load(room, m + b * ld + c)
            pairs = pairs + first_lanes(both, b - c)
        mine, theirs = room[k + b * ld + b], room[m + b * ld + b]
        own += mine * theirs
        most += math.sqrt(mine * theirs)
        of_h, of_d = of_h + mine, of_d + theirs
    square = own + 2.0 * lane_sum(pairs)
    is_nothing = (of_h == 0.0 and of_d < _MOST) or (of_d == 0.0 and of_h < _MOST)
    if is_nothing and largest == 2.0**128:
        return 0.0  # squares of float32 numbers all fit float64
    fits = _LEAST < of_h < _MOST and _LEAST < of_d < _MOST and most < largest
    return square if fits and square > _CANCELLED * most * most else -1.0


_COLUMNS, _SIDE = (4, 4) if has_wide_registers() else (1, 2)
_TWO = min(2, _COLUMNS)
