"""What is recorded of a layer's passes by kernels: tensors in, tensors out."""

from typing import Any

import torch
from torch import Tensor

from rnn_exp.networks.cells.gru import GRU
from rnn_exp.networks.cells.lstm import LSTM, Kept
from rnn_exp.networks.cells.values import Measured, Totals, Trace
from rnn_exp.networks.kernel.gated import whole_gates
from rnn_exp.networks.kernel.measures import (
    elman_measures,
    gru_measures,
    lstm_measures,
    squares_of,
)
from rnn_exp.networks.kernel.memory import flat, row_length, rows_of
from rnn_exp.networks.kernel.outer import ROWS
from rnn_exp.networks.kernel.passes import KernelCell, kind_of
from rnn_exp.networks.norms import log10_norm, log10_norm_of_product, norm, which_fit
from rnn_exp.shapes import Float, Shaped

__all__ = ["log10_norms", "measured"]

# The Gram form is quicker where it has at most this share of the multiplications (measured).
_GRAM_PAYS = {torch.float32: 0.6, torch.float64: 1.0}


@torch.inference_mode()
def measured(cell: KernelCell, trace: Trace, totals: Totals) -> Measured:
    """Return what `Measures.measured` does."""
    (T, R, B, H), G, memory = trace.states.shape, totals.total, totals.memory
    row, gates = row_length(H, G.dtype), 1
    if isinstance(cell, GRU | LSTM):
        gates = 3 if isinstance(cell, GRU) else 4
    by_gram = B * (gates + 1) <= _GRAM_PAYS[G.dtype] * gates * H
    found = G.new_empty(4 + (memory is not None), T, R, dtype=torch.float64)
    ld = row_length(B + ROWS, torch.float64) if by_gram else 0
    room = found.new_zeros(row + (B + ROWS) * (row + 2 * ld) * by_gram)
    spare = flat(G.new_empty(gates * B * row)), (flat(room), ld, by_gram)
    _fill(cell, trace, totals, spare, (R, T, B, H, row), flat(found))
    saturation, norms = found[0] / (gates * B * H), found[1:].sqrt_()
    total, contribution, _, *of_memory = norms.log10()
    mine = Measured(total, contribution, saturation, norms[2], *(of_memory or [None]))
    fits = which_fit(norms, G.dtype)
    if fits is None:
        return mine
    # A run must have the same bits whatever runs are beside it: one's own time steps decide.
    return _where(fits, mine, _of_any_size(cell, trace, totals, saturation))


def _where(fits: Shaped[Tensor, "what time run"], mine: Measured, other: Measured) -> Measured:
    """Return what was measured, and of time steps and runs whose squares do not fit the other."""
    total, contribution, states, *of_memory = fits
    memory = mine.memory
    if memory is not None and other.memory is not None:
        memory = torch.where(of_memory[0], memory, other.memory)
    return Measured(
        torch.where(total, mine.total, other.total),
        torch.where(contribution, mine.contribution, other.contribution),
        mine.saturation,
        torch.where(states, mine.states, other.states),
        memory,
    )


@torch.inference_mode()
def log10_norms(values: Float[Tensor, "time run batch hidden"]) -> Float[Tensor, "time run"]:
    """Return log10 of the norms over batch and units (`log10_norm`)."""
    (T, R, B, H), rows = values.shape, rows_of(values, whole_vectors=True)
    found = values.new_empty(T, R, dtype=torch.float64)
    squares_of((rows.flat, rows.run), (R, T, B, H, row_length(H, values.dtype)), flat(found))
    fits, logs = which_fit(found.sqrt_(), values.dtype), found.log10()
    return logs if fits is None else torch.where(fits, logs, log10_norm(values))


def _of_any_size(
    cell: KernelCell, trace: Trace, totals: Totals, saturation: Float[Tensor, "time run"]
) -> Measured:
    """Return what is recorded where squares may not fit."""
    return Measured(
        log10_norm(totals.total),
        _log10_contribution(cell, trace, totals),
        saturation,
        norm(trace.states),
        None if totals.memory is None else log10_norm(totals.memory),
    )


def _log10_contribution(
    cell: KernelCell, trace: Trace, totals: Totals
) -> Float[Tensor, "time run"]:
    return log10_norm_of_product(cell.deltas(trace, totals), trace.previous_states)


def _fill(
    cell: KernelCell,
    trace: Trace,
    totals: Totals,
    spare: tuple[Any, ...],
    sizes: tuple[int, ...],
    found: Any,  # noqa: ANN401 - numpy's arrays have no plain type
) -> None:
    """Have the kernel of a cell measure its passes."""
    states, before, G = (
        rows_of(one, whole_vectors=True)
        for one in (trace.states, trace.previous_states, totals.total)
    )
    of_states, of_before = (states.flat, states.run), (before.flat, before.run)
    of_total = G.flat, G.run
    if isinstance(cell, LSTM):
        if totals.memory is None:
            raise ValueError("the adjoint is of another cell: an LSTM's has ∂L/∂c_t")
        kept = Kept(*trace.kept)
        c, U, squashed, M = (
            rows_of(one, whole_vectors=True)
            for one in (
                kept.c_before,
                whole_gates(kept.gates, sizes[-1]),
                kept.tanh_c,
                totals.memory,
            )
        )
        steps = states, before, c, U, squashed
        arrays, runs = tuple(one.flat for one in steps), tuple(one.run for one in steps)
        lstm_measures(arrays, runs, (*of_total, M.flat, M.run), spare, sizes, found)
    elif isinstance(cell, GRU):
        U = rows_of(whole_gates(trace.kept[0], sizes[-1]), whole_vectors=True)
        gru_measures(of_states, of_before, (U.flat, U.run), of_total, spare, sizes, found)
    else:
        kind = kind_of(cell)
        _, skips, _, _ = kind
        source = rows_of(trace.kept[0], whole_vectors=True) if skips else states
        given = of_states, of_before, (source.flat, source.run), of_total
        elman_measures(*given, spare, kind, sizes, found)
