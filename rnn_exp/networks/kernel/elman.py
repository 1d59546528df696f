"""The passes of h_t = k h_{t-1} + a φ(u_t), u_t = W h_{t-1} + V x_t + b; plain: k = 0, a = 1.

Arrays are flat. Of a run there follow time, sequence and unit; a row of units is filled up to whole
vectors, ``row`` numbers. What a matrix holds beyond its own columns is never read as a number of
another row.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import activate, make_deltas
from rnn_exp.networks.kernel.tiles import add_rows, add_to, move, product
from rnn_exp.networks.kernel.vectors import BYTES, fma, load, store

__all__ = ["elman_adjoint", "elman_forward"]


@kept
def elman_forward(x, matrices, S, U, kind, sizes):
    """Fill the states of all runs.

    Args:
        x: inputs, numbers from one row to the next, and from one run to the next.
        matrices: V (run, input, row), bias (run, row), W (run, unit, row), transposed.
        S: (run, T + 1, batch, row), h_0 is there.
        U: (run, T, batch, row) for φ(u), which is no state where the cell skips φ; else not used.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, inputs, units, row.
    """
    (V, bias, W), (code, skips, keep, add), (R, T, B, inputs, units, row) = matrices, kind, sizes
    x, x_row, x_run = x
    step = B * row
    for r in range(R):
        for t in range(T):
            before = (r * (T + 1) + t) * step
            out, o = (U, (r * T + t) * step) if skips else (S, before + step)
            of_x = x, r * x_run + t * B * x_row, x_row, 1
            of_V, of_b = (V, r * inputs * row, row), (bias, r * row, 0)
            product((out, o, row), of_b, of_x, of_V, (B, inputs, row))
            h, of_W = (S, before, row, 1), (W, r * units * row, row)
            product((out, o, row), (out, o, row), h, of_W, (B, units, row))
            activate(code, out, o, step)
            if skips:
                _add_kept(S, before + step, out, o, add, S, before, keep, step)


@kept
def elman_adjoint(x, before, source, matrices, G, later, spare, found, kind, sizes):
    """Fill G with ∂L/∂h_t, and ``found`` with the gradients of weights (by stretches) and inputs.

    Args:
        x: inputs, numbers from one row to the next, and from one run to the next.
        before: h_{t-1}, and numbers from one run to the next.
        source: φ(u_t), from which φ' comes, and numbers from one run to the next.
        matrices: W (run, unit, row), V (run, unit, row of inputs), length of such a row; 0: no dx.
        G: (run, T, batch, row), with the direct parts from step ``known`` on, nothing before.
        later: δ and ∂L/∂h of the step after the last, (run, batch, row); then of the first.
        spare: room for δ (chunk + 1, batch, row) and a product; zeros.
        found: dW (run, unit, row), dV (run, input, row), db (run, row), dx as V.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, inputs, units, row, known, and the steps of a stretch.
    """
    (x, x_row, x_run), (before, b_run), (source, s_run) = x, before, source
    (W, V, in_row), (after, ahead), (D, part, zeros) = matrices, later, spare
    (_, _, _, dx), (code, skips, keep, add) = found, kind
    R, T, B, inputs, units, row, known, chunk = sizes
    step = B * row
    for r in range(R):
        last, stop = chunk * step, T
        move(D, last, after, r * step, step)
        while stop > 0:
            start = (stop - 1) // chunk * chunk
            if stop < T:
                last = chunk * step
                move(D, last, D, 0, step)
            for t in range(stop - 1, start - 1, -1):
                g, now = (r * T + t) * step, (t - start) * step
                direct = (G, g, row) if t >= known else (zeros, 0, 0)
                of_W = W, r * units * row, row
                product((G, g, row), direct, (D, last, row, 1), of_W, (B, units, row))
                if skips:
                    next_, n = (G, g + step) if t + 1 < T else (ahead, r * step)
                    _add_kept(G, g, next_, n, keep, G, g, 1.0, step)
                s = r * s_run + t * step
                make_deltas(code, source, s, G, g, D, now, add, step)
                last = now
            rows, is_first, nothing = (stop - start) * B, stop == T, (zeros, 0, 0)
            h, of_x = (before, r * b_run + start * step), (x, r * x_run + start * B * x_row, x_row)
            shape = units, inputs, rows, row
            _sum_up(r, found, D, part, nothing, h, of_x, shape, is_first)
            if in_row:
                into, of_V = (dx, (r * T + start) * B * in_row, in_row), r * units * in_row
                product(into, nothing, (D, 0, row, 1), (V, of_V, in_row), (rows, units, in_row))
            stop = start
        move(after, r * step, D, 0, step)
        move(ahead, r * step, G, r * T * step, step)


@compiled
def _add_kept(out, o, values, v, add, kept_values, k, keep, count):
    """Put ``add`` v + ``keep`` k into so many numbers, whole vectors."""
    for i in range(0, count, BYTES // out.itemsize):
        own = load(kept_values, k + i) * keep
        store(out, o + i, fma(load(values, v + i), add, own))


@compiled
def _sum_up(r, found, D, part, nothing, h, of_x, shape, is_first):
    """Add what a stretch of time gives to the gradients of the weights of a run."""
    (dW, dV, db, _), (units, inputs, rows, row), (x, at, x_row) = found, shape, of_x
    product((part, 0, row), nothing, (D, 0, 1, row), (*h, row), (units, rows, row))
    add_to(dW, r * units * row, part, units * row, is_first)
    product((part, 0, row), nothing, (x, at, 1, x_row), (D, 0, row), (inputs, rows, row))
    add_to(dV, r * inputs * row, part, inputs * row, is_first)
    add_rows(db, r * row, D, rows, row, is_first)
