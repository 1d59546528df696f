"""What is recorded of passes, in one go over what they have left: squares, slopes, products.

Squares are added up in float64, a run and time step at a time in the order of sequences, and of
what fills rows up nothing is counted.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import gate_slope, make_deltas, slope_at, tanh_slope
from rnn_exp.networks.kernel.gru import gru_deltas
from rnn_exp.networks.kernel.lstm import lstm_deltas
from rnn_exp.networks.kernel.tiles import product
from rnn_exp.networks.kernel.vectors import (
    BYTES,
    filled,
    first_lanes,
    fma,
    lane_sum,
    load,
    store,
    wide,
)

__all__ = ["elman_measures", "gru_measures", "lstm_measures", "squares_of"]

_TOO_SMALL = 1e-300  # for squares that are lost in float64


@kept
def squares_of(values, sizes, found):
    """Fill ``found`` (time, run) with Σ v².

    Args:
        values: the array, and numbers from one run to the next.
        sizes: R, T, B, units, row.
    """
    (values, run), (R, T, B, units, row) = values, sizes
    for r in range(R):
        for t in range(T):
            found[t * R + r] = _squares(values, r * run + t * B * row, B, units, row)


@kept
def elman_measures(states, before, source, totals, spare, kind, sizes, found):
    """Fill ``found`` (what, time, run) with Σ g², Σ h², Σ φ' and ‖Σ_b δ_b h_bᵀ‖².

    Args:
        states: h_t, and numbers from one run to the next; as the three that follow.
        before: h_{t-1}.
        source: φ(u_t).
        totals: ∂L/∂h_t.
        spare: room for δ of a step and for a product, or none: it is not wanted; zeros.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (S, s_run), (h, h_run), (source, o_run), (G, g_run) = states, before, source, totals
    (D, part, zeros), (code, _, _, add), (R, T, B, units, row) = spare, kind, sizes
    step, some, rows = B * row, R * T, (B, units, row)
    for r in range(R):
        for t in range(T):
            at, o, g = t * R + r, r * o_run + t * step, r * g_run + t * step
            found[at] = _squares(G, g, *rows)
            found[some + at] = _squares(S, r * s_run + t * step, *rows)
            found[2 * some + at] = _slopes(code, source, o, *rows)
            make_deltas(code, source, o, G, g, D, 0, add, step)
            of_h = h, r * h_run + t * step, row
            found[3 * some + at] = _products(part, zeros, D, 1, of_h, rows)


