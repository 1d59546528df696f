"""The columns that have an entry a time step, of one recorded call.

Rows are counted from each sequence's own end, in the direction in which its layer reads: lag k is k
steps before the last one that is read. The loss is taken as a mean over the batch of B sequences,
so that a norm is the root mean square over the batch of each sequence's own ∂L_b/∂h_t,

    B / √n · ‖∂L/∂h_t‖_F,     n: sequences that have this lag

as it is in the tables of the runs of this package; or as a sum, and then there is no factor B.
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.norms import log10_norm, log10_norm_of_product, norm, norm_statuses
from rnn_exp.networks.scaled import LOG10_OF_2, Scaled
from rnn_exp.probe.adjoints import ADJOINTS, Adjoint
from rnn_exp.probe.backward import Direct, Totals, backward, rescaled_backward
from rnn_exp.probe.replay import Call, Layer, layers_of
from rnn_exp.probe.sequences import Lengths
from rnn_exp.schema import GRADIENT_STATUSES, status_of

__all__ = ["Gradients", "Profile", "profiles_of", "states_of"]

_MARGIN: Final = 3.0  # decades above the smallest normal number, for norms are sums of many
_WIDE_MARGIN: Final = 100.0  # likewise in float64, where what is made of norms has room below them
_OK: Final = GRADIENT_STATUSES.index("ok")
_CARRIED: Final = ("log10_total", "log10_memory")
_NORMS: Final = ("log10_total", "log10_direct", "log10_memory", "log10_contribution")

_Columns = Mapping[str, np.ndarray]


class Gradients(NamedTuple):
    """What autograd hands to a call: the gradients of its output, h_n and c_n; None: none came."""

    output: Tensor | None
    h_n: Tensor | None
    c_n: Tensor | None

    def plus(self, other: "Gradients") -> "Gradients":
        """Return the sum: the same call may be reached by several backward passes."""
        both = zip(self, other, strict=True)
        return Gradients(*(a if b is None else b if a is None else a + b for a, b in both))

    def less(self, other: "Gradients") -> "Gradients":
        """Return what is left without a part of it."""
        both = zip(self, other, strict=True)
        return Gradients(*(a if a is None or b is None else a - b for a, b in both))


class Profile(NamedTuple):
    """The columns of one layer and direction of a call: an array of T entries each, by time."""

    layer: int
    direction: int
    columns: Mapping[str, np.ndarray]


class _Passed(NamedTuple):
    """One layer and direction while the gradient goes back."""

    layer: Layer
    direction: int
    adjoint: Adjoint
    totals: Totals
    outside: Direct


_Through = Callable[[Adjoint, Direct], Totals]


@torch.no_grad()
def profiles_of(
    call: Call, gradients: Gradients, *, is_mean: bool, outside: Gradients | None = None
) -> list[Profile]:
    """Return the columns of every layer and direction of a call, the top layer first.

    Args:
        call: of a module.
        gradients: what autograd handed to it.
        is_mean: whether the loss is a mean over the batch.
        outside: those without what a call that goes on from its end has handed back; None: there
            is no such call. The column of the direct parts is of these.

    Raises:
        RecorderError: if the masks of dropout could not be drawn again.
    """
    layers = layers_of(call, check=call.generator is not None)
    outside = gradients if outside is None else outside
    factor = call.layout.lengths.batch if is_mean else 1
    floor = _floor(call.dtype) + _MARGIN

    def measured(dtype: torch.dtype, through: _Through) -> list[tuple[_Passed, _Columns]]:
        passes = _back(call, layers, (gradients, outside), dtype, through)
        return [(passed, _columns(passed, call.layout.lengths, factor)) for passed in passes]

    seen = true = measured(call.dtype, backward)
    if _is_lost(true, floor):
        if call.dtype != torch.float64:
            true = measured(torch.float64, backward)
        if call.dtype == torch.float64 or _is_lost(true, _floor(torch.float64) + _WIDE_MARGIN):
            true = measured(torch.float64, rescaled_backward)
    return [
        Profile(passed.layer.number, passed.direction, _with_statuses(own, exact, floor))
        for (passed, own), (_, exact) in zip(seen, true, strict=True)
    ]


def _floor(dtype: torch.dtype) -> float:
    return math.log10(torch.finfo(dtype).tiny)


@torch.no_grad()
def states_of(call: Call) -> list[Profile]:
    """Return the size of the states of every layer and direction of a call, the first layer first.

    Args:
        call: of a module.
    """
    lengths, found = call.layout.lengths, []
    for layer in layers_of(call):
        for direction in range(1 + call.module.bidirectional):
            states = layer.given(direction).states
            size = _size(states, lengths, lengths.count_by_lag(states.device)).cpu().numpy()
            found.append(Profile(layer.number, direction, {"state_rms": size}))
    return found


def _size(states: Tensor, lengths: Lengths, there: Tensor) -> Tensor:
    return norm(lengths.by_lag(states)) / (there * states.shape[-1]).sqrt()


def _back(
    call: Call,
    layers: list[Layer],
    handed: tuple[Gradients, Gradients],
    dtype: torch.dtype,
    through: _Through,
) -> Iterator[_Passed]:
    """Go back through the layers of a call, in a precision and with or without a floor.

    ``handed``: all gradients, and those that no call after this one has handed back.
    """
    gradients, outside = handed
    directions = 1 + call.module.bidirectional
    lengths, kind = call.layout.lengths, ADJOINTS[call.module.mode]
    of_output = gradients.output
    if of_output is None:
        of_output = torch.zeros_like(call.output)
    onto = _Onto(call.layout.padded(of_output).to(dtype), None)
    for layer in reversed(layers):
        below: list[_Onto] = []
        for direction in range(directions):
            own = onto.part(direction, directions)
            if direction:
                own = own.turned(lengths)
            place = layer.number * directions + direction
            direct = read = _with_last(own, call, gradients, place)
            if outside is not gradients:
                read = _with_last(own, call, outside, place)
            adjoint = kind(layer.given(direction).to(dtype))
            totals = through(adjoint, direct)
            yield _Passed(layer, direction, adjoint, totals, read)
            if layer.number:
                of_x = _Onto(adjoint.onto_inputs(totals.total), totals.exponents)
                below.append(of_x.turned(lengths) if direction else of_x)
        if layer.number:
            mask = layers[layer.number - 1].mask
            onto = functools.reduce(_Onto.plus, below)
            if mask is not None:
                onto = onto.times(call.layout.padded(mask))


class _Onto(NamedTuple):
    """What the outputs of a layer receive, at every time step, times 2 to a power."""

    values: Tensor
    exponents: Tensor | None

    def part(self, direction: int, directions: int) -> "_Onto":
        return self._replace(values=self.values.chunk(directions, dim=-1)[direction])

    def turned(self, lengths: Lengths) -> "_Onto":
        exponents = self.exponents
        if exponents is not None:
            exponents = lengths.turned(exponents.unsqueeze(-1)).squeeze(-1)
        return _Onto(lengths.turned(self.values), exponents)

    def plus(self, other: "_Onto") -> "_Onto":
        if self.exponents is None or other.exponents is None:
            return _Onto(self.values + other.values, None)
        both = (Scaled(self.values, self.exponents), Scaled(other.values, other.exponents))
        return _Onto(*both[0].plus(both[1]))

    def times(self, mask: Tensor) -> "_Onto":
        return self._replace(values=self.values * mask)


def _with_last(own: _Onto, call: Call, gradients: Gradients, place: int) -> Direct:
    """Add what h_n and c_n receive, at the last step of each sequence."""
    lengths, layout, total = call.layout.lengths, call.layout, own.values
    last, memory = (
        None if part is None else lengths.at_end(layout.hidden(part)[place].to(total.dtype))
        for part in (gradients.h_n, gradients.c_n)
    )
    if own.exponents is None:
        return Direct(total if last is None else total + last, memory)
    received = Scaled(total.clone(), own.exponents)
    if last is not None:
        received = received.plus(Scaled.of(last))
    if memory is None:
        return Direct(received.values, None, received.exponents)
    # Both share the exponents: h_t's numbers first, c_t's behind them.
    wide = torch.cat([received.values, torch.zeros_like(memory)], dim=-1)
    behind = torch.cat([torch.zeros_like(received.values), memory], dim=-1)
    values, exponents = Scaled(wide, received.exponents).plus(Scaled.of(behind))
    hidden = total.shape[-1]
    return Direct(values[..., :hidden], values[..., hidden:], exponents)


def _columns(passed: _Passed, lengths: Lengths, factor: float) -> _Columns:
    """Return what is measured at every time step: rows by lag, the largest first."""
    adjoint, totals, outside = passed.adjoint, passed.totals, passed.outside
    states = adjoint.given.states
    there = lengths.count_by_lag(states.device)
    per_sequence = math.log10(factor) - 0.5 * there.log10()
    columns = {
        "log10_total": _log10(totals.total, totals.exponents, lengths) + per_sequence,
        "log10_direct": _log10(outside.total, outside.exponents, lengths) + per_sequence,
        "log10_contribution": _log10_contributions(totals, adjoint.previous, lengths),
        "saturation": _mean(adjoint.slopes, lengths, there),
        "state_rms": _size(states, lengths, there),
    }
    if totals.memory is not None:
        columns["log10_memory"] = _log10(totals.memory, totals.exponents, lengths) + per_sequence
    # Of a GPU all is fetched at once.
    return dict(zip(columns, torch.stack([*columns.values()]).cpu().numpy(), strict=True))


def _mean(parts: Sequence[Tensor], lengths: Lengths, there: Tensor) -> Tensor:
    """Return the mean over sequences, units and gates."""
    sums = [lengths.by_lag(part).sum((1, 2), dtype=torch.float64) for part in parts]
    return torch.stack(sums).sum(0) / (there * sum(part.shape[-1] for part in parts))


def _log10(values: Tensor, exponents: Tensor | None, lengths: Lengths) -> Tensor:
    if exponents is None:
        return log10_norm(lengths.by_lag(values))
    aligned, powers = Scaled(lengths.by_lag(values), lengths.exponents_by_lag(exponents)).aligned()
    return log10_norm(aligned) + powers * LOG10_OF_2


def _log10_contributions(totals: Totals, previous: Tensor, lengths: Lengths) -> Tensor:
    """Return log10 of the Frobenius norm of what each time step adds to ∂L/∂W_hh."""
    deltas, powers, states = lengths.by_lag(totals.deltas), None, lengths.by_lag(previous)
    if totals.exponents is not None:
        exponents = lengths.exponents_by_lag(totals.exponents)
        deltas, powers = Scaled(deltas, exponents).aligned()
    norms = log10_norm_of_product(deltas, states)
    return norms if powers is None else norms + powers * LOG10_OF_2


def _is_lost(measured: Sequence[tuple[_Passed, _Columns]], floor: float) -> bool:
    """Say whether a norm of a layer is too small for its digits, or not finite."""
    return any(
        bool((_has_begun(values) & ((values < floor) | ~(values < math.inf))).any())
        for _, columns in measured
        for name, values in columns.items()
        if name in _CARRIED
    )


def _has_begun(norms: np.ndarray) -> np.ndarray:
    """Say of which time steps there is a loss at or after them: before that a zero is one."""
    begun: np.ndarray = np.logical_or.accumulate(norms[::-1] != -math.inf)[::-1]
    return begun


def _with_statuses(seen: _Columns, true: _Columns, floor: float) -> dict[str, np.ndarray]:
    """Return the columns with their true norms, and what training saw of each beside it."""
    names = [name for name in _NORMS if name in seen]
    values, exact = (
        torch.from_numpy(np.stack([each[name] for name in names])) for each in (seen, true)
    )
    small, nowhere = values < floor, torch.zeros(values.shape, dtype=torch.bool)
    given = (each.unsqueeze(-1) for each in (values, exact, small, ~nowhere, nowhere))
    statuses = norm_statuses(*given).squeeze(-1)
    norms = torch.where(statuses == _OK, values, exact).numpy()
    found = dict(seen)
    for name, norm_of, status in zip(names, norms, statuses.numpy(), strict=True):
        found[name], found[status_of(name)] = norm_of, status
    return found
