"""What a layer reads and does on fresh sequences of the run's own: its drive, and its Jacobians."""

import dataclasses
import math
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks.cells import TORCHS, Jacobian
from rnn_exp.networks.cells.layout import with_ones
from rnn_exp.networks.forward import forward
from rnn_exp.networks.network import Network
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float
from rnn_exp.tasks import Task
from rnn_exp.tasks.lengths import with_one_length

__all__ = [
    "SAMPLE",
    "drives_of",
    "inputs_of_layer",
    "jacobian_of_layer",
    "layer_drive",
    "layer_drives",
    "mean_drive",
    "sequences_for_jacobians",
]

SAMPLE: Final = 256
"""How many sequences are drawn to find what drives a layer."""
_FEW: Final = 8
# Of very long sequences fewer are enough, which have as many time steps: so many numbers of a layer
# are held then, and no more than those of one sequence.
_NUMBERS: Final = 1 << 23
# Rows that are widened at a time: whole parts of those that a matrix product adds up at a time, so
# that the sum over blocks has the bits of one product.
_ROWS = 85 * 3072


def inputs_of_layer(
    network: Network, task: Task, seed: int, parameters: dict[str, Tensor], number: int
) -> Float[Tensor, "time 1 batch input"]:
    """Return what a layer reads of fresh sequences of the run's own; parameters of one run."""
    batch = with_one_length(task).draw(SAMPLE, generator(seed, "drive"))
    x = batch.inputs[: batch.length].unsqueeze(1).to(parameters["readout.weight"])
    if number == 0:
        return x
    below = dataclasses.replace(network, num_layers=number)
    own = {name: value.unsqueeze(0).to(x) for name, value in parameters.items()}
    return forward(own, x, below)[-1].states


def sequences_for_jacobians(T: int, H: int) -> int:
    """Return of how many sequences Jacobians are looked at: 8, or fewer of very long ones.

    Args:
        T: time steps of a sequence.
        H: units of a layer.

    Example:
        >>> sequences_for_jacobians(1000, 128), sequences_for_jacobians(100_000, 64)
        (8, 1)
    """
    return max(1, min(_FEW, _NUMBERS // (T * H)))


def layer_drive(
    network: Network, task: Task, seed: int, parameters: dict[str, Tensor], number: int
) -> float:
    """Return the drive s² of a layer: the mean square of V x_t + b over units, time and batch.

    With the second moment M = ⟨x xᵀ⟩ of the inputs it is tr(V M Vᵀ) / n: what drives every unit
    at every time step is never stored.

    Args:
        network: what the network is.
        task: the task of which fresh sequences are drawn.
        seed: the run's seed; the sequences are its own and no part of its training.
        parameters: the run's parameters by torch's names.
        number: the layer, from 0.

    Returns:
        s², dimensionless; NaN where it is not finite.
    """
    x = inputs_of_layer(network, task, seed, parameters, number)
    return mean_drive(x, parameters, number)


def layer_drives(
    network: Network, task: Task, seed: int, parameters: dict[str, Tensor], number: int
) -> Float[Tensor, " time"]:
    """Return the drive s_t² of every time step: the mean square of V x_t + b over units and batch.

    Its mean over time is `layer_drive`, but for rounding. The arguments are the same.

    Returns:
        s_1²…s_T² in float64; not finite where the inputs of the layer are not.
    """
    x = inputs_of_layer(network, task, seed, parameters, number)
    return drives_of(x, parameters, number)


def mean_drive(
    x: Float[Tensor, "time 1 batch input"], parameters: dict[str, Tensor], number: int
) -> float:
    """Return `layer_drive` for inputs that are there already.

    NaN: the parameters are other than torch's, and nobody says which of them drive a unit.
    """
    if layer_weights(parameters, number).names != TORCHS:
        return math.nan
    V1, rows = _with_bias(parameters, number), x.flatten(0, 2)
    # Widened, the inputs of long sequences would be several times as large as they are.
    moments = V1.new_zeros(V1.shape[1], V1.shape[1])
    for block in torch.split(rows, _ROWS):
        x1 = with_ones(block.double())
        moments.addmm_(x1.mT, x1)
    drive = float(((V1 @ (moments / len(rows))) * V1).sum(-1).mean())
    return drive if math.isfinite(drive) else math.nan


def drives_of(
    x: Float[Tensor, "time 1 batch input"], parameters: dict[str, Tensor], number: int
) -> Float[Tensor, " time"]:
    """Return `layer_drives` for inputs that are there already: ⟨xᵀ (VᵀV) x⟩ / n at each step."""
    V1, found = _with_bias(parameters, number), list[Tensor]()
    for steps in torch.split(x.squeeze(1), max(1, _ROWS // x.shape[2])):
        x1 = with_ones(steps.double())
        found.append(((x1 @ (V1.T @ V1 / len(V1))) * x1).sum(-1).mean(-1).clamp(min=0))
    return torch.cat(found)


def _with_bias(
    parameters: dict[str, Tensor], number: int
) -> Float[Tensor, "gates_hidden inputs_and_one"]:
    """Return V with the sum of both biases as its last column, in float64."""
    V, b_ih, b_hh = (
        parameters[f"{name}_l{number}"].double() for name in ("weight_ih", "bias_ih", "bias_hh")
    )
    return torch.cat([V, (b_ih + b_hh).unsqueeze(-1)], dim=-1)


def jacobian_of_layer(
    network: Network,
    x: Float[Tensor, "time 1 batch input"],
    parameters: dict[str, Tensor],
    number: int,
) -> tuple[Jacobian | None, bool]:
    """Return what steps back do in a layer, on the first few of the sequences that it reads.

    Args:
        network: what the network is.
        x: what the layer reads.
        parameters: the run's parameters by torch's names.
        number: the layer, from 0.

    Returns:
        Its Jacobians on a few sequences (None: theory has nothing to go by with this cell), and
        whether all states were finite.
    """
    cell, few = network.make_cell(), x[:, :, : sequences_for_jacobians(len(x), network.hidden_size)]
    own = {name: value.unsqueeze(0).to(few) for name, value in parameters.items()}
    start = few.new_full((1, few.shape[2], network.hidden_size), network.initial_state)
    trace = cell.forward(few, layer_weights(own, number), start)
    return cell.jacobian(trace), bool(trace.states.isfinite().all())
