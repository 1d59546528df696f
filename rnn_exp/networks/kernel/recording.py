"""What is recorded of a layer's passes by kernels: tensors in, tensors out."""

import torch
from torch import Tensor

from rnn_exp.networks.cells.base import Cell
from rnn_exp.networks.cells.recorded import Measured
from rnn_exp.networks.cells.values import Totals, Trace
from rnn_exp.networks.kernel.measures import squares_of
from rnn_exp.networks.kernel.memory import handed, row_length, rows_of
from rnn_exp.networks.kernel.outer import ROWS
from rnn_exp.networks.kernel.passes import Passes
from rnn_exp.networks.norms import log10_norm, log10_norm_of_product, norm, which_fit
from rnn_exp.shapes import Float, Shaped

__all__ = ["log10_norms", "measured"]

# The Gram form is quicker where it has at most this share of the multiplications (measured).
_GRAM_PAYS = {torch.float32: 0.65, torch.float64: 1.0}
_COPIED = 1 << 18  # numbers


@torch.inference_mode()
def measured(passes: Passes, cell: Cell, trace: Trace, totals: Totals) -> Measured:
    """Return what `Measures.measured` does.

    Args:
        passes: of the cell.
        cell: what computes the layer.
        trace: what the forward pass has left.
        totals: the gradients by its states.
    """
    (T, R, B, H), G, memory = trace.states.shape, totals.total, totals.memory
    row, gates = row_length(H, G.dtype), passes.gates
    by_gram = B * (gates + 1) <= _GRAM_PAYS[G.dtype] * gates * H
    found = G.new_empty(4 + (memory is not None), T, R, dtype=torch.float64)
    ld = row_length(B + ROWS, torch.float64) if by_gram else 0
    room = found.new_zeros(row + (B + ROWS) * (row + 2 * ld) * by_gram)
    of_deltas, spare = G.new_empty(gates * B * row), (room.numpy(), ld, by_gram)
    rows = [rows_of(one, whole_vectors=True) for one in passes.read(trace, totals, row)]
    given = handed(G.dtype, *(one.values for one in rows), of_deltas)
    runs = tuple([one.run for one in rows])
    passes.measure(*given, runs, spare, (R, T, B, H, row), found.view(-1).numpy())
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
    B = values.shape[2]
    # What does not lie as kernels read it is copied: a cacheful at a time costs little memory.
    lies_by_run = values.stride(0) == B * values.stride(2)
    if lies_by_run:
        return _log10_norms(values)
    steps = max(1, _COPIED // max(1, values[:1].numel()))
    return torch.cat([_log10_norms(part) for part in torch.split(values, steps)])


def _log10_norms(values: Float[Tensor, "time run batch hidden"]) -> Float[Tensor, "time run"]:
    (T, R, B, H), rows = values.shape, rows_of(values, whole_vectors=True)
    found = values.new_empty(T, R, dtype=torch.float64)
    sizes = R, T, B, H, row_length(H, values.dtype)
    squares_of(*handed(values.dtype, rows.values), rows.run, sizes, found.view(-1).numpy())
    fits, logs = which_fit(found.sqrt_(), values.dtype), found.log10()
    return logs if fits is None else torch.where(fits, logs, log10_norm(values))


def _of_any_size(
    cell: Cell, trace: Trace, totals: Totals, saturation: Float[Tensor, "time run"]
) -> Measured:
    """Return what is recorded where squares may not fit."""
    return Measured(
        log10_norm(totals.total),
        _log10_contribution(cell, trace, totals),
        saturation,
        norm(trace.states),
        None if totals.memory is None else log10_norm(totals.memory),
    )


def _log10_contribution(cell: Cell, trace: Trace, totals: Totals) -> Float[Tensor, "time run"]:
    return log10_norm_of_product(cell.deltas(trace, totals), trace.previous_states)
