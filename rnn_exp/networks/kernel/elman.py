"""The passes of h_t = k h_{t-1} + a φ(u_t), u_t = W h_{t-1} + V x_t + b; plain: k = 0, a = 1.

Arrays are flat. Of a run there follow time, sequence and unit; a row of units is filled up to whole
vectors, ``row`` numbers. What a matrix holds beyond its own columns is never read as a number of
another row.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import activate, make_deltas
from rnn_exp.networks.kernel.rows import (
    add_rows,
    add_to,
    clear,
    in_half_vectors,
    move,
    pack,
    pack_transposed,
)
from rnn_exp.networks.kernel.tiles import product
from rnn_exp.networks.kernel.vectors import BYTES, arrays_at, fma, load, store

__all__ = ["elman_adjoint", "elman_forward"]


@kept
def elman_forward(like, addresses, distances, kind, sizes):
    """Fill the states of all runs.

    Args:
        like: an array of the precision.
        addresses: of inputs x, of V, W and both biases; of room for V (input, row), W (unit, row),
            transposed, and the bias; of S (run, T + 1, batch, row), h_0 is there; of U (run, T,
            batch, row) for φ(u), which is no state where the cell skips φ, else it is not used.
        distances: numbers from one run to the next of x, V, W and both biases; from one row of x to
            the next.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, inputs, units, row.
    """
    x, V, W, b, c, packed, S, U = arrays_at(like, addresses)
    x_run, V_run, W_run, b_run, c_run, x_row = distances
    (code, skips, keep, add), (R, T, B, inputs, units, row) = kind, sizes
    step, of_V, of_W = B * row, (packed, 0, row), (packed, inputs * row, row)
    wide = in_half_vectors(units, S.itemsize)
    of_b = packed, (inputs + units) * row, 0
    for r in range(R):
        pack_transposed(packed, 0, row, V, r * V_run, units, inputs)
        pack_transposed(packed, inputs * row, row, W, r * W_run, units, units)
        for j in range(units):
            packed[(inputs + units) * row + j] = b[r * b_run + j] + c[r * c_run + j]
        clear(packed, (inputs + units) * row, 1, units, row)
        clear(S, r * (T + 1) * step, B, units, row)
        for t in range(T):
            before = (r * (T + 1) + t) * step
            out, o = (U, (r * T + t) * step) if skips else (S, before + step)
            of_x = x, r * x_run + t * B * x_row, x_row, 1
            product((out, o, row), of_b, of_x, of_V, (B, inputs, wide))
            product((out, o, row), (out, o, row), (S, before, row, 1), of_W, (B, units, wide))
            activate(code, out, o, step)
            if skips:
                _add_kept(S, before + step, out, o, add, S, before, keep, step)


@kept
def elman_adjoint(like, addresses, distances, kind, sizes):
    """Fill G with ∂L/∂h_t, the places of gradients of weights (by stretches), dx of inputs.

    Args:
        like: an array of the precision.
        addresses: of inputs x, of h_{t-1}, of φ(u_t), from which φ' comes, of W and V; of G (run,
            T, batch, row), with the direct parts from step ``known`` on, nothing before; of δ and
            then ∂L/∂h of the step after the last, (run, batch, row), then of the first; of room
            for δ (chunk + 1, batch, row), and for what `_laid_out` puts behind it; of dW (run,
            unit, row), dV (run, input, row), db (run, row); of dx (run, T, batch, row of dx).
        distances: numbers from one run to the next of x, h, φ(u), W, V; from one row of x to the
            next; length of a row of dx, 0: no dx.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, inputs, units, row, known, and the steps of a stretch.
    """
    x, before, source, W, V, G, later, spare, found, dx = arrays_at(like, addresses)
    x_run, b_run, s_run, W_run, V_run, x_row, in_row = distances
    weights, (code, skips, keep, add) = (W, W_run, V, V_run, in_row), kind
    R, T, B, inputs, units, row, known, chunk = sizes
    step, D, ahead, wide = B * row, spare, R * B * row, in_half_vectors(units, G.itemsize)
    part, own_W, own_V, nothing = _laid_out(spare, (chunk + 1) * step, units, inputs, row, in_row)
    for r in range(R):
        _pack_both(own_W, own_V, weights, r, units, inputs)
        clear(G, (r * T + known) * step, (T - known) * B, units, row)
        last, stop = chunk * step, T
        move(D, last, later, r * step, step)
        while stop > 0:
            start = (stop - 1) // chunk * chunk
            if stop < T:
                last = chunk * step
                move(D, last, D, 0, step)
            for t in range(stop - 1, start - 1, -1):
                g, now = (r * T + t) * step, (t - start) * step
                direct = (G, g, row) if t >= known else nothing
                product((G, g, row), direct, (D, last, row, 1), own_W, (B, units, wide))
                if skips:
                    next_, n = (G, g + step) if t + 1 < T else (later, ahead + r * step)
                    _add_kept(G, g, next_, n, keep, G, g, 1.0, step)
                make_deltas(code, source, r * s_run + t * step, G, g, D, now, add, step)
                last = now
            rows = (stop - start) * B
            h, of_x = (before, r * b_run + start * step), (x, r * x_run + start * B * x_row, x_row)
            shape = units, inputs, rows, row
            _sum_up((found, R, r), D, part, nothing, h, of_x, shape, stop == T)
            if in_row:
                into, shape = (dx, (r * T + start) * B * in_row, in_row), (rows, units, in_row)
                product(into, nothing, (D, 0, row, 1), own_V, shape)
            stop = start
        move(later, r * step, D, 0, step)
        move(later, ahead + r * step, G, r * T * step, step)


@compiled
def _laid_out(spare, part, units, inputs, row, in_row):
    """Return where a product lies (the more of units and inputs, row), W, V, and a row of zeros."""
    of_W = part + max(units, inputs) * row
    of_V = of_W + units * row
    zeros = of_V + units * in_row
    clear(spare, zeros, 1, 0, max(row, in_row))
    return part, (spare, of_W, row), (spare, of_V, in_row), (spare, zeros, 0)


@compiled
def _pack_both(own_W, own_V, weights, r, units, inputs):
    """Copy W of a run, and V where dx is wanted."""
    W, W_run, V, V_run, in_row = weights
    pack(own_W, W, r * W_run, units, units)
    if in_row:
        pack(own_V, V, r * V_run, units, inputs)


@compiled
def _add_kept(out, o, values, v, add, kept_values, k, keep, count):
    """Put ``add`` v + ``keep`` k into so many numbers, whole vectors."""
    for i in range(0, count, BYTES // out.itemsize):
        own = load(kept_values, k + i) * keep
        store(out, o + i, fma(load(values, v + i), add, own))


@compiled
def _sum_up(sums, D, part, nothing, h, of_x, shape, is_first):
    """Add what a stretch of time gives to the gradients of the weights of a run."""
    (found, R, r), (units, inputs, rows, row), (x, at, x_row) = sums, shape, of_x
    dV, db = R * units * row, R * (units + inputs) * row
    wide = in_half_vectors(units, D.itemsize)
    product((D, part, row), nothing, (D, 0, 1, row), (*h, row), (units, rows, wide))
    add_to(found, r * units * row, D, part, units * row, is_first)
    product((D, part, row), nothing, (x, at, 1, x_row), (D, 0, row), (inputs, rows, wide))
    add_to(found, dV + r * inputs * row, D, part, inputs * row, is_first)
    add_rows(found, db + r * row, D, rows, row, is_first)
