"""Criticality: the weights a run starts from, with the gain matched to its own inputs if wanted."""

import dataclasses
import math

import torch
from torch import Tensor

from rnn_exp.blocks import with_ones
from rnn_exp.critical import critical_gain
from rnn_exp.engines import climb
from rnn_exp.inits import Critical
from rnn_exp.network import shapes
from rnn_exp.randomness import generator
from rnn_exp.run import Run
from rnn_exp.settings import SettingError
from rnn_exp.shapes import Float

__all__ = ["drive_of", "weights_of"]

_SAMPLE = 256


def weights_of(run: Run) -> dict[str, Tensor]:
    """Return all parameters of a run before its first update.

    With `inits.Critical` every layer's W_hh is scaled to ``init.gain`` times the gain at which the
    mean field, under the drive that this layer's inputs and biases make, has χ = 1.

    Raises:
        SettingError: if that drive is beyond what the mean field resolves.
    """
    sizes = shapes(run.network, run.task.input_size, run.task.output_size)
    drawn = run.init.draw(sizes, run.seed)
    if isinstance(run.init, Critical):
        for number in range(run.network.num_layers):
            drive = drive_of(run, drawn, number)
            try:
                gain = critical_gain(run.network.activation, drive)
            except ValueError as error:
                raise SettingError("init.input_scale", run.init.input_scale,
                                   f"less, with init=critical: {error}") from None  # fmt: skip
            drawn[f"weight_hh_l{number}"] *= run.init.gain * gain
    return drawn


def _inputs_of_layer(
    run: Run, parameters: dict[str, Tensor], number: int
) -> Float[Tensor, "time 1 batch input"]:
    """Return what a layer reads of fresh sequences of the run's own; parameters of this run."""
    batch = run.task.draw(_SAMPLE, generator(run.seed, "drive"))
    x = batch.inputs[: batch.length].unsqueeze(1).to(parameters["weight_hh_l0"])
    if number == 0:
        return x
    below = dataclasses.replace(run.network, num_layers=number)
    return climb({name: value.unsqueeze(0).to(x) for name, value in parameters.items()}, x,
                 below)[-1].now  # fmt: skip


def drive_of(run: Run, parameters: dict[str, Tensor], number: int) -> float:
    """Return the drive s² of a layer: the mean square of V x_t + b over units, time and batch.

    With the second moment M = ⟨x xᵀ⟩ of the inputs it is tr(V M Vᵀ) / n: no drive is ever stored.
    """
    x = with_ones(_inputs_of_layer(run, parameters, number).double().flatten(0, 2))
    V, b_ih, b_hh = (parameters[f"{name}_l{number}"].double()
                     for name in ("weight_ih", "bias_ih", "bias_hh"))  # fmt: skip
    V1 = torch.cat([V, (b_ih + b_hh).unsqueeze(-1)], dim=-1)
    drive = float(((V1 @ (x.T @ x / len(x))) * V1).sum(-1).mean())
    return drive if math.isfinite(drive) else math.nan
