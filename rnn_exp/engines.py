"""Two engines, one answer: loss, parameter gradients, and ∂L/∂h_t of every layer and time step.

`scan_engine` runs this package's cells over many runs at once; the total gradient is the
adjoint's own intermediate. `torch_engine` runs the genuine torch module for one run and gets the
total gradient from the same adjoint.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.cells import Adjoint, Trace
from rnn_exp.network import Network, layer_of
from rnn_exp.readout import Asked, LossOf, Reading, onto_time, read, states_read
from rnn_exp.shapes import Float
from rnn_exp.torch_rnn import empty_module, states_of
from rnn_exp.truncation import Sums, Truncation

__all__ = [
    "ENGINES",
    "Gradients",
    "answer",
    "climb",
    "scan_engine",
    "torch_engine",
    "totals_of_last",
]


class Gradients(NamedTuple):
    """One backward pass: what the loss is, and how it changes with parameters and states.

    ``traces``, ``direct`` and ``adjoints`` have one entry a layer, from the lowest; a ``direct``
    that is shorter belongs to the last time steps and is 0 before.
    """

    loss: Float[Tensor, " run"]
    outputs: Float[Tensor, "run answer batch output"]
    parameters: dict[str, Tensor]
    traces: list[Trace]
    direct: list[Tensor]
    adjoints: list[Adjoint]

    @property
    def states(self) -> list[Tensor]:
        """h_1…h_T of every layer."""
        return [trace.now for trace in self.traces]

    @property
    def total(self) -> list[Tensor]:
        """∂L/∂h_t of every layer."""
        return [found.total for found in self.adjoints]


def climb(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    ends: Sequence[int] | None = None,
) -> list[Trace]:
    """Return the trace of every layer; after a sequence's end its states are 0."""
    cell, traces = network.layer, list[Trace]()
    start = x.new_full((x.shape[1], x.shape[2], network.hidden_size), network.initial_state)
    for number in range(network.num_layers):
        inputs = traces[-1].now if traces else x
        traces.append(cell.forward(inputs, layer_of(parameters, number), start))
        with torch.inference_mode():  # what comes after the end may overflow, and means nothing
            for run, end in enumerate(ends or ()):
                traces[-1].now[end:, run] = 0
    return traces


def answer(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    answers: int,
) -> Float[Tensor, "run answer batch output"]:
    """Return the outputs y = C h + c of the last time steps, without any gradient."""
    h = states_read(climb(parameters, x, network)[-1].now, answers)
    bias = parameters["readout.bias"].unsqueeze(1)
    y = torch.baddbmm(bias, h.flatten(1, 2), parameters["readout.weight"].transpose(1, 2))
    return y.view(*h.shape[:3], -1)


def _read(top: Tensor, parameters: dict[str, Tensor], asked: Asked, loss_of: LossOf) -> Reading:
    states = states_read(top, asked.answers, asked.ends)
    return read(states, parameters["readout.weight"], parameters["readout.bias"], loss_of)


def _descend(
    parameters: dict[str, Tensor],
    x: Tensor,
    network: Network,
    traces: Sequence[Trace],
    direct: Tensor,
) -> tuple[list[Tensor], list[Adjoint]]:
    """Return the direct gradients and the adjoint of every layer, going down from the top's."""
    directs, cell = [direct], network.layer
    adjoints: list[Adjoint] = []
    for number in reversed(range(network.num_layers)):
        inputs = traces[number - 1].now if number else x
        weights, wanted = layer_of(parameters, number), number > 0
        found = cell.adjoint(directs[0], traces[number], inputs, weights, inputs_wanted=wanted)
        adjoints.insert(0, found)
        below = found.inputs
        if below is not None:
            directs.insert(0, below)
    return directs, adjoints


def _by_name(reading: Reading, adjoints: Sequence[Adjoint]) -> dict[str, Tensor]:
    """Return the gradients under the names of the parameters."""
    gradients = {"readout.weight": reading.weight, "readout.bias": reading.bias}
    for number, found in enumerate(adjoints):
        gradients |= {f"{name}_l{number}": value for name, value in found.weights._asdict().items()}
    return gradients


