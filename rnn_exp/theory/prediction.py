"""What theory says of one network before its first update, under the drive of its own inputs."""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import with_ones
from rnn_exp.networks.gradients import forward
from rnn_exp.networks.inits import Init
from rnn_exp.networks.network import Network, shapes
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float
from rnn_exp.tasks import Task
from rnn_exp.theory.stationary import critical_gain, mean_field

__all__ = ["Prediction", "initial_weights", "layer_drive", "predict"]

_SAMPLE = 256


def initial_weights(network: Network, init: Init, task: Task, seed: int) -> dict[str, Tensor]:
    """Return all parameters of a run before its first update.

    With an init that wants it (`Init.critical_scale`) every layer's W_hh is scaled to that multiple
    of the gain at which the mean field, under the drive that this layer's inputs
    and biases make, has χ = 1.

    Args:
        network: what the network is.
        init: how its weights are drawn.
        task: the task whose inputs drive it.
        seed: the run's seed.

    Returns:
        Tensors under torch's names.

    Raises:
        SettingError: if that drive is beyond what the mean field resolves.
    """
    sizes = shapes(network, task.input_size, task.output_size)
    drawn, scale = init.draw(sizes, seed, network.kind), init.critical_scale
    if scale is None:
        return drawn
    for number in range(network.num_layers):
        drive = layer_drive(network, task, seed, drawn, number)
        try:
            gain = critical_gain(network.activation, drive)
        except ValueError as error:
            raise init.drive_error(str(error)) from None
        drawn[f"weight_hh_l{number}"] *= scale * gain
    return drawn


def _inputs_of_layer(
    network: Network, task: Task, seed: int, parameters: dict[str, Tensor], number: int
) -> Float[Tensor, "time 1 batch input"]:
    """Return what a layer reads of fresh sequences of the run's own; parameters of one run."""
    batch = task.draw(_SAMPLE, generator(seed, "drive"))
    x = batch.inputs[: batch.length].unsqueeze(1).to(parameters["weight_hh_l0"])
    if number == 0:
        return x
    below = dataclasses.replace(network, num_layers=number)
    own = {name: value.unsqueeze(0).to(x) for name, value in parameters.items()}
    return forward(own, x, below)[-1].states


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
    x = _inputs_of_layer(network, task, seed, parameters, number)
    x1 = with_ones(x.double().flatten(0, 2))
    V, b_ih, b_hh = (
        parameters[f"{name}_l{number}"].double() for name in ("weight_ih", "bias_ih", "bias_hh")
    )
    V1 = torch.cat([V, (b_ih + b_hh).unsqueeze(-1)], dim=-1)
    drive = float(((V1 @ (x1.T @ x1 / len(x1))) * V1).sum(-1).mean())
    return drive if math.isfinite(drive) else math.nan


class Prediction(NamedTuple):
    """The drive s² of the top layer, the rate √χ and the bound on it (None: no theory for it)."""

    drive: float
    rate: float | None
    bound: float | None


def predict(
    network: Network, init: Init, task: Task, seed: int, weights: dict[str, Tensor]
) -> Prediction:
    """Measure the top layer's drive on fresh sequences of the run's own, and ask the theory."""
    drive = layer_drive(network, task, seed, weights, network.num_layers - 1)
    W = weights[network.top_weight]
    return Prediction(drive, _rate(network, init, W, drive), _bound(network, W))


def _rate(network: Network, init: Init, W: Tensor, drive: float) -> float | None:
    """Return √χ of the plain recurrence with random weights, as its init or W itself gives g."""
    if not network.kind.is_plain or not math.isfinite(drive):
        return None
    gain = init.mean_field_gain(W)
    if gain is None:
        return None
    rate = mean_field(network.activation, gain, drive).rate
    return rate if math.isfinite(rate) else None


def _bound(network: Network, W: Tensor) -> float | None:
    """Return the largest factor that a step back can have (`Cell.step_bound`)."""
    cell = network.make_cell()
    if cell.step_bound(1.0) is None:
        return None
    if not W.isfinite().all():
        return math.inf
    return cell.step_bound(float(torch.linalg.svdvals(W.double())[0]))
