"""The passes of an LSTM: c_t = f c_{t-1} + i g, h_t = o tanh c_t, gates in the order o, i, f, g.

Arrays are flat, as in `elman`; a row of gates is four rows of units, each filled up to whole
vectors.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import gate_slope, sigmoid, tanh, tanh_slope
from rnn_exp.networks.kernel.products import sum_gates, through_gates
from rnn_exp.networks.kernel.rows import in_half_vectors, move
from rnn_exp.networks.kernel.tiles import product
from rnn_exp.networks.kernel.vectors import BYTES, arrays_at, fma, load, store

__all__ = ["lstm_adjoint", "lstm_deltas", "lstm_forward"]


@kept
def lstm_forward(like, addresses, distances, sizes):
    """Fill the states of all runs.

    Args:
        like: an array of the precision.
        addresses: of inputs x; of V (run, input, 4 row), bias (run, 4 row), W (run, unit, 4 row),
            transposed; of h (run, T + 1, batch, row), h_0 is there; of c in the same way; of gates
            (run, T, batch, 4 row) and tanh c (run, T, batch, row).
        distances: numbers from one run to the next of x, and from one row to the next.
        sizes: R, T, B, inputs, units, row.
    """
    x, V, bias, W, S, C, U, squashed = arrays_at(like, addresses)
    (x_run, x_row), (R, T, B, inputs, units, row) = distances, sizes
    step, gates = B * row, 4 * row
    for r in range(R):
        for t in range(T):
            before, now = (r * (T + 1) + t) * step, (r * T + t) * step
            u = U, 4 * now, gates
            of_x = x, r * x_run + t * B * x_row, x_row, 1
            of_V, of_b = (V, r * inputs * gates, gates), (bias, r * gates, 0)
            product(u, of_b, of_x, of_V, (B, inputs, gates))
            h, of_W = (S, before, row, 1), (W, r * units * gates, gates)
            product(u, u, h, of_W, (B, units, gates))
            _open_gates(U, 4 * now, S, C, before, step, squashed, now, B, row)


@compiled
def _open_gates(U, u, S, C, before, step, squashed, now, B, row):
    """Make gates of pre-activations, and h and c of the step, which lie behind those before it."""
    for b in range(B):
        for j in range(0, row, BYTES // S.itemsize):
            q, k = u + 4 * b * row + j, b * row + j
            o, i, f = sigmoid(load(U, q)), sigmoid(load(U, q + row)), sigmoid(load(U, q + 2 * row))
            g = tanh(load(U, q + 3 * row))
            c = fma(f, load(C, before + k), i * g)
            tanh_c = tanh(c)
            store(U, q, o)
            store(U, q + row, i)
            store(U, q + 2 * row, f)
            store(U, q + 3 * row, g)
            store(C, before + step + k, c)
            store(squashed, now + k, tanh_c)
            store(S, before + step + k, o * tanh_c)


@kept
def lstm_adjoint(like, addresses, distances, sizes):
    """Fill the places of ∂L/∂h_t and ∂L/∂c_t, of gradients of weights and inputs, as in `elman`.

    Args:
        like: an array of the precision.
        addresses: of inputs x, h_{t-1}, c_{t-1}, gates and tanh c; of W (run, gate, unit, row) and
            V (the same of inputs); of ∂L/∂h (run, T, batch, row), with the direct parts from
            ``known`` on, nothing before, and of ∂L/∂c; of δ (run, batch, 4 row) and f ∂L/∂c of the
            step after the last, then of the first; of room for δ (chunk + 1, batch, 4 row), for a
            product, and of zeros; of dW as W, dV (run, input, 4 row), db (run, 4 row) and dx (run,
            T, batch, row of dx).
        distances: numbers from one run to the next of x, h, c, gates, tanh c; from one row of x to
            the next; length of a row of V and dx, 0: no dx.
        sizes: R, T, B, inputs, units, row, known, and the steps of a stretch.
    """
    x, h, c, U, squashed, W, V, G, M, after, carried, D, part, zeros, dW, dV, db, dx = arrays_at(
        like, addresses
    )
    x_run, h_run, c_run, u_run, s_run, x_row, in_row = distances
    R, T, B, inputs, units, row, known, chunk = sizes
    step, gates, matrix = B * row, 4 * row, units * row
    of_step = B, units, in_half_vectors(units, G.itemsize)
    for r in range(R):
        last, stop = chunk * 4 * step, T
        move(D, last, after, 4 * r * step, 4 * step)
        while stop > 0:
            start = (stop - 1) // chunk * chunk
            if stop < T:
                last = chunk * 4 * step
                move(D, last, D, 0, 4 * step)
            for t in range(stop - 1, start - 1, -1):
                g, now, given = (r * T + t) * step, (t - start) * 4 * step, (zeros, 0, 0)
                if t >= known:
                    given = (G, (r * T + t) * step, row)
                deltas, of_W = (D, last, row, gates), (W, 4 * r * matrix, matrix, row)
                through_gates((G, g, row), given, deltas, of_W, 4, of_step)
                u, k, s = r * u_run + 4 * t * step, r * c_run + t * step, r * s_run + t * step
                places = D, now, U, u, c, k, squashed, s
                _make_deltas(G, M, g, carried, r * step, *places, B, row)
                last = now
            rows, is_first, nothing = (stop - start) * B, stop == T, (zeros, 0, 0)
            before, of_x = (h, r * h_run + start * step), (x, r * x_run + start * B * x_row, x_row)
            shape = units, inputs, rows, row
            sum_gates(r, (dW, dV, db), D, part, nothing, before, of_x, shape, (4, 0), is_first)
            if in_row:
                into, size = (dx, (r * T + start) * B * in_row, in_row), units * in_row
                deltas, of_V = (D, 0, row, gates), (V, 4 * r * size, size, in_row)
                through_gates(into, nothing, deltas, of_V, 4, (rows, units, in_row))
            stop = start
        move(after, 4 * r * step, D, 0, 4 * step)


@compiled
def _make_deltas(G, M, g, carried, at, D, d, U, u, C, c, squashed, s, B, row):
    """Put δ of the gates into D, ∂L/∂c into M, and what it hands on into ``carried``."""
    for b in range(B):
        for j in range(0, row, BYTES // G.itemsize):
            k, q, p = b * row + j, u + 4 * b * row + j, d + 4 * b * row + j
            o, i, f = load(U, q), load(U, q + row), load(U, q + 2 * row)
            candidate, tanh_c, dh = load(U, q + 3 * row), load(squashed, s + k), load(G, g + k)
            dc = fma(dh * o, tanh_slope(tanh_c), load(carried, at + k))
            store(M, g + k, dc)
            store(carried, at + k, f * dc)
            gates = o, i, f, candidate
            of_o, of_i, of_f, of_g = lstm_deltas(dh, dc, gates, load(C, c + k), tanh_c)
            store(D, p, of_o)
            store(D, p + row, of_i)
            store(D, p + 2 * row, of_f)
            store(D, p + 3 * row, of_g)


@compiled
def lstm_deltas(dh, dc, gates, c, tanh_c):
    """Return δ of o, i, f, g from ∂L/∂h and ∂L/∂c, c of the step before, and tanh c."""
    o, i, f, g = gates
    of_o = dh * tanh_c * gate_slope(o)
    of_i = dc * g * gate_slope(i)
    of_f = dc * c * gate_slope(f)
    return of_o, of_i, of_f, dc * i * tanh_slope(g)