def scan_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    asked: Asked,
    network: Network,
    truncation: Truncation | None = None,
) -> Gradients:
    """Differentiate each run's loss by its parameters and by the states of every layer.

    Autograd sees the loss as a function of the outputs only; the rest is the adjoint recursion.
    With a truncation, all gradients (the recorded ones too) are those of its windows, summed.
    """
    traces = climb(parameters, x, network, asked.ends)
    reading = _read(traces[-1].now, parameters, asked, asked.loss_of)
    direct = onto_time(reading.states, asked, len(x))
    if truncation is None:
        directs, adjoints = _descend(parameters, x, network, traces, direct)
    else:
        directs, adjoints = _truncated(parameters, x, network, traces, direct, asked, truncation)
    return Gradients(reading.loss, reading.outputs, _by_name(reading, adjoints), traces, directs,
                     adjoints)  # fmt: skip


def _truncated(
    parameters: dict[str, Tensor],
    x: Tensor,
    network: Network,
    traces: Sequence[Trace],
    direct: Tensor,
    asked: Asked,
    truncation: Truncation,
) -> tuple[list[Tensor], list[Adjoint]]:
    """Do as `_descend` in windows of time, and sum.

    The last window of a sequence ends where it does; at that time no longer one has a loss.
    """
    summed, before = Sums(traces), len(x) - len(direct)
    ends = [(len(x), len(direct))] if asked.ends is None else [(e, 1) for e in {*asked.ends}]
    for window in (one for end, last in sorted(ends) for one in truncation.windows(end, last)):
        start, end, first = window
        cut = [trace.between(start, end) for trace in traces]
        own = direct[first - before : end - before]
        summed.add(window, *_descend(parameters, x[start:end], network, cut, own))
    return summed.directs, summed.adjoints


def totals_of_last(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    traces: Sequence[Trace],
    last_loss_of: LossOf,
    network: Network,
) -> list[Tensor]:
    """Return ∂L_T/∂h_t of every layer, where L_T is the loss of the last answer alone.

    A loss at every time step gives every state a direct gradient, which hides what does not come
    through; this one has nothing but what comes through from the end.
    """
    reading = _read(traces[-1].now, parameters, Asked(last_loss_of), last_loss_of)
    direct = reading.states.transpose(0, 1)
    return [found.total for found in _descend(parameters, x, network, traces, direct)[1]]


def torch_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time 1 batch input"],
    asked: Asked,
    network: Network,
    truncation: Truncation | None = None,
) -> Gradients:
    """Do as `scan_engine` with the genuine torch module and its own backward pass.

    The module returns the states of its top layer only, and no gradient by the others: traces and
    total gradients are computed from the same weights. Loss, outputs and the gradients of the
    parameters are torch's.
    """
    assert truncation is None, "the torch module has no truncation; Run refuses it"
    names = [name for name in parameters if not name.startswith("readout")]
    leaves = {name: parameters[name].detach().requires_grad_() for name in names}
    module = empty_module(network, x.shape[-1], x.device)
    end = asked.ends[0] if asked.ends else len(x)
    own = {name: leaf[0] for name, leaf in leaves.items()}
    top = states_of(module, own, x[:end, 0], network).unsqueeze(1)
    reading = _read(top.detach(), parameters, asked, asked.loss_of)
    direct = onto_time(reading.states, asked, len(x))
    first = len(x) - len(direct)
    by_weight = torch.autograd.grad(top[first:], list(leaves.values()), direct[: end - first])
    gradients = dict(zip(names, by_weight, strict=True))
    gradients |= {"readout.weight": reading.weight, "readout.bias": reading.bias}
    traces = climb(parameters, x, network, asked.ends)
    directs, adjoints = _descend(parameters, x, network, traces, direct)
    return Gradients(reading.loss, reading.outputs, gradients, traces, directs, adjoints)


ENGINES = {"scan": scan_engine, "torch": torch_engine}
