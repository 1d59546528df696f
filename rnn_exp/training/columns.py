r"""The recorded columns that have an entry for each layer, time step and run.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. It is kept as log10.

Contributions say what each time step adds to the gradient of W_hh,

    ∂L/∂W_hh = Σ_t C_t,    C_t = Σ_b δ_{t,b} h_{t-1,b}ᵀ,    δ_t = ∂L/∂(W_hh h_{t-1}).

When the gradient vanishes, the C_t of early steps are lost in the sum, although the sum itself may
be of any size (Pascanu, Mikolov & Bengio 2013, eqs. 3–4).

Where each sequence has an end of its own, a row puts together the steps of one lag, counted from
that end (`networks.ends`). Its means are over the sequences that have such a step; its contribution
is the sum over these, so that all of them still add up to ∂L/∂W_hh.

`profile` measures what training has computed, `rescaled_profile` the same norms from gradients
without a floor (`networks.rescaled`).
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells import Cell, Measured, OwnContributions, Totals, Trace
from rnn_exp.networks.ends import ByLag
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.norms import (
    MOST_NUMBERS,
    norm,
    quick_log10_norm,
)
from rnn_exp.networks.rescaled import LayerGradients
from rnn_exp.networks.scaled import LOG10_OF_2
from rnn_exp.networks.truncation import SummedTotals
from rnn_exp.shapes import Float
from rnn_exp.training.measured import (
    Recurrent,
    as_rows,
    log10_contributions,
    log10_norms,
    measured,
)

__all__ = ["profile", "rescaled_late", "rescaled_profile"]


def profile(
    gradients: Gradients,
    cell: Cell,
    late: Iterable[tuple[int, Sequence[Totals]]] = (),
    lags: ByLag | None = None,
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the columns that have an entry a layer, time step and run.

    Args:
        gradients: of an update.
        cell: what computes a layer.
        late: the gradients of the last answer's loss, where there are more answers: after how many
            time steps each piece of them begins, and an entry a layer.
        lags: where the sequences of a run have ends of their own, which step has which lag.

    Returns:
        By column (`schema.TABLES`): log10_total, log10_direct, log10_contribution, saturation,
        state_rms; where there is one log10_memory, log10_late, log10_late_memory.
    """
    given = gradients.forward
    layers = [
        Recurrent(given.parameters, number, given.network.kind.recurrent)
        for number in range(given.network.num_layers)
    ]
    measured = [
        (
            piece.start,
            [
                _layer_profile(trace, direct, totals, cell, layer, lags)
                for trace, direct, totals, layer in zip(*piece[1:], layers, strict=True)
            ],
        )
        for piece in gradients.pieces
    ]
    of_late = [(start, [_layer_late(one, cell) for one in layers]) for start, layers in late]
    return joined(measured) | (joined(of_late) if of_late else {})


