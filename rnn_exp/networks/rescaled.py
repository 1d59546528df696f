r"""∂L/∂h_t of every layer and time step, however small or large: the adjoint without its floor.

The adjoint is linear in the gradient: after every step back, a power of two is taken out of each
sequence's gradient and kept beside it (`scaled`). States and weights are those that training had,
widened to float64; from them come the loss's own gradient and every step's factors. Where a state
is infinite or NaN, so is everything that passes through it: NaN.

Within one sequence and time step numbers share an exponent: what is 1e-300 times the largest of
them is lost. Training never sees any of this.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Cell, LayerWeights, Trace
from rnn_exp.networks.network import Network
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.readout import Objective, onto_time, read, states_read
from rnn_exp.networks.scaled import Scaled
from rnn_exp.networks.truncation import Truncation, Window
from rnn_exp.shapes import Float

__all__ = ["AlignedTotals", "LayerGradients", "rescaled"]


class AlignedTotals(NamedTuple):
    """∂L/∂h_t and ∂L/∂c_t (None: no c) of some steps, over the power of two of each step."""

    total: Float[Tensor, "time run batch hidden"]
    memory: Float[Tensor, "time run batch hidden"] | None
    exponents: Float[Tensor, "time run"]


class LayerGradients(NamedTuple):
    """The gradients of one layer.

    Args:
        direct: those not through later steps, of the last time steps; before them they are 0.
        both: ∂L/∂h_t and, where the cell has a c, ∂L/∂c_t behind it.
        trace: what the forward pass of these runs has left, as training had it.
    """

    direct: Scaled
    both: Scaled
    trace: Trace

    @property
    def hidden(self) -> int:
        """The units of the layer."""
        return self.direct.values.shape[-1]

    def totals(self, start: int, stop: int) -> AlignedTotals:
        """Return those of steps start + 1 … stop, a run's sequences over the same power of two."""
        (values, exponents), hidden = self.both.between(start, stop).aligned(), self.hidden
        memory = values[..., hidden:] if values.shape[-1] > hidden else None
        return AlignedTotals(values[..., :hidden], memory, exponents)


def rescaled(
    parameters: dict[str, Tensor],
    traces: Sequence[Trace],
    objective: Objective,
    network: Network,
    runs: Sequence[int],
    truncation: Truncation | None = None,
) -> list[LayerGradients]:
    """Return the gradients of every layer, from the lowest, of some of the runs.

    Args:
        parameters: by torch's names, of all runs.
        traces: what the forward pass of all runs has left.
        objective: which time steps are read, and the loss of what is read.
        network: what the network is.
        runs: the places of those that are wanted.
        truncation: the windows of truncated backpropagation; None: none.
    """
    T, places = len(traces[0].states), list(runs)
    top = states_read(traces[-1].states, objective.answers, objective.ends).double()
    weight, bias = (parameters[f"readout.{name}"].double() for name in ("weight", "bias"))
    by_loss = onto_time(read(top, weight, bias, objective.loss_of).states, objective, T)
    everybody = places == list(range(top.shape[0]))
    own = list(traces) if everybody else [trace.of_runs(places) for trace in traces]
    weights = [
        LayerWeights(*(part[places].double() for part in layer_weights(parameters, number)))
        for number in range(network.num_layers)
    ]
    ends = None if objective.ends is None else [objective.ends[place] for place in places]
    with torch.inference_mode():
        direct = Scaled.of(by_loss[:, places])
        if truncation is None:
            return _through_layers(network, direct, own, weights)
        windows = truncation.all_windows(T, len(direct), ends)
        return _in_windows(network, direct, own, weights, windows)


def _through_layers(
    network: Network, direct: Scaled, traces: Sequence[Trace], weights: Sequence[LayerWeights]
) -> list[LayerGradients]:
    """Go back through time in every layer, from the top: what a layer reads is the next's part."""
    cell, found = network.make_cell(), list[LayerGradients]()
    for number in reversed(range(network.num_layers)):
        own = traces[number], weights[number]
        both, of_inputs = _through_time(
            cell, direct, *own, with_c=network.kind.has_memory, with_inputs=bool(number)
        )
        found.insert(0, LayerGradients(direct, both, traces[number]))
        if of_inputs is not None:
            direct = of_inputs
    return found


def _through_time(
    cell: Cell,
    direct: Scaled,
    trace: Trace,
    weights: LayerWeights,
    *,
    with_c: bool,
    with_inputs: bool,
) -> tuple[Scaled, Scaled | None]:
    """Return ∂L/∂h_t with ∂L/∂c_t behind it, and ∂L/∂x_t if it is wanted."""
    (T, R, B, H), device = trace.states.shape, trace.states.device
    width, known = 2 * H if with_c else H, T - len(direct.values)
    found = Scaled.zeros((T, R, B, width), device)
    of_inputs = Scaled.zeros((T, R, B, weights.weight_ih.shape[-1]), device)
    sick = ~trace.states.abs().amax(-1).isfinite()
    any_sick = bool(sick.any())
    later = Scaled.zeros((1, R, B, width), device)
    for t in reversed(range(T)):
        if t >= known:
            later = later.plus(direct.between(t - known, t - known + 1))
        later = later.settled()
        if any_sick:
            reached = sick[t : t + 1] & ~later.nothing
            later.values.masked_fill_(reached.unsqueeze(-1), torch.nan)
        values, exponents = later
        carried = values[..., H:] if with_c else None
        back = cell.step_back(
            values[..., :H], carried, trace.between(t, t + 1).double(), weights, with_inputs
        )
        whole = values if back.memory is None else torch.cat([values[..., :H], back.memory], -1)
        found.put(t, Scaled(whole, exponents))
        if back.inputs is not None:
            of_inputs.put(t, Scaled(back.inputs, exponents).settled())
        on = back.total if back.carried is None else torch.cat([back.total, back.carried], -1)
        later = Scaled(on, exponents)
    return found, of_inputs if with_inputs else None


def _in_windows(
    network: Network,
    direct: Scaled,
    traces: Sequence[Trace],
    weights: Sequence[LayerWeights],
    windows: Sequence[Window],
) -> list[LayerGradients]:
    """Do as `_through_layers` in windows of time, and sum."""
    (T, R, B, H), device = traces[0].states.shape, traces[0].states.device
    before, wide = T - len(direct.values), (T, R, B, 2 * H if network.kind.has_memory else H)
    sums = [
        LayerGradients(Scaled.zeros((T, R, B, H), device), Scaled.zeros(wide, device), trace)
        for trace in traces
    ]
    for start, end, first in windows:
        cut = [trace.between(start, end) for trace in traces]
        part = direct.between(first - before, end - before)
        for sum_, found in zip(sums, _through_layers(network, part, cut, weights), strict=True):
            for whole, more in ((sum_.direct, found.direct), (sum_.both, found.both)):
                at = end - len(more.values)
                whole.put(at, whole.between(at, end).plus(more).settled())
    return sums
