"""The passes of h_t = k h_{t-1} + a φ(u_t), u_t = W h_{t-1} + V x_t + b; plain: k = 0, a = 1.

Arrays are flat. Of a run there follow time, sequence and unit; a row of units is filled up to whole
vectors, ``row`` numbers. What a matrix holds beyond its own columns is never read as a number of
another row.
"""

from rnn_exp.networks.kernel.compiling import kept
from rnn_exp.networks.kernel.functions import activate, make_deltas
from rnn_exp.networks.kernel.tiles import add_rows, add_to, move, product
from rnn_exp.networks.kernel.vectors import BYTES, fma, load, store

__all__ = ["elman_adjoint", "elman_forward"]


@kept
def elman_forward(
    x, V, bias, W, S, U, code, skips, keep, add, R, T, B, inputs, units, row, x_row, x_run
):
    """Fill S (run, T + 1, batch, row), of which h_0 is given; and U (run, T, batch, row) with φ(u).

    U is filled only if the cell ``skips`` φ; it is no part of S then.

    x: rows of ``x_row`` numbers, runs ``x_run`` apart; V (run, input, row), W (run, unit, row):
    transposed; bias (run, row).
    """
    step, lanes = B * row, BYTES // S.itemsize
    for r in range(R):
        for t in range(T):
            before = (r * (T + 1) + t) * step
            after = before + step
            out, o = (U, (r * T + t) * step) if skips else (S, after)
            at = r * x_run + t * B * x_row
            product(
                out,
                o,
                row,
                bias,
                r * row,
                0,
                x,
                at,
                x_row,
                1,
                V,
                r * inputs * row,
                row,
                B,
                inputs,
                row,
            )
            product(
                out, o, row, out, o, row, S, before, row, 1, W, r * units * row, row, B, units, row
            )
            activate(code, out, o, step)
            if skips:
                for i in range(0, step, lanes):
                    store(S, after + i, fma(load(out, o + i), add, load(S, before + i) * keep))


@kept
def elman_adjoint(
    x,
    x_row,
    x_run,
    before,
    b_run,
    source,
    s_run,
    W,
    V,
    in_row,
    G,
    later,
    ahead,
    D,
    part,
    zeros,
    ones,
    squares,
    dW,
    dV,
    db,
    of_x,
    code,
    skips,
    keep,
    add,
    R,
    T,
    B,
    inputs,
    units,
    row,
    known,
    chunk,
):
    """Fill G with ∂L/∂h_t, dW, dV, db and of_x with the gradients of weights and inputs.

    Those of the weights are sums over stretches of time, and then of these.

    ``before`` has h_{t-1}, ``source`` what φ' is computed from: φ(u_t).
    G (run, T, batch, row) holds the direct parts from step ``known`` on, and nothing before.
    ``later`` and ``ahead`` (run, batch, row) are δ and ∂L/∂h of the step after the last, and become
    those of the first. D (chunk + 1, batch, row) is room for δ of a stretch, ``part`` for a
    product; ``squares`` (run, T) gets Σ g².
    """
    step, lanes = B * row, BYTES // G.itemsize
    for r in range(R):
        move(D, chunk * step, later, r * step, step)
        after, stop = chunk * step, T
        while stop > 0:
            start = (stop - 1) // chunk * chunk
            if stop < T:
                move(D, chunk * step, D, 0, step)
                after = chunk * step
            for t in range(stop - 1, start - 1, -1):
                g, now = (r * T + t) * step, (t - start) * step
                given, p, ldp = (G, g, row) if t >= known else (zeros, 0, 0)
                product(
                    G,
                    g,
                    row,
                    given,
                    p,
                    ldp,
                    D,
                    after,
                    row,
                    1,
                    W,
                    r * units * row,
                    row,
                    B,
                    units,
                    row,
                )
                if skips:
                    next_, n = (G, g + step) if t + 1 < T else (ahead, r * step)
                    for i in range(0, step, lanes):
                        store(G, g + i, fma(load(next_, n + i), keep, load(G, g + i)))
                s = r * s_run + t * step
                squares[r * T + t] = make_deltas(code, source, s, G, g, D, now, ones, add, B, row)
                after = now
            rows, first = (stop - start) * B, stop == T
            product(
                part,
                0,
                row,
                zeros,
                0,
                0,
                D,
                0,
                1,
                row,
                before,
                r * b_run + start * step,
                row,
                units,
                rows,
                row,
            )
            add_to(dW, r * units * row, part, units * row, first)
            product(
                part,
                0,
                row,
                zeros,
                0,
                0,
                x,
                r * x_run + start * B * x_row,
                1,
                x_row,
                D,
                0,
                row,
                inputs,
                rows,
                row,
            )
            add_to(dV, r * inputs * row, part, inputs * row, first)
            add_rows(db, r * row, D, rows, row, first)
            if in_row:
                product(
                    of_x,
                    (r * T + start) * B * in_row,
                    in_row,
                    zeros,
                    0,
                    0,
                    D,
                    0,
                    row,
                    1,
                    V,
                    r * units * in_row,
                    in_row,
                    rows,
                    units,
                    in_row,
                )
            stop = start
        move(later, r * step, D, 0, step)
        move(ahead, r * step, G, r * T * step, step)
