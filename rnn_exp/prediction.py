"""A prediction: what theory says of a run before its first update."""

import math
from typing import NamedTuple

from torch import Tensor

from rnn_exp.cells import Elman, Skip
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
    drive = drive_of(run, weights, run.network.num_layers - 1)
    W = weights[run.network.top]
    return Prediction(drive, _rate(run, W, drive), _bound(run, W))


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
    cell = run.network.layer
    if not isinstance(cell, Elman | Skip):
        return None
    if not W.isfinite().all():
        return math.inf
    bound = float(norm_bound(W.double().unsqueeze(0), run.network.activation))
    return cell.keep + cell.add * bound if isinstance(cell, Skip) else bound
