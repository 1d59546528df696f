"""A prediction: what theory says of a run before its first update."""

import math
from typing import NamedTuple

from torch import Tensor

from rnn_exp.criticality import drive_of
from rnn_exp.inits import Critical
from rnn_exp.run import Run
from rnn_exp.theory import mean_field, norm_bound

__all__ = ["Prediction", "predict"]


class Prediction(NamedTuple):
    """The drive s² of the top layer, the rate √χ and the bound on it (None: no theory for it)."""

    drive: float
    rate: float | None
    bound: float | None


def predict(run: Run, weights: dict[str, Tensor]) -> Prediction:
    """Measure the top layer's drive on fresh sequences of the run's own, and ask the theory."""
    top = run.network.num_layers - 1
    drive = drive_of(run, weights, top)
    return Prediction(drive, _rate(run, weights[f"weight_hh_l{top}"], drive),
                      _bound(run, weights[f"weight_hh_l{top}"]))  # fmt: skip


def _rate(run: Run, W: Tensor, drive: float) -> float | None:
    """Return √χ of the plain recurrence with random weights, as its init or W itself gives g."""
    if run.network.cell != "rnn" or not math.isfinite(drive):
        return None
    gain = run.init.mean_field_gain(run.network.hidden_size)
    if gain is None and isinstance(run.init, Critical):
        gain = float(W.double().std()) * math.sqrt(run.network.hidden_size)
    if gain is None:
        return None
    rate = mean_field(run.network.activation, gain, drive).rate
    return rate if math.isfinite(rate) else None


def _bound(run: Run, W: Tensor) -> float | None:
    """Return the largest factor of a step back: γ σ_max(W), or keep + add · γ σ_max(W)."""
    if run.network.gated or run.network.cell == "normed":
        return None
    if not W.isfinite().all():
        return math.inf
    bound = float(norm_bound(W.double().unsqueeze(0), run.network.activation))
    leak = run.network.leak
    if leak is None:
        return bound
    return (1 - leak if run.network.cell == "leaky" else 1.0) + leak * bound
