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
from rnn_exp.networks.kernel.passes import KernelCell, kind_of
from rnn_exp.networks.norms import log10_norm, log10_norm_of_product, log10_of_norms, norm
from rnn_exp.shapes import Float

__all__ = ["log10_norms", "measured"]

# The Gram form (`networks.norms`), in torch, is quicker than products by kernels where it has at
# most this share of the multiplications (measured).
_GRAM_PAYS = 0.15


@torch.inference_mode()
def measured(cell: KernelCell, trace: Trace, totals: Totals) -> Measured:
    """Return what `Measures.measured` does."""
    (T, R, B, H), G, memory = trace.states.shape, totals.total, totals.memory
    row, gates = row_length(H, G.dtype), 1
    if isinstance(cell, GRU | LSTM):
        gates = 3 if isinstance(cell, GRU) else 4
    multiplied = B * (gates + 1) > _GRAM_PAYS * gates * H
    found = G.new_empty(5, T, R, dtype=torch.float64)
    spare = G.new_empty(gates * B * row), G.new_empty(H * row * multiplied), G.new_zeros(row)
    _fill(cell, trace, totals, tuple(map(flat, spare)), (R, T, B, H, row), flat(found))
    saturation = found[2] / (gates * B * H)
    found[2] = 1.0
    if memory is None:
        found[4] = 1.0
    if not multiplied:
        found[3] = 1.0
    norms = found.sqrt_()
    logs = log10_of_norms(norms, G.dtype)
    if logs is None:
        return _of_any_size(cell, trace, totals, saturation)
    return Measured(
        logs[0],
        logs[3] if multiplied else _log10_contribution(cell, trace, totals),
        saturation,
        norms[1],
        None if memory is None else logs[4],
    )


@torch.inference_mode()
def log10_norms(values: Float[Tensor, "time run batch hidden"]) -> Float[Tensor, "time run"]:
    """Return log10 of the norms over batch and units (`log10_norm`)."""
    (T, R, B, H), rows = values.shape, rows_of(values, whole_vectors=True)
    found = values.new_empty(T, R, dtype=torch.float64)
    squares_of((rows.flat, rows.run), (R, T, B, H, row_length(H, values.dtype)), flat(found))
    logs = log10_of_norms(found.sqrt_(), values.dtype)
    return log10_norm(values) if logs is None else logs


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
