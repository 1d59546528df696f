"""What is recorded of passes, in one go over what they have left: squares, slopes, products.

Squares are added up in float64, a run and time step at a time in the order of sequences, and of
what fills rows up nothing is counted.
"""

from rnn_exp.networks.kernel.compiling import compiled, kept
from rnn_exp.networks.kernel.functions import gate_slope, slope_at, tanh_slope
from rnn_exp.networks.kernel.gru import gru_deltas
from rnn_exp.networks.kernel.lstm import lstm_deltas
from rnn_exp.networks.kernel.outer import outer_squares
from rnn_exp.networks.kernel.vectors import (
    BYTES,
    arrays_at,
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
def squares_of(like, addresses, run, sizes, found):
    """Fill ``found`` (time, run) with Σ v².

    Args:
        like: an array of the precision.
        addresses: of the numbers v.
        run: numbers from one run to the next.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (values,), (R, T, B, units, row) = arrays_at(like, addresses), sizes
    for r in range(R):
        for t in range(T):
            found[t * R + r] = _squares(values, r * run + t * B * row, B, units, row)


@kept
def elman_measures(like, addresses, runs, spare, kind, sizes, found):
    """Fill ``found`` (what, time, run) with Σ φ', Σ g², ‖Σ_b δ_b h_bᵀ‖² and Σ h².

    Args:
        like: an array of the precision.
        addresses: of h_t, h_{t-1}, φ(u_t) and ∂L/∂h_t, and of room for δ of a step.
        runs: numbers from one run to the next of the first four.
        spare: what `outer_squares` takes.
        kind: the activation's code, whether the cell skips φ, k, a.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (S, h, source, G, D), (s_run, h_run, o_run, g_run) = arrays_at(like, addresses), runs
    (code, _, _, add), (R, T, B, units, row) = kind, sizes
    step, some, rows = B * row, R * T, (B, units, row)
    for r in range(R):
        for t in range(T):
            at, of_h = t * R + r, (h, r * h_run + t * step)
            s, o, g = r * s_run + t * step, r * o_run + t * step, r * g_run + t * step
            sums = _elman_sums(code, add, (S, s), (source, o), (G, g), D, rows)
            found[some + at], found[3 * some + at], found[at] = sums
            found[2 * some + at] = _outer(D, 1, of_h, rows, spare)


@compiled
def _elman_sums(code, add, of_S, of_source, of_G, D, rows):
    """Return Σ g², Σ h² and Σ φ' of a step, and put δ = a φ' g into D, with 0 in what fills up."""
    (S, s), (source, o), (G, g), (B, units, row) = of_S, of_source, of_G, rows
    lanes, nothing = BYTES // G.itemsize, filled(wide(load(G, g)), 0.0)
    is_odd, is_full = row // lanes % 2, row == units
    sums = nothing, nothing, nothing, nothing, nothing
    for b in range(0, B * row, row):
        for j in range(0, row, lanes):
            slope = slope_at(code, load(source, o + b + j))
            own, h = load(G, g + b + j), load(S, s + b + j)
            if units - j < lanes:
                slope, own = first_lanes(slope, units - j), first_lanes(own, units - j)
                h = first_lanes(h, units - j)
                sums = _turned(sums) if is_odd else sums
            store(D, b + j, slope * own * add)
            sums = _added(sums, own, h, slope)
        sums = _turned(sums) if is_odd and is_full else sums
    g_sum, g_other, h_sum, h_other, slopes = sums
    of_g = _lost(lane_sum(g_sum + g_other), G, g, rows)
    return of_g, _lost(lane_sum(h_sum + h_other), S, s, rows), lane_sum(slopes)


@compiled
def _added(sums, g, h, slope):
    """Add a vector of each. Sums of squares take turns: an addition waits for the one before it."""
    g_sum, g_other, h_sum, h_other, slopes = sums
    g, h = wide(g), wide(h)
    return g_other, fma(g, g, g_sum), h_other, fma(h, h, h_sum), slopes + wide(slope)


@compiled
def _turned(sums):
    """Give the other sum of squares its turn. A row begins with the first, and ends the second."""
    g_sum, g_other, h_sum, h_other, slopes = sums
    return g_other, g_sum, h_other, h_sum, slopes


@kept
def gru_measures(like, addresses, runs, spare, sizes, found):
    """Do as `elman_measures`; a block of δ has three rows of units.

    Args:
        like: an array of the precision.
        addresses: of h_t, h_{t-1}, the gates n, r, z, m and ∂L/∂h_t, and of room for δ of a step.
        runs: numbers from one run to the next of the first four.
        spare: what `outer_squares` takes.
        sizes: R, T, B, units, row.
        found: the places.
    """
    (S, h, U, G, D), (s_run, h_run, u_run, g_run) = arrays_at(like, addresses), runs
    R, T, B, units, row = sizes
    step, some, rows, lanes = B * row, R * T, (B, units, row), BYTES // G.itemsize
    for r in range(R):
        for t in range(T):
            at, g, k = t * R + r, r * g_run + t * step, r * h_run + t * step
            found[some + at] = _squares(G, g, *rows)
            found[3 * some + at] = _squares(S, r * s_run + t * step, *rows)
            slopes = filled(wide(load(G, g)), 0.0)
            for b in range(B):
                for j in range(0, row, lanes):
                    u, i, own = r * u_run + 4 * (t * step + b * row) + j, b * row + j, units - j
                    n, of_r, z = load(U, u), load(U, u + row), load(U, u + 2 * row)
                    dh, m = load(G, g + i), load(U, u + 3 * row)
                    slope = gate_slope(of_r) + gate_slope(z) + tanh_slope(n)
                    slopes = slopes + wide(first_lanes(slope, own))
                    _, dr, dz, dm = gru_deltas(dh, n, of_r, z, m, load(h, k + i))
                    store(D, i, first_lanes(dr, own))
                    store(D, step + i, first_lanes(dz, own))
                    store(D, 2 * step + i, first_lanes(dm, own))
            found[at] = lane_sum(slopes)
            found[2 * some + at] = _outer(D, 3, (h, k), rows, spare)


@kept
def lstm_measures(like, addresses, runs, spare, sizes, found):
    """Do as `elman_measures`, with Σ (∂L/∂c)² as the last of what is found.

    Args:
        like: an array of the precision.
        addresses: of h_t, h_{t-1}, c_{t-1}, gates, tanh c, ∂L/∂h_t and ∂L/∂c_t, and of room for δ
            of a step.
        runs: numbers from one run to the next of the first seven.
        spare: what `outer_squares` takes.
        sizes: R, T, B, units, row.
        found: the places.
    """
    S, h, c, U, squashed, G, M, D = arrays_at(like, addresses)
    (s_run, h_run, c_run, u_run, q_run, g_run, m_run), (R, T, B, units, row) = runs, sizes
    step, some, rows = B * row, R * T, (B, units, row)
    for r in range(R):
        for t in range(T):
            at, first = t * R + r, t * step
            g, m, k = r * g_run + first, r * m_run + first, r * h_run + first
            found[some + at], found[4 * some + at] = _squares(G, g, *rows), _squares(M, m, *rows)
            found[3 * some + at] = _squares(S, r * s_run + first, *rows)
            of_c, of_tanh = (c, r * c_run + first), (squashed, r * q_run + first)
            of_gates = U, r * u_run + 4 * first
            found[at] = _lstm_slopes(of_gates, of_c, of_tanh, (G, g, M, m), D, rows)
            found[2 * some + at] = _outer(D, 4, (h, k), rows, spare)


@compiled
def _lstm_slopes(of_gates, of_c, of_tanh, totals, D, rows):
    """Return Σ φ' of a step, and put δ of four gates into D, with 0 in what fills up."""
    (U, u), (c, c_0), (squashed, q), (G, g, M, m), (B, units, row) = (
        of_gates,
        of_c,
        of_tanh,
        totals,
        rows,
    )
    step, slopes, lanes = B * row, filled(wide(load(G, g)), 0.0), BYTES // G.itemsize
    for b in range(0, step, row):
        for j in range(0, row, lanes):
            at, i, own = u + 4 * b + j, b + j, units - j
            o, of_i, f = load(U, at), load(U, at + row), load(U, at + 2 * row)
            of_g = load(U, at + 3 * row)
            slope = gate_slope(o) + gate_slope(of_i) + gate_slope(f) + tanh_slope(of_g)
            slopes = slopes + wide(first_lanes(slope, own))
            gates, tanh_c = (o, of_i, f, of_g), load(squashed, q + i)
            dh, dc, before = load(G, g + i), load(M, m + i), load(c, c_0 + i)
            of_o, of_i, of_f, of_g = lstm_deltas(dh, dc, gates, before, tanh_c)
            store(D, i, first_lanes(of_o, own))
            store(D, step + i, first_lanes(of_i, own))
            store(D, 2 * step + i, first_lanes(of_f, own))
            store(D, 3 * step + i, first_lanes(of_g, own))
    return lane_sum(slopes)


@compiled
def _squares(values, start, rows, units, row):
    """Return Σ v² of so many rows, in float64, as `_lost` has it."""
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
    return _lost(lane_sum(total + other), values, start, (rows, units, row))


@compiled
def _lost(squares, values, start, rows):
    """Return a sum of squares; not 0 where all squares are, but no number is."""
    return _TOO_SMALL if squares == 0.0 and _is_any(values, start, *rows) else squares


@compiled
def _is_any(values, start, rows, units, row):
    """Say whether any number of some rows is not 0."""
    for b in range(rows):
        for j in range(units):
            if values[start + b * row + j] != 0.0:
                return True
    return False


@compiled
def _outer(D, gates, h, rows, room):
    """Return Σ ‖Σ_b δ_b h_bᵀ‖² of the blocks of δ of gates; not 0 where it may be too small."""
    found, is_wide = outer_squares(D, gates, h, rows, room), D.itemsize == 8
    return _TOO_SMALL if found == 0.0 and is_wide and _is_any_of_both(D, gates, h, rows) else found


@compiled
def _is_any_of_both(D, gates, h, rows):
    """Say whether any sequence has both, a number of δ and one of h, that is not 0."""
    (H, at), (B, units, row) = h, rows
    for b in range(B):
        if _is_any(H, at + b * row, 1, units, row):
            for gate in range(gates):
                if _is_any(D, (gate * B + b) * row, 1, units, row):
                    return True
    return False
