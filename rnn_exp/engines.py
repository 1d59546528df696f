"""Two engines, one answer: loss, parameter gradients, and ∂L/∂h_t of every layer and time step.

`scan_engine` runs this package's recurrence over many runs at once; the total gradient is the
adjoint's own intermediate. `torch_engine` runs the genuine ``torch.nn.RNN`` for one run and gets
the total gradient from the same adjoint on the module's outputs.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.network import Network, layer
from rnn_exp.readout import LossOf, Reading, read
from rnn_exp.recurrence import Adjoint, States, adjoint, forward
from rnn_exp.shapes import Float
from rnn_exp.torch_rnn import empty_module, states_of

__all__ = ["ENGINES", "Gradients", "answer", "scan_engine", "torch_engine"]


class Gradients(NamedTuple):
    """One backward pass: what the loss is, and how it changes with parameters and states.

    ``states``, ``direct`` and ``total`` hold one (time, run, batch, hidden) tensor a layer, from
    the lowest; a ``direct`` that is shorter belongs to the last time steps and is 0 before.
    """

    loss: Float[Tensor, " run"]
    outputs: Float[Tensor, "run batch output"]
    parameters: dict[str, Tensor]
    states: list[Tensor]
    direct: list[Tensor]
    total: list[Tensor]


def _start(x: Tensor, network: Network) -> Tensor:
    return x.new_zeros(x.shape[1], x.shape[2], network.hidden_size)


def _climb(
    parameters: dict[str, Tensor], x: Tensor, network: Network, below: int = 0
) -> list[States]:
    """Return the states of every layer (but for the top ones, if told how many to leave)."""
    layers: list[States] = []
    for number in range(network.num_layers - below):
        inputs = layers[-1].now if layers else x
        layers.append(forward(inputs, layer(parameters, number), _start(x, network), network.phi))
    return layers


def answer(
    parameters: dict[str, Tensor], x: Float[Tensor, "time run batch input"], network: Network
) -> Float[Tensor, "run batch output"]:
    """Return the outputs y = C h_T + c, without any gradient."""
    h = _climb(parameters, x, network)[-1].now[-1]
    bias = parameters["readout.bias"].unsqueeze(1)
    return torch.baddbmm(bias, h, parameters["readout.weight"].transpose(1, 2))


def _read(states: Tensor, parameters: dict[str, Tensor], loss_of: LossOf) -> Reading:
    return read(states, parameters["readout.weight"], parameters["readout.bias"], loss_of)


def _descend(
    parameters: dict[str, Tensor], x: Tensor, network: Network, layers: list[States], direct: Tensor
) -> tuple[list[Tensor], list[Adjoint]]:
    """Return the direct gradients and the adjoint of every layer, going down from the top's."""
    directs = [direct]
    adjoints: list[Adjoint] = []
    for number in reversed(range(network.num_layers)):
        inputs = layers[number - 1].now if number else x
        adjoints.insert(0, adjoint(directs[0], layers[number], inputs, layer(parameters, number),
                                   network.phi, inputs_wanted=number > 0))  # fmt: skip
        below = adjoints[0].inputs
        if below is not None:
            directs.insert(0, below)
    return directs, adjoints


def scan_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    loss_of: LossOf,
    network: Network,
) -> Gradients:
    """Differentiate each run's loss by its parameters and by the states of every layer.

    Autograd sees the loss as a function of the outputs only; the rest is the adjoint recursion.
    """
    layers = _climb(parameters, x, network)
    reading = _read(layers[-1].now[-1], parameters, loss_of)
    directs, adjoints = _descend(parameters, x, network, layers, reading.states.unsqueeze(0))
    gradients = {"readout.weight": reading.weight, "readout.bias": reading.bias}
    for number, one in enumerate(adjoints):
        gradients |= {f"weight_ih_l{number}": one.weight_ih, f"weight_hh_l{number}": one.weight_hh}
        gradients |= {f"bias_ih_l{number}": one.bias, f"bias_hh_l{number}": one.bias}
    return Gradients(reading.loss, reading.outputs, gradients, [h.now for h in layers], directs,
                     [one.total for one in adjoints])  # fmt: skip


def torch_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time 1 batch input"],
    loss_of: LossOf,
    network: Network,
) -> Gradients:
    """Do as `scan_engine` with the genuine ``torch.nn.RNN`` and its own backward pass.

    The module returns the states of its top layer only; those below are computed from the same
    weights. The adjoint on these states turns direct into total gradients.
    """
    names = [name for name in parameters if not name.startswith("readout")]
    leaves = {name: parameters[name].detach().requires_grad_() for name in names}
    module = empty_module(network, x.shape[-1], x.device)
    top = states_of(module, {name: leaf[0] for name, leaf in leaves.items()}, x[:, 0], network)
    reading = _read(top[-1:].detach(), parameters, loss_of)
    by_weight = torch.autograd.grad(top[-1:], list(leaves.values()), reading.states)
    gradients = dict(zip(names, by_weight, strict=True))
    gradients |= {"readout.weight": reading.weight, "readout.bias": reading.bias}
    layers = _climb(parameters, x, network, below=1)
    own = torch.cat([_start(x, network).unsqueeze(0), top.detach().unsqueeze(1)])
    layers.append(States(own[1:], own[:-1]))
    directs, adjoints = _descend(parameters, x, network, layers, reading.states.unsqueeze(0))
    return Gradients(reading.loss, reading.outputs, gradients, [h.now for h in layers], directs,
                     [one.total for one in adjoints])  # fmt: skip


ENGINES = {"scan": scan_engine, "torch": torch_engine}
