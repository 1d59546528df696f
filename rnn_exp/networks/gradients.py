r"""From a loss to all gradients: of the parameters, and ∂L/∂h_t of every layer and time step.

Autograd sees the loss as a function of the outputs alone (`readout`); the rest is the adjoint
recursion of the cells. Two engines give the same numbers: `scan_engine` runs this package's cells
over many runs at once, `torch_engine` the genuine torch module for one run.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, Trace
from rnn_exp.networks.network import ENGINES, Engine, Network, Refusal
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.readout import LossOf, Objective, Reading, onto_time, read, states_read
from rnn_exp.networks.torch_modules import empty_module, states_of, torch_refusals
from rnn_exp.networks.truncation import Sums, Truncation
from rnn_exp.shapes import Float

__all__ = [
    "Gradients",
    "adjoints_of_last",
    "forward",
    "outputs",
    "scan_engine",
    "torch_engine",
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
        return [trace.states for trace in self.traces]

    @property
    def total(self) -> list[Tensor]:
        """∂L/∂h_t of every layer."""
        return [adjoint.total for adjoint in self.adjoints]


def forward(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    ends: Sequence[int] | None = None,
) -> list[Trace]:
    """Return the trace of every layer, from the lowest.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs.
        network: what the network is.
        ends: the last time step of each run's sequences; after it the states are 0.
    """
    cell, traces = network.make_cell(), list[Trace]()
    start = x.new_full((x.shape[1], x.shape[2], network.hidden_size), network.initial_state)
    for number in range(network.num_layers):
        inputs = traces[-1].states if traces else x
        traces.append(cell.forward(inputs, layer_weights(parameters, number), start))
        with torch.inference_mode():  # what comes after the end may overflow, and means nothing
            for run, end in enumerate(ends or ()):
                traces[-1].states[end:, run] = 0
    return traces


def outputs(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    answers: int,
) -> Float[Tensor, "run answer batch output"]:
    """Return the outputs y = C h + c of the last ``answers`` time steps, without any gradient."""
    h = states_read(forward(parameters, x, network)[-1].states, answers)
    bias = parameters["readout.bias"].unsqueeze(1)
    y = torch.baddbmm(bias, h.flatten(1, 2), parameters["readout.weight"].transpose(1, 2))
    return y.view(*h.shape[:3], -1)


def scan_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    objective: Objective,
    network: Network,
    truncation: Truncation | None = None,
) -> Gradients:
    """Differentiate each run's loss by its parameters and by the states of every layer.

    Autograd sees the loss as a function of the outputs only; the rest is the adjoint recursion.
    With a truncation, all gradients (the recorded ones too) are those of its windows, summed.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs.
        objective: which time steps are read, and the loss of what is read.
        network: what the network is.
        truncation: the windows of truncated backpropagation; None: none.
    """
    traces = forward(parameters, x, network, objective.ends)
    reading = _read_top(traces[-1].states, parameters, objective)
    direct = onto_time(reading.states, objective, len(x))
    if truncation is None:
        directs, adjoints = _backward(parameters, x, network, traces, direct)
    else:
        directs, adjoints = _truncated_backward(
            parameters, x, network, traces, direct, objective, truncation
        )
    by_name = _by_name(reading, adjoints)
    return Gradients(reading.loss, reading.outputs, by_name, traces, directs, adjoints)


def torch_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time 1 batch input"],
    objective: Objective,
    network: Network,
    truncation: Truncation | None = None,
) -> Gradients:
    """Do as `scan_engine` with the genuine torch module and its own backward pass.

    The module returns the states of its top layer only, and no gradient by the others: traces and
    total gradients are computed from the same weights. Loss, outputs and the gradients of the
    parameters are torch's.

    Raises:
        ValueError: for a truncation: the module goes back to the start.
    """
    if truncation is not None:
        raise ValueError("torch's module cannot truncate its backward pass; use the scan engine")
    names = [name for name in parameters if not name.startswith("readout")]
    leaves = {name: parameters[name].detach().requires_grad_() for name in names}
    module = empty_module(network, x.shape[-1], x.device)
    end = objective.ends[0] if objective.ends else len(x)
    own = {name: leaf[0] for name, leaf in leaves.items()}
    top = states_of(module, own, x[:end, 0], network).unsqueeze(1)
    reading = _read_top(top.detach(), parameters, objective)
    direct = onto_time(reading.states, objective, len(x))
    first = len(x) - len(direct)
    by_weight = torch.autograd.grad(top[first:], list(leaves.values()), direct[: end - first])
    gradients = dict(zip(names, by_weight, strict=True))
    gradients |= {"readout.weight": reading.weight, "readout.bias": reading.bias}
    traces = forward(parameters, x, network, objective.ends)
    directs, adjoints = _backward(parameters, x, network, traces, direct)
    return Gradients(reading.loss, reading.outputs, gradients, traces, directs, adjoints)


def adjoints_of_last(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    traces: Sequence[Trace],
    last_loss_of: LossOf,
    network: Network,
) -> list[Adjoint]:
    """Return the adjoint of every layer for L_T, the loss of the last answer alone.

    A loss at every time step gives every state a direct gradient, which hides what does not come
    through; this one has nothing but what comes through from the end.
    """
    reading = _read_top(traces[-1].states, parameters, Objective(last_loss_of))
    direct = reading.states.transpose(0, 1)
    _, adjoints = _backward(parameters, x, network, traces, direct)
    return adjoints


def _read_top(top: Tensor, parameters: dict[str, Tensor], objective: Objective) -> Reading:
    states = states_read(top, objective.answers, objective.ends)
    weight, bias = parameters["readout.weight"], parameters["readout.bias"]
    return read(states, weight, bias, objective.loss_of)


def _backward(
    parameters: dict[str, Tensor],
    x: Tensor,
    network: Network,
    traces: Sequence[Trace],
    direct: Tensor,
) -> tuple[list[Tensor], list[Adjoint]]:
    """Return the direct gradients and the adjoint of every layer, from the top's downwards."""
    directs, cell = [direct], network.make_cell()
    adjoints: list[Adjoint] = []
    for number in reversed(range(network.num_layers)):
        inputs = traces[number - 1].states if number else x
        weights = layer_weights(parameters, number)
        adjoint = cell.adjoint(
            directs[0], traces[number], inputs, weights, with_inputs=bool(number)
        )
        adjoints.insert(0, adjoint)
        if adjoint.inputs is not None:
            directs.insert(0, adjoint.inputs)
    return directs, adjoints


