"""Products and inverses of matrices of every run, a run after the other.

Those of a read-out are y = C h + c, ∂L/∂h and ∂L/∂C; what gates hand back is one of several. Sums
over k are sums of stretches, one stretch after the other. Tensors are given by addresses
(`memory.handed`).
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.losses import squared_error
from rnn_exp.networks.kernel.rows import (
    add_rows,
    add_to,
    clear,
    in_half_vectors,
    pack,
    pack_transposed,
)
from rnn_exp.networks.kernel.tiles import narrow_product, product
from rnn_exp.networks.kernel.vectors import BYTES, arrays_at, fma, load, store

__all__ = [
    "add_to_weights",
    "invert",
    "multiply",
    "read_rows",
    "read_squared",
    "states_of_rows",
    "sum_gates",
    "through_gates",
]

_STRETCH = 1024  # rows whose part in ∂L/∂C is one sum; blocks of rows are whole numbers of these


def _adding(of_stretch):
    """Return what adds products that another function computes."""

    @compiled
    def add(C, spare, A, B, shape):
        """Add A B to C.

        Args:
            C: an array and the place of its first number; (M, N), rows of whole vectors.
            spare: an array, where in it there is room for a product, and where zeros are.
            A: as in `product`.
            B: as in `product`.
            shape: M, K, N.
        """
        (A, a, a_row, a_column), (B, b, b_row), (M, K, N), (part, p, zeros) = A, B, shape, spare
        (C, first) = C
        for k in range(0, K, _STRETCH):
            of_a, of_b = (A, a + k * a_column, a_row, a_column), (B, b + k * b_row, b_row)
            of_part = M, min(_STRETCH, K - k), N
            of_stretch((part, p, N), (part, zeros, 0), of_a, of_b, of_part)
            add_to(C, first, part, p, M * N, False)

    return add


_add, _add_narrow = _adding(product), _adding(narrow_product)


@kept
def read_rows(like, addresses, distances, sizes):
    """Fill y with C h + c.

    Args:
        like: an array of the precision.
        addresses: of y (run, row, width), whose rows are whole vectors; of h, C and c; of room for
            C transposed (unit, width), a product (row, width) and zeros (width).
        distances: numbers from one run to the next of h, C and c; from one row of h to the next.
        sizes: R, rows, units, outputs, width.
    """
    (h_run, C_run, c_run, h_row), (R, rows, units, outputs, width) = distances, sizes
    y, h, C, c, spare = arrays_at(like, addresses)
    part, zeros = units * width, (units + rows) * width
    clear(spare, zeros, 1, 0, width)
    for r in range(R):
        pack_transposed(spare, 0, width, C, r * C_run, outputs, units)
        own = r * rows * width
        for i in range(own, own + rows * width, width):
            for j in range(outputs):
                y[i + j] = c[r * c_run + j]
        clear(y, own, rows, outputs, width)
        left, right = (h, r * h_run, h_row, 1), (spare, 0, width)
        _add_narrow((y, own), (spare, part, zeros), left, right, (rows, units, width))


@kept
def states_of_rows(like, addresses, distances, sizes):
    """Fill ∂L/∂h with Cᵀ ∂L/∂y.

    Args:
        like: an array of the precision.
        addresses: of ∂L/∂h (run, row, unit), whose rows are whole vectors; of ∂L/∂y and C; of room
            for C (output, length of a row), for a product as ∂L/∂h of a run, and for zeros (row).
        distances: numbers from one run to the next of ∂L/∂y and C.
        sizes: R, rows, units, outputs, length of a row.
    """
    (y_run, C_run), (R, rows, units, outputs, row) = distances, sizes
    found, of_y, C, spare = arrays_at(like, addresses)
    part, zeros = outputs * row, (outputs + rows) * row
    clear(spare, zeros, 1, 0, row)
    clear(found, 0, R * rows, 0, row)
    for r in range(R):
        pack((spare, 0, row), C, r * C_run, outputs, units)
        left, into = (of_y, r * y_run, outputs, 1), (found, r * rows * row)
        _add_narrow(into, (spare, part, zeros), left, (spare, 0, row), (rows, outputs, row))


@kept
def add_to_weights(like, addresses, distances, sizes):
    """Add what rows give to ∂L/∂C and ∂L/∂c.

    Args:
        like: an array of the precision.
        addresses: of ∂L/∂C (run, output, row) and of ∂L/∂c (run, output, a vector); of ∂L/∂y, and
            of h, whose rows are whole vectors; of room for a product as ∂L/∂C of a run, for zeros
            and for ones (a row each).
        distances: numbers from one run to the next of ∂L/∂y and h, and from one row of h to the
            next.
        sizes: R, rows, outputs, length of a row, numbers of a vector.
    """
    (y_run, h_run, h_row), (R, rows, outputs, row, lanes) = distances, sizes
    of_C, of_c, of_y, h, spare = arrays_at(like, addresses)
    zeros, ones = outputs * row, (outputs + 1) * row
    clear(spare, zeros, 1, 0, row)
    for j in range(ones, ones + lanes):
        spare[j] = 1.0
    for r in range(R):
        left, room = (of_y, r * y_run, 1, outputs), (spare, 0, zeros)
        own, right = (of_C, r * outputs * row), (h, r * h_run, h_row)
        _add_narrow(own, room, left, right, (outputs, rows, row))
        own, right = (of_c, r * outputs * lanes), (spare, ones, 0)
        _add_narrow(own, room, left, right, (outputs, rows, lanes))


@kept
def read_squared(like, addresses, distances, sizes):
    """Read rows out, and differentiate the mean square of what the outputs are off.

    Args:
        like: an array of the precision.
        addresses: of y and ∂L/∂y (run, row), and L (run); of ∂L/∂h as in `states_of_rows`; of ∂L/∂C
            and ∂L/∂c as in `add_to_weights`; of h, C, c and the targets (run, row); of room.
        distances: as in `read_rows`.
        sizes: R, rows, units, outputs, length of a row, numbers of a vector. There is one output;
            it is an argument because of a literal 1 numba compiles what is called once more.
    """
    y, of_y, loss, of_h, of_C, of_c, h, C, c, target, room = addresses
    (h_run, C_run, _, h_row), (R, rows, units, outputs, row, lanes) = distances, sizes
    spare = room + R * rows * lanes * like.itemsize
    read_rows(like, (room, h, C, c, spare), distances, (R, rows, units, outputs, lanes))
    wide, values = arrays_at(like, (room, y))
    for i in range(R * rows):
        values[i] = wide[i * lanes]
    squared_error(like, (y, of_y, target, loss), (R, rows))
    states_of_rows(like, (of_h, of_y, C, room), (rows, C_run), (R, rows, units, outputs, row))
    given = of_C, of_c, of_y, h, room
    add_to_weights(like, given, (rows, h_run, h_row), (R, rows, outputs, row, lanes))


@kept
def multiply(like, addresses, distances, sizes):
    """Fill C with A B.

    Args:
        like: an array of the precision.
        addresses: of C (run, M, N) and B, whose rows are whole vectors; of A; of room for a product
            (M, N) and zeros (N).
        distances: numbers from one run, one row and one column of A to the next; from one run and
            one row of B.
        sizes: R, M, K, N.
    """
    (a_run, a_row, a_column, b_run, b_row), (R, M, K, N) = distances, sizes
    C, B, A, spare = arrays_at(like, addresses)
    clear(spare, M * N, 1, 0, N)
    clear(C, 0, R * M, 0, N)
    for r in range(R):
        left, right = (A, r * a_run, a_row, a_column), (B, r * b_run, b_row)
        _add((C, r * M * N), (spare, 0, M * N), left, right, (M, K, N))


@kept
def invert(like, addresses, sizes):
    """Put M⁻¹ in the place of M by elimination (Gauss and Jordan), rows exchanged for the pivots.

    Args:
        like: an array of the precision.
        addresses: of M (run, n, row), rows of whole vectors; of room for n numbers.
        sizes: R, n, row.
    """
    (R, n, row), (M, order) = sizes, arrays_at(like, addresses)
    lanes = BYTES // M.itemsize
    for start in range(0, R * n * row, n * row):
        for column in range(n):
            k, best = start + column * row, column
            for i in range(column + 1, n):
                if abs(M[start + i * row + column]) > abs(M[start + best * row + column]):
                    best = i
            order[column] = best
            for j in range(0, row, lanes):
                own, other = load(M, k + j), load(M, start + best * row + j)
                store(M, start + best * row + j, own)
                store(M, k + j, other)
            pivot, M[k + column] = 1.0 / M[k + column], 1.0
            for j in range(0, row, lanes):
                store(M, k + j, load(M, k + j) * pivot)
            for i in range(start, start + n * row, row):
                if i != k:
                    share, M[i + column] = -M[i + column], 0.0
                    for j in range(0, row, lanes):
                        store(M, i + j, fma(load(M, k + j), share, load(M, i + j)))
        for column in range(n - 1, -1, -1):  # rows were exchanged: now the inverse's columns are
            other = int(order[column])
            for i in range(start, start + n * row, row):
                M[i + column], M[i + other] = M[i + other], M[i + column]


@compiled
def through_gates(C, P, deltas, matrices, count, shape):
    """Compute C = P + Σ δ M over gates: what they hand back.

    Args:
        C: as in `product`.
        P: as in `product`.
        deltas: δ, the place of the first gate's, numbers from one gate and one row to the next.
        matrices: M, the place of the first gate's, numbers from one gate and one row to the next.
        count: how many gates, at least one.
        shape: rows of C, numbers of δ in a row of a gate, columns of C.
    """
    (D, d, by_gate, wide), (M, m, size, row) = deltas, matrices
    for gate in range(count):
        own, start = (D, d + gate * by_gate, wide, 1), C if gate else P
        product(C, start, own, (M, m + gate * size, row), shape)


@compiled
def sum_gates(r, found, D, part, nothing, h, of_x, shape, gates, is_first):
    """Add what a stretch of time gives to the gradients of the weights of a run.

    Args:
        r: the run.
        found: dW (run, gate, unit, row), dV (run, input, gate, row), db (run, 4 row).
        D: δ, rows of four gates.
        part: room for a product.
        nothing: a row of zeros, as P of `product`.
        h: states before the steps, and the place of the first one.
        of_x: inputs, the place of the first one, numbers from one row to the next.
        shape: units, inputs, rows of the stretch, row.
        gates: how many read inputs, the first ones, and as many states; the first of these.
        is_first: whether the stretch is the first to be added.
    """
    (dW, dV, db), (units, inputs, rows, row), (x, at, x_row) = found, shape, of_x
    (count, first), wide, matrix = gates, 4 * row, units * row
    columns, of_part = count * row, (units, rows, in_half_vectors(units, D.itemsize))
    for gate in range(count):
        delta = D, (first + gate) * row, 1, wide
        product((part, 0, row), nothing, delta, (*h, row), of_part)
        add_to(dW, (count * r + gate) * matrix, part, 0, matrix, is_first)
    product((part, 0, columns), nothing, (x, at, 1, x_row), (D, 0, wide), (inputs, rows, columns))
    add_to(dV, r * inputs * columns, part, 0, inputs * columns, is_first)
    add_rows(db, r * wide, D, rows, wide, is_first)
