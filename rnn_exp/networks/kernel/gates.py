"""What the gates of a cell have in common: several products a step, with one δ and matrix each."""

from rnn_exp.networks.kernel.compiling import compiled
from rnn_exp.networks.kernel.tiles import add_rows, add_to, halves_of, product

__all__ = ["sum_gates", "through_gates"]


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
    columns, of_part = count * row, (units, rows, halves_of(units, D.itemsize))
    for gate in range(count):
        delta = D, (first + gate) * row, 1, wide
        product((part, 0, row), nothing, delta, (*h, row), of_part)
        add_to(dW, (count * r + gate) * matrix, part, 0, matrix, is_first)
    product((part, 0, columns), nothing, (x, at, 1, x_row), (D, 0, wide), (inputs, rows, columns))
    add_to(dV, r * inputs * columns, part, 0, inputs * columns, is_first)
    add_rows(db, r * wide, D, rows, wide, is_first)
