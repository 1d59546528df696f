"""What is recorded of a layer's passes: by the cell's own quicker way, or by torch."""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import (
    Cell,
    Measured,
    Measures,
    OwnContributions,
    Totals,
    Trace,
)
from rnn_exp.networks.norms import MOST_NUMBERS, log10_norm, log10_norm_of_product, norm
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.truncation import SummedTotals
from rnn_exp.shapes import Float

__all__ = ["Recurrent", "as_rows", "log10_contributions", "log10_norms", "measured"]


class Recurrent(NamedTuple):
    """The weights of a layer through which h_{t-1} comes in: all parameters, its number, a name."""

    parameters: dict[str, Tensor]
    layer: int
    name: str


def measured(
    trace: Trace, totals: Totals, cell: Cell, recurrent: Recurrent, *, alike: bool
) -> Measured:
    """Return what is recorded of a layer's passes.

    Args:
        trace: what the forward pass has left.
        totals: the gradients by its states.
        cell: what computes the layer.
        recurrent: its recurrent weights.
        alike: whether all sequences have all time steps; else the means over them are not wanted.
    """
    if isinstance(cell, Measures):
        return cell.measured(trace, totals)
    nothing = trace.states.new_empty(0, 0, dtype=torch.float64)
    return Measured(
        log10_norm(totals.total),
        _log10_own_contributions(trace, totals, cell, recurrent)
        if isinstance(cell, OwnContributions)
        else log10_contributions(trace, cell.deltas(trace, totals)),
        cell.saturation(trace).double() if alike else nothing,
        norm(trace.states) if alike else nothing,
        None if totals.memory is None else log10_norm(totals.memory),
    )


def log10_norms(
    values: Float[Tensor, "time run batch hidden"], cell: Cell
) -> Float[Tensor, "time run"]:
    """Return log10 of the norms over batch and units, of gradients by the states of a cell."""
    return cell.log10_norms(values) if isinstance(cell, Measures) else log10_norm(values)


def as_rows(weights: Float[Tensor, "time run ..."]) -> Float[Tensor, "time run one k"]:
    """Return any parameter's gradient as a matrix of one row."""
    return weights.flatten(2).unsqueeze(2)


def _log10_own_contributions(
    trace: Trace, totals: Totals, cell: OwnContributions, recurrent: Recurrent
) -> Float[Tensor, "time run"]:
    """Return log10 ‖C_t‖ of every time step, in a cell that gives the C_t itself."""
    (T, R), name = trace.states.shape[:2], recurrent.name
    weights = layer_weights(recurrent.parameters, recurrent.layer)
    steps = max(1, MOST_NUMBERS // (R * weights.named()[name][0].numel()))
    found = trace.states.new_empty(T, R, dtype=torch.float64)
    for start in range(0, T, steps):
        own = slice(start, start + steps)
        memory = None if totals.memory is None else totals.memory[own]
        part = SummedTotals(totals.total[own], memory)
        added = cell.contributions(trace.between(start, start + steps), part, weights, name)
        found[own] = log10_norm(as_rows(added))
    return found


def log10_contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run"]:
    """Return log10 ‖C_t‖ (Frobenius) of every time step."""
    return log10_norm_of_product(deltas, trace.previous_states)