def _truncated_backward(
    parameters: dict[str, Tensor],
    x: Tensor,
    network: Network,
    traces: Sequence[Trace],
    direct: Tensor,
    objective: Objective,
    truncation: Truncation,
) -> tuple[list[Tensor], list[Adjoint]]:
    """Do as `_backward` in windows of time, and sum."""
    sums, before = Sums(traces), len(x) - len(direct)
    for window in truncation.all_windows(len(x), len(direct), objective.ends):
        start, end, first = window
        cut = [trace.between(start, end) for trace in traces]
        own = direct[first - before : end - before]
        sums.add(window, *_backward(parameters, x[start:end], network, cut, own))
    return sums.directs, sums.adjoints


def _by_name(reading: Reading, adjoints: Sequence[Adjoint]) -> dict[str, Tensor]:
    """Return the gradients under the names of the parameters."""
    gradients = {"readout.weight": reading.weight, "readout.bias": reading.bias}
    for number, adjoint in enumerate(adjoints):
        layer = adjoint.weights._asdict()
        gradients |= {f"{name}_l{number}": value for name, value in layer.items()}
    return gradients


def _no_refusals(network: Network) -> Iterator[Refusal]:
    del network
    yield from ()


ENGINES.register(Engine("scan", scan_engine, many_runs=True, truncates=True, refusals=_no_refusals))
ENGINES.register(
    Engine("torch", torch_engine, many_runs=False, truncates=False, refusals=torch_refusals)
)
