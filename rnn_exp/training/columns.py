r"""The recorded columns that have an entry for each layer, time step and run.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. It is kept as log10.

Contributions say what each time step adds to the gradient of W_hh,

    ∂L/∂W_hh = Σ_t C_t,    C_t = Σ_b δ_{t,b} h_{t-1,b}ᵀ,    δ_t = ∂L/∂(W_hh h_{t-1}).

When the gradient vanishes, the C_t of early steps are lost in the sum, although the sum itself may
be of any size (Pascanu, Mikolov & Bengio 2013, eqs. 3–4).

`profile` measures what training has computed, `rescaled_profile` the same norms from gradients
without a floor (`networks.rescaled`).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, Cell, Trace
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.norms import log10_norm, norm, quick_log10_norm
from rnn_exp.networks.rescaled import LayerGradients
from rnn_exp.networks.scaled import LOG10_OF_2
from rnn_exp.shapes import Float

__all__ = ["contributions", "log10_contributions", "profile", "rescaled_late", "rescaled_profile"]

# Numbers of all C_t that are held at a time: they are many, and only their norms are wanted.
_MOST_NUMBERS = 1 << 20


def profile(
    gradients: Gradients, cell: Cell, late: list[Adjoint] | None = None
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the columns that have an entry a layer, time step and run.

    Args:
        gradients: of an update.
        cell: what computes a layer.
        late: the adjoints of the last answer's loss, where there are more answers.

    Returns:
        By column (`schema.TABLES`): log10_total, log10_direct, log10_contribution, saturation,
        state_rms; where there is one log10_memory, log10_late, log10_late_memory.
    """
    layers = zip(gradients.traces, gradients.direct, gradients.adjoints, strict=True)
    rows = [_layer_profile(trace, direct, adjoint, cell) for trace, direct, adjoint in layers]
    if late is not None:
        for row, adjoint in zip(rows, late, strict=True):
            row["log10_late"] = _log10_per_sequence(adjoint.total)
            if adjoint.memory is not None:
                row["log10_late_memory"] = _log10_per_sequence(adjoint.memory)
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _layer_profile(
    trace: Trace, direct: Tensor, adjoint: Adjoint, cell: Cell
) -> dict[str, Float[Tensor, "time run"]]:
    T, _, B, H = trace.states.shape
    row = {
        "log10_total": _log10_per_sequence(adjoint.total),
        "log10_direct": _from_the_end(_log10_per_sequence(direct), T),
        "log10_contribution": log10_contributions(trace, cell.deltas(trace, adjoint)),
        "saturation": cell.saturation(trace).double(),
        "state_rms": norm(trace.states) / math.sqrt(B * H),
    }
    if adjoint.memory is not None:
        row["log10_memory"] = _log10_per_sequence(adjoint.memory)
    return row


def rescaled_profile(
    layers: Sequence[LayerGradients], until: int, cell: Cell
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the norms among the columns of `profile`, whatever their size.

    Args:
        layers: the gradients of every layer.
        until: the last time step whose norms are wanted.
        cell: what computes a layer.
    """
    rows = [_rescaled_layer(layer, until, cell) for layer in layers]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def rescaled_late(
    layers: Sequence[LayerGradients], until: int
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the norms of the last answer's gradients among the columns of `profile`.

    Args:
        layers: the gradients of every layer by that loss alone.
        until: the last time step whose norms are wanted.
    """
    totals = [layer.totals(0, until) for layer in layers]
    found = {"log10_late": [_log10_scaled(own.total, own.exponents) for own in totals]}
    memories = [
        _log10_scaled(own.memory, own.exponents) for own in totals if own.memory is not None
    ]
    if memories:
        found["log10_late_memory"] = memories
    return {name: torch.stack(values) for name, values in found.items()}


def _rescaled_layer(
    layer: LayerGradients, until: int, cell: Cell
) -> dict[str, Float[Tensor, "time run"]]:
    T, R, B, _ = layer.trace.states.shape
    found: dict[str, Tensor] = {}
    # A piece of time at a time: widened and multiplied out, a long sequence takes much memory.
    steps = max(1, _MOST_NUMBERS // (R * layer.hidden * max(B, layer.hidden)))
    for start in range(0, until, steps):
        stop = min(start + steps, until)
        own, part = layer.totals(start, stop), layer.trace.between(start, stop).double()
        deltas = cell.deltas(part, own)
        piece = {
            "log10_total": _log10_scaled(own.total, own.exponents),
            "log10_contribution": quick_log10_norm(contributions(part, deltas))
            + own.exponents * LOG10_OF_2,
        }
        if own.memory is not None:
            piece["log10_memory"] = _log10_scaled(own.memory, own.exponents)
        for name, values in piece.items():
            found.setdefault(name, values.new_empty(until, R))[start:stop] = values
    direct = _from_the_end(_log10_scaled(*layer.direct.aligned()), T)[:until]
    return found | {"log10_direct": direct}


def _log10_scaled(values: Tensor, exponents: Tensor) -> Tensor:
    by_batch = 0.5 * math.log10(values.shape[-2])
    return quick_log10_norm(values) + (by_batch + exponents * LOG10_OF_2)


def _log10_per_sequence(gradient: Tensor) -> Tensor:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    return log10_norm(gradient) + 0.5 * math.log10(gradient.shape[-2])


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    return torch.nn.functional.pad(norms, (0, 0, T - len(norms), 0), value=-math.inf)


def contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run gates_hidden hidden"]:
    """Return C_t of every time step; their sum over time is ∂L/∂W_hh."""
    return deltas.mT @ trace.previous_states


def log10_contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run"]:
    """Return log10 ‖C_t‖ (Frobenius) of every time step."""
    T, R, _, G = deltas.shape
    steps = max(1, _MOST_NUMBERS // (R * G * trace.previous_states.shape[-1]))
    # One place for all results, had before the first piece: small blocks of memory that are asked
    # for between large ones keep those from being used again, and the heap grows with every step.
    found = deltas.new_empty(T, R, dtype=torch.float64)
    for start in range(0, T, steps):
        part = trace.between(start, start + steps), deltas[start : start + steps]
        found[start : start + steps] = log10_norm(contributions(*part))
    return found