@kept
def gru_measures(states, before, gates, totals, spare, sizes, found):
    """Do as `elman_measures`; ``gates`` are n, r, z, m, and a block of δ has three rows of units.

    Args:
        states: h_t, and numbers from one run to the next; as the three that follow.
        before: h_{t-1}.
        gates: n, r, z, m.
        totals: ∂L/∂h_t.
        spare: room for δ of a step and for a product, or none: it is not wanted; zeros.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (S, s_run), (h, h_run), (U, u_run), (G, g_run) = states, before, gates, totals
    (D, part, zeros), (R, T, B, units, row) = spare, sizes
    step, some, rows, lanes = B * row, R * T, (B, units, row), BYTES // G.itemsize
    for r in range(R):
        for t in range(T):
            at, g, k = t * R + r, r * g_run + t * step, r * h_run + t * step
            found[at] = _squares(G, g, *rows)
            found[some + at] = _squares(S, r * s_run + t * step, *rows)
            slopes = filled(wide(load(G, g)), 0.0)
            for j in range(0, step, lanes):
                u = r * u_run + 4 * (t * step + j // row * row) + j % row
                n, of_r, z = load(U, u), load(U, u + row), load(U, u + 2 * row)
                dh, m, own = load(G, g + j), load(U, u + 3 * row), units - j % row
                slope = gate_slope(of_r) + gate_slope(z) + tanh_slope(n)
                slopes = slopes + wide(first_lanes(slope, own))
                _, dr, dz, dm = gru_deltas(dh, n, of_r, z, m, load(h, k + j))
                store(D, j, dr)
                store(D, step + j, dz)
                store(D, 2 * step + j, dm)
            found[2 * some + at] = lane_sum(slopes)
            found[3 * some + at] = _products(part, zeros, D, 3, (h, k, row), rows)


@kept
def lstm_measures(trace, runs, totals, spare, sizes, found):
    """Do as `elman_measures`, with Σ (∂L/∂c)² as the last of what is found.

    Args:
        trace: h_t, h_{t-1}, c_{t-1}, gates and tanh c.
        runs: numbers from one run to the next of each of them.
        totals: ∂L/∂h_t, numbers from one run to the next, ∂L/∂c_t, and numbers again.
        spare: room for δ of a step and for a product, or none: it is not wanted; zeros.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (S, h, c, U, squashed), (s_run, h_run, c_run, u_run, q_run) = trace, runs
    (G, g_run, M, m_run), (D, part, zeros), (R, T, B, units, row) = totals, spare, sizes
    step, some, rows, lanes = B * row, R * T, (B, units, row), BYTES // G.itemsize
    for r in range(R):
        for t in range(T):
            at, first = t * R + r, t * step
            g, m, k = r * g_run + first, r * m_run + first, r * h_run + first
            found[at], found[4 * some + at] = _squares(G, g, *rows), _squares(M, m, *rows)
            found[some + at] = _squares(S, r * s_run + first, *rows)
            slopes = filled(wide(load(G, g)), 0.0)
            for j in range(0, step, lanes):
                u = r * u_run + 4 * (first + j // row * row) + j % row
                o, i, f = load(U, u), load(U, u + row), load(U, u + 2 * row)
                of_g, own = load(U, u + 3 * row), units - j % row
                slope = gate_slope(o) + gate_slope(i) + gate_slope(f) + tanh_slope(of_g)
                slopes = slopes + wide(first_lanes(slope, own))
                c_before = load(c, r * c_run + first + j)
                tanh_c = load(squashed, r * q_run + first + j)
                gates = o, i, f, of_g
                deltas = lstm_deltas(load(G, g + j), load(M, m + j), gates, c_before, tanh_c)
                of_o, of_i, of_f, of_g = deltas
                store(D, j, of_o)
                store(D, step + j, of_i)
                store(D, 2 * step + j, of_f)
                store(D, 3 * step + j, of_g)
            found[2 * some + at] = lane_sum(slopes)
            found[3 * some + at] = _products(part, zeros, D, 4, (h, k, row), rows)


@compiled
def _squares(values, start, rows, units, row):
    """Return Σ v² of so many rows, in float64; not 0 where all squares are, but no number is."""
    lanes = BYTES // values.itemsize
    whole = units // lanes * lanes
    total = filled(wide(load(values, start)), 0.0)
    other = total  # two sums at once: an addition waits for the one before it
    for at in range(start, start + rows * row, row):
        for j in range(0, whole - lanes, 2 * lanes):
            v, w = wide(load(values, at + j)), wide(load(values, at + j + lanes))
            total, other = fma(v, v, total), fma(w, w, other)
        if whole % (2 * lanes):
            v = wide(load(values, at + whole - lanes))
            total = fma(v, v, total)
        if whole < units:
            v = wide(first_lanes(load(values, at + whole), units - whole))
            other = fma(v, v, other)
    found = lane_sum(total + other)
    return _TOO_SMALL if found == 0.0 and _is_any(values, start, rows, units, row) else found


@compiled
def _is_any(values, start, rows, units, row):
    """Say whether any number of some rows is not 0."""
    for b in range(rows):
        for j in range(units):
            if values[start + b * row + j] != 0.0:
                return True
    return False


@compiled
def _slopes(code, source, start, rows, units, row):
    """Return Σ φ' of so many rows, in float64."""
    lanes = BYTES // source.itemsize
    total = filled(wide(load(source, start)), 0.0)
    for at in range(start, start + rows * row, row):
        for j in range(0, units, lanes):
            slope = slope_at(code, load(source, at + j))
            total = total + wide(first_lanes(slope, units - j))
    return lane_sum(total)


@compiled
def _products(part, zeros, D, gates, h, rows):
    """Return Σ ‖Σ_b δ_b h_bᵀ‖² of the blocks of δ of gates; 0: there is no room for a product."""
    (B, units, row), found = rows, 0.0
    if part.size == 0:
        return 0.0
    for gate in range(gates):
        delta = D, gate * B * row, 1, row
        product((part, 0, row), (zeros, 0, 0), delta, h, (units, B, row))
        found += _squares(part, 0, units, units, row)
    return found
