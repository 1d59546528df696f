r"""From a loss to all gradients: of the parameters, and ∂L/∂h_t of every layer and time step.

The read-out is y = C h + c. Autograd sees the loss as a function of y alone; ∂L/∂C = Σ (∂L/∂y) hᵀ
and ∂L/∂h = Cᵀ ∂L/∂y are two GEMMs, and the rest is the adjoint recursion of the cells.
Two engines give the same numbers: `scan_engine` runs this package's cells over many runs at once,
`torch_engine` the genuine torch module for one run.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, Trace
from rnn_exp.networks.cells.layout import rows, with_ones
from rnn_exp.networks.network import Network, layer_of
from rnn_exp.networks.torch_modules import empty_module, states_of
from rnn_exp.networks.truncation import Sums, Truncation
from rnn_exp.shapes import Float

__all__ = [
    "ENGINES",
    "Asked",
    "Gradients",
    "LossOf",
    "Reading",
    "answer",
    "climb",
    "onto_time",
    "read",
    "scan_engine",
    "states_read",
    "torch_engine",
    "totals_of_last",
]

LossOf = Callable[[Tensor], Tensor]


class Asked(NamedTuple):
    """What is asked of a network: answers at which time steps, and the loss of these.

    The last ``answers`` steps are read. Where sequences are of several lengths there is one answer,
    at step ``ends[run]``, and no sequence is shorter than ``shortest``.
    """

    loss_of: LossOf
    answers: int = 1
    ends: Sequence[int] | None = None
    shortest: int = 0


class Reading(NamedTuple):
    """Outputs, each run's loss, and the loss's gradient by C, c and the states that were read."""

    outputs: Float[Tensor, "run answer batch output"]
    loss: Float[Tensor, " run"]
    weight: Float[Tensor, "run output hidden"]
    bias: Float[Tensor, "run output"]
    states: Float[Tensor, "run answer batch hidden"]


def states_read(
    states: Float[Tensor, "time run batch hidden"], answers: int, ends: Sequence[int] | None = None
) -> Float[Tensor, "run answer batch hidden"]:
    """Return the states from which the answers are read: of the last steps, or one at each end."""
    T, R, B, H = states.shape
    if ends is None:
        return rows(states[T - answers :]).view(R, answers, B, H)
    return torch.stack([states[end - 1, run] for run, end in enumerate(ends)]).unsqueeze(1)


def onto_time(
    gradient: Float[Tensor, "run answer batch hidden"], asked: Asked, T: int
) -> Float[Tensor, "last run batch hidden"]:
    """Put a gradient by the states that were read back on the time axis: the direct gradient."""
    if asked.ends is None:
        return gradient.transpose(0, 1)
    # As many steps as the task may need, not as these sequences do: company must not matter.
    first = asked.shortest - 1
    R, _, B, H = gradient.shape
    direct = gradient.new_zeros(T - first, R, B, H)
    for run, end in enumerate(asked.ends):
        direct[end - 1 - first, run] = gradient[run, 0]
    return direct


def read(
    states: Float[Tensor, "run answer batch hidden"],
    weight: Float[Tensor, "run output hidden"],
    bias: Float[Tensor, "run output"],
    loss_of: LossOf,
) -> Reading:
    """Read the states out, take the loss of the outputs, and differentiate it.

    The bias is the weight of a unit that is always 1. A read-out of one output is computed as one
    of two: matrix–vector products round differently for one run than for many.
    """
    outputs = weight.shape[1]
    spare = max(0, 2 - outputs)
    pad = torch.nn.functional.pad
    h = with_ones(states.flatten(1, 2))
    reader = pad(torch.cat([weight, bias.unsqueeze(-1)], dim=-1), (0, 0, 0, spare))
    y = torch.bmm(h, reader.transpose(1, 2))[..., :outputs].contiguous()
    y = y.view(*states.shape[:3], outputs).requires_grad_()
    loss = loss_of(y)
    # The loss of a run depends on its own outputs alone: one call differentiates them all.
    (of_y,) = torch.autograd.grad(loss, y, torch.ones_like(loss))
    of_y = pad(of_y.flatten(1, 2), (0, spare))
    of_reader = torch.bmm(of_y.transpose(1, 2), h)[:, :outputs]
    return Reading(
        y.detach(),
        loss.detach(),
        of_reader[..., :-1],
        of_reader[..., -1],
        torch.bmm(of_y, reader)[..., :-1].reshape(states.shape),
    )


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
    return Gradients(
        reading.loss, reading.outputs, _by_name(reading, adjoints), traces, directs, adjoints
    )


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
