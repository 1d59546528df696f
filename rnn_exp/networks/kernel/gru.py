"""The passes of a GRU: h_t = n + z (h_{t-1} − n), n = tanh(u_n + r m), m = W_n h_{t-1} + b'_n.

Arrays are flat, as in `elman`; a row of gates is four rows of units, each filled up to whole
vectors, in the order n, r, z, m: the first three read the inputs, the last three the state.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import gate_slope, sigmoid, tanh, tanh_slope
from rnn_exp.networks.kernel.products import sum_gates, through_gates
from rnn_exp.networks.kernel.rows import in_half_vectors, move
from rnn_exp.networks.kernel.tiles import product
from rnn_exp.networks.kernel.vectors import BYTES, arrays_at, fma, load, store

__all__ = ["gru_adjoint", "gru_deltas", "gru_forward"]


@kept
def gru_forward(like, addresses, distances, sizes):
    """Fill the states of all runs.

    Args:
        like: an array of the precision.
        addresses: of inputs x; of V (run, input, 3 row) of n, r, z, bias (run, 4 row), W (run,
            unit, 3 row) of r, z, m, transposed; of h (run, T + 1, batch, row), h_0 is there; of
            n, r, z, m (run, T, batch, 4 row).
        distances: numbers from one run to the next of x, and from one row to the next.
        sizes: R, T, B, inputs, units, row.
    """
    x, V, bias, W, S, U = arrays_at(like, addresses)
    (x_run, x_row), (R, T, B, inputs, units, row) = distances, sizes
    step, gates, three = B * row, 4 * row, 3 * row
    for r in range(R):
        of_bias, of_W = r * gates, r * units * three
        for t in range(T):
            before, u = (r * (T + 1) + t) * step, 4 * (r * T + t) * step
            of_x, of_V = (x, r * x_run + t * B * x_row, x_row, 1), (V, r * inputs * three, three)
            product((U, u, gates), (bias, of_bias, 0), of_x, of_V, (B, inputs, three))
            h, of_gates = (S, before, row, 1), (U, u + row, gates)
            product(of_gates, of_gates, h, (W, of_W, three), (B, units, 2 * row))
            of_m, start = (U, u + three, gates), (bias, of_bias + three, 0)
            product(of_m, start, h, (W, of_W + 2 * row, three), (B, units, row))
            _open_gates(U, u, S, before, step, B, row)


@compiled
def _open_gates(U, u, S, before, step, B, row):
    """Make gates of pre-activations, and h of the step, which lies behind that before it."""
    for b in range(B):
        for j in range(0, row, BYTES // S.itemsize):
            q, k = u + 4 * b * row + j, before + b * row + j
            r, z = sigmoid(load(U, q + row)), sigmoid(load(U, q + 2 * row))
            n = tanh(fma(r, load(U, q + 3 * row), load(U, q)))
            store(U, q, n)
            store(U, q + row, r)
            store(U, q + 2 * row, z)
            store(S, k + step, fma(z, load(S, k) - n, n))


@kept
def gru_adjoint(like, addresses, distances, sizes):
    """Fill the places of ∂L/∂h_t, of gradients of weights and inputs, as in `elman`.

    Args:
        like: an array of the precision.
        addresses: of inputs x, h_{t-1}, gates n, r, z, m; of W (run, gate, unit, row) of r, z, m
            and V (the same of inputs, of n, r, z); of ∂L/∂h (run, T, batch, row), with the direct
            parts from ``known`` on, nothing before; of δ (run, batch, 4 row) and z ∂L/∂h of the
            step after the last, then of the first; of room for δ (chunk + 1, batch, 4 row), for a
            product, and of zeros; of dW as W, dV (run, input, 3 row), db (run, 4 row) and dx (run,
            T, batch, row of dx).
        distances: numbers from one run to the next of x, h and gates; from one row of x to the
            next; length of a row of V and dx, 0: no dx.
        sizes: R, T, B, inputs, units, row, known, and the steps of a stretch.
    """
    x, h, U, W, V, G, after, carried, D, part, zeros, dW, dV, db, dx = arrays_at(like, addresses)
    x_run, h_run, u_run, x_row, in_row = distances
    R, T, B, inputs, units, row, known, chunk = sizes
    step, wide, matrix, nothing = B * row, 4 * row, units * row, (zeros, 0, 0)
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
                g, now, given = (r * T + t) * step, (t - start) * 4 * step, nothing
                if t >= known:
                    given = (G, (r * T + t) * step, row)
                deltas, of_W = (D, last + row, row, wide), (W, 3 * r * matrix, matrix, row)
                through_gates((G, g, row), given, deltas, of_W, 3, of_step)
                u, k = r * u_run + 4 * t * step, r * h_run + t * step
                _make_deltas(G, g, carried, r * step, D, now, U, u, h, k, B, row)
                last = now
            rows, is_first = (stop - start) * B, stop == T
            of_h, of_x = (h, r * h_run + start * step), (x, r * x_run + start * B * x_row, x_row)
            shape = units, inputs, rows, row
            sum_gates(r, (dW, dV, db), D, part, nothing, of_h, of_x, shape, (3, 1), is_first)
            if in_row:
                into, size = (dx, (r * T + start) * B * in_row, in_row), units * in_row
                deltas, of_V = (D, 0, row, wide), (V, 3 * r * size, size, in_row)
                through_gates(into, nothing, deltas, of_V, 3, (rows, units, in_row))
            stop = start
        move(after, 4 * r * step, D, 0, 4 * step)


@compiled
def _make_deltas(G, g, carried, at, D, d, U, u, S, s, B, row):
    """Complete ∂L/∂h in G, put δ of n, r, z, m into D, and what ∂L/∂h hands on into ``carried``."""
    for b in range(B):
        for j in range(0, row, BYTES // G.itemsize):
            k, q, p = b * row + j, u + 4 * b * row + j, d + 4 * b * row + j
            n, r, z, m = load(U, q), load(U, q + row), load(U, q + 2 * row), load(U, q + 3 * row)
            dh = load(G, g + k) + load(carried, at + k)
            store(G, g + k, dh)
            store(carried, at + k, z * dh)
            dn, dr, dz, dm = gru_deltas(dh, n, r, z, m, load(S, s + k))
            store(D, p, dn)
            store(D, p + row, dr)
            store(D, p + 2 * row, dz)
            store(D, p + 3 * row, dm)


@compiled
def gru_deltas(dh, n, r, z, m, h):
    """Return δ of n, r, z, m from ∂L/∂h, and h of the step before."""
    slope = tanh_slope(n)
    dn = dh * fma(0.0 - z, slope, slope)
    dm = r * dn
    return dn, dm * m * (1.0 - r), dh * (h - n) * gate_slope(z), dm
