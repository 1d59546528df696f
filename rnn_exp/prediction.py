"""A prediction: what theory says of a run before its first update."""

import math
from typing import NamedTuple

import torch

from rnn_exp.network import Parameters, layer
from rnn_exp.randomness import generator
from rnn_exp.recurrence import forward
from rnn_exp.run import Run
from rnn_exp.theory import mean_field, norm_bound

__all__ = ["Prediction", "predict"]

_SAMPLE = 256


class Prediction(NamedTuple):
    """The drive s² of the top layer, the rate √χ (None: no theory for it), the bound γ σ_max(W)."""

    drive: float
    rate: float | None
    bound: float


def predict(run: Run, parameters: Parameters, place: int) -> Prediction:
    """Measure the top layer's drive on fresh sequences of the run's own, and ask the theory."""
    batch = run.task.draw(_SAMPLE, generator(run.seed, "drive"))
    own = {name: view[place : place + 1] for name, view in parameters.views().items()}
    x = batch.inputs.unsqueeze(1).to(parameters.flat)
    top = run.network.num_layers - 1
    for number in range(top):
        weights = layer(own, number)
        start = x.new_zeros(1, _SAMPLE, run.network.hidden_size)
        x = forward(x, weights, start, run.network.phi).now
    V, W, b_ih, b_hh = layer(own, top)
    a = torch.einsum("trbi,rhi->trbh", x, V) + (b_ih + b_hh).unsqueeze(1)
    drive = float(a.double().square().mean())
    gain = run.init.mean_field_gain
    rate = math.nan
    if gain is not None and math.isfinite(drive):
        rate = mean_field(run.network.activation, gain, drive).rate
    bound = norm_bound(W.double(), run.network.activation) if W.isfinite().all() else math.inf
    return Prediction(drive, rate if math.isfinite(rate) else None, float(bound))