def joined(
    pieces: Sequence[tuple[int, list[dict[str, Float[Tensor, "_ run"]]]]],
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return columns whose pieces of time were measured a layer each.

    Args:
        pieces: after how many time steps each begins, and what it has, in any order.
    """
    ordered = [layers for _, layers in sorted(pieces, key=lambda piece: piece[0])]
    return {
        name: _stacked([_one([row[name] for row in own]) for own in zip(*ordered, strict=True)])
        for name in ordered[0][0]
    }


def _one(parts: Sequence[Tensor]) -> Tensor:
    """Return pieces of time as one."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _stacked(layers: Sequence[Tensor]) -> Tensor:
    """Return what layers have, with an axis for them."""
    return layers[0].unsqueeze(0) if len(layers) == 1 else torch.stack(list(layers))


def _layer_late(totals: Totals, cell: Cell) -> dict[str, Float[Tensor, "time run"]]:
    row = {"log10_late": _log10_per_sequence(totals.total, cell)}
    if totals.memory is not None:
        row["log10_late_memory"] = _log10_per_sequence(totals.memory, cell)
    return row


def _layer_profile(
    trace: Trace,
    direct: Tensor,
    totals: Totals,
    cell: Cell,
    recurrent: Recurrent,
    lags: ByLag | None,
) -> dict[str, Float[Tensor, "time run"]]:
    if lags is not None:
        trace, direct = lags.trace(trace), lags.gradient(direct)
        memory = None if totals.memory is None else lags.gradient(totals.memory)
        totals = SummedTotals(lags.gradient(totals.total), memory)
    by_batch = 0.5 * math.log10(direct.shape[-2])
    found = measured(trace, totals, cell, recurrent, alike=lags is None)
    row = {
        "log10_total": found.total + by_batch,
        "log10_direct": _from_the_end(_log10_per_sequence(direct, cell), len(trace.states)),
        "log10_contribution": found.contribution,
        **_of_states(trace, found, cell, lags),
    }
    if found.memory is not None:
        row["log10_memory"] = found.memory + by_batch
    if lags is not None:
        more, means = _for_fewer(lags), ("log10_total", "log10_direct", "log10_memory")
        row |= {name: row[name] + more for name in means if name in row}
    return row


def _of_states(
    trace: Trace, found: Measured, cell: Cell, lags: ByLag | None
) -> dict[str, Float[Tensor, "time run"]]:
    T, R, B, H = trace.states.shape
    if lags is None:
        return {"saturation": found.saturation, "state_rms": found.states / math.sqrt(B * H)}
    there = lags.there
    # Each sequence as a run of its own: what has no step at a lag has no part in the mean.
    alone = (part.reshape(T, R * B, 1, *part.shape[3:]) for part in (*trace[:2], *trace.kept))
    states, before, *kept = alone
    each = cell.saturation(Trace(states, before, tuple(kept))).double().view(T, R, B)
    own = torch.where(there.unsqueeze(-1), trace.states, 0.0)
    return {
        "saturation": torch.where(there, each, 0.0).sum(-1) / lags.counts,
        "state_rms": norm(own) / (lags.counts * H).double().sqrt(),
    }


def _for_fewer(lags: ByLag) -> Float[Tensor, "time run"]:
    """Return what a mean over the sequences that have a step adds to log10 of one over all."""
    return 0.5 * (lags.there.shape[-1] / lags.counts.double()).log10()


def rescaled_profile(
    pieces: Iterable[tuple[int, list[LayerGradients]]],
    until: int,
    cell: Cell,
    name: str,
    lags: ByLag | None = None,
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the norms among the columns of `profile`, whatever their size.

    Args:
        pieces: of time: after how many time steps each begins, and the gradients of every layer.
        until: the last time step whose norms are wanted.
        cell: what computes a layer.
        name: of the recurrent weights.
        lags: as `profile` takes them, of these runs.
    """
    found = []
    for start, layers in pieces:
        if start < until:
            rows = [_rescaled_layer(one, until - start, cell, name, lags) for one in layers]
            found.append((start, rows))
    return joined(found)


def rescaled_late(
    pieces: Iterable[tuple[int, list[LayerGradients]]], until: int
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the norms of the last answer's gradients among the columns of `profile`.

    Args:
        pieces: of time: after how many time steps each begins, and the gradients of every layer by
            that loss alone.
        until: the last time step whose norms are wanted.
    """
    found = []
    for start, layers in pieces:
        if start < until:
            found.append((start, [_rescaled_layer_late(one, until - start) for one in layers]))
    return joined(found)


def _rescaled_layer_late(layer: LayerGradients, until: int) -> dict[str, Float[Tensor, "time run"]]:
    own = layer.totals(0, until)
    row = {"log10_late": _log10_scaled(own.total, own.exponents)}
    if own.memory is not None:
        row["log10_late_memory"] = _log10_scaled(own.memory, own.exponents)
    return row


def _rescaled_layer(
    layer: LayerGradients, until: int, cell: Cell, name: str, lags: ByLag | None
) -> dict[str, Float[Tensor, "time run"]]:
    T, R, B, _ = layer.trace.states.shape
    until = min(until, T)
    layer = layer if lags is None else layer.by_lag(lags)
    found: dict[str, Tensor] = {}
    # A piece of time at a time: widened and multiplied out, a long sequence takes much memory.
    steps = max(1, MOST_NUMBERS // (R * layer.hidden * max(B, layer.hidden)))
    for start in range(0, until, steps):
        stop = min(start + steps, until)
        own, part = layer.totals(start, stop), layer.trace.between(start, stop).double()
        if isinstance(cell, OwnContributions):
            added = as_rows(cell.contributions(part, own, layer.weights, name))
            of_added = quick_log10_norm(added)
        else:
            of_added = log10_contributions(part, cell.deltas(part, own))
        piece = {
            "log10_total": _log10_scaled(own.total, own.exponents),
            "log10_contribution": of_added + own.exponents * LOG10_OF_2,
        }
        if own.memory is not None:
            piece["log10_memory"] = _log10_scaled(own.memory, own.exponents)
        for column, values in piece.items():
            found.setdefault(column, values.new_empty(until, R))[start:stop] = values
    found["log10_direct"] = _from_the_end(_log10_scaled(*layer.direct.aligned()), T)[:until]
    if lags is not None:
        for column in found.keys() - {"log10_contribution"}:
            found[column] = found[column] + _for_fewer(lags)[:until]
    return found


def _log10_scaled(values: Tensor, exponents: Tensor) -> Tensor:
    by_batch = 0.5 * math.log10(values.shape[-2])
    return quick_log10_norm(values) + (by_batch + exponents * LOG10_OF_2)


def _log10_per_sequence(gradient: Tensor, cell: Cell) -> Tensor:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    return log10_norms(gradient, cell) + 0.5 * math.log10(gradient.shape[-2])


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    missing = norms.new_full((T - len(norms), *norms.shape[1:]), -math.inf)
    return torch.cat([missing, norms])
