r"""Cells that keep part of the gradient, against the theory at two times (`theory.two_time`).

One step back is a + b_t W with one W for all t, so that paths that meet it at different times add
up: √(a² + g² E b²), which takes a new W at every step, is wrong. Untrained networks in float64,
behind a burn-in, with a loss at the last step alone, whose gradient is N(0, 1) and independent of
W. Of an LSTM the gradient is ∂L/∂c_t. Theory is given what the forward pass has made of the gates.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.cells import ACTIVATIONS, CELLS, Cell, LayerWeights
from rnn_exp.networks.inits import ForgetBias, TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.norms import log10_norm
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.profiles import slope
from rnn_exp.reproduction.claims import Claim, DataclassMeasure, same_when_quick
from rnn_exp.reproduction.goals import Above, Below, Goal, Near
from rnn_exp.reproduction.random_networks import normals
from rnn_exp.shapes import Float
from rnn_exp.theory.two_time import coupling, kept, log_sizes

__all__ = ["CLAIMS", "GatedRate", "SkipSlope"]

_BATCH = 2
_OURS, _THEORY, _ONE_STEP = "measured", "theory − measured", "measured − one-step formula"


class _Profiles(NamedTuple):
    """ln of the gradient's norm relative to lag 0, at the lags 0, 1, …, of one network."""

    measured: Float[np.ndarray, " lag"]
    two_time: Float[np.ndarray, " lag"]
    one_step: Float[np.ndarray, " lag"]


def _profiles(
    cell: Cell,
    weights: LayerWeights,
    x: Float[Tensor, "time 1 batch input"],
    states: tuple[Tensor, Tensor],
    gains: list[float],
    burn_in: int,
) -> _Profiles:
    """Return what is measured and what both formulas say of one network.

    Args:
        cell: what computes it.
        weights: its parameters, of one run.
        x: what drives it, with the burn-in.
        states: h_0 and ∂L/∂h_T.
        gains: g of each block of W_hh.
        burn_in: time steps that are no part of what is looked at.
    """
    initial, last = states
    trace = cell.forward(x, weights, initial).between(burn_in, len(x))
    adjoint = cell.adjoint(last.unsqueeze(0), trace, x[burn_in:], weights)
    carried = adjoint.total if adjoint.memory is None else adjoint.memory
    measured = log10_norm(carried)[:, 0].flip(0).numpy() * math.log(10)
    jacobian = cell.jacobian(trace)
    if jacobian is None:
        raise ValueError("this cell has no theory")
    keep, pairs = kept(jacobian), coupling(jacobian, gains)
    steps = 0.5 * np.log(keep**2 + np.diagonal(pairs))
    one_step = np.concatenate([[0.0], np.cumsum(steps)])
    return _Profiles(measured - measured[0], log_sizes(keep, pairs), one_step)


def _of(of: str, slopes: list[float]) -> float:
    """Return the value that is asked for, from that measured, of theory, and of one step."""
    measured, two_time, one_step = slopes
    return {_OURS: measured, _THEORY: two_time - measured, _ONE_STEP: measured - one_step}[of]


@dataclasses.dataclass(frozen=True)
class SkipSlope(DataclassMeasure):
    """Slope of ln ‖∂L/∂h_t‖ against lag, lags 20–100 of 120 steps, float64, N(0, s²) at every unit.

    Args:
        cell: leaky or residual, with tanh.
        gain: g.
        drive: s².
        of: what is looked at: measured, or its difference from one of the two formulas.
        leak: α.
        burn_in: time steps from h_0 = 0 (without drive, where 0 would stay, from N(0, 1)).
        n: units.
        seeds: how many.
    """

    cell: str
    gain: float
    drive: float
    of: str = _OURS
    leak: float = 0.1
    burn_in: int = 500
    n: int = 400
    seeds: int = 8

    def __call__(self, T: int = 120, lags: tuple[int, int] = (20, 100)) -> list[float]:
        """Return the value of every seed."""
        n, seeds = self.n, self.seeds
        W = normals(seeds, "wide weights", n, n, scale=self.gain / math.sqrt(n))
        initial = normals(seeds, "wide initial states", _BATCH, n)
        scale = math.sqrt(self.drive)
        x = normals(seeds, "wide inputs", self.burn_in + T, _BATCH, n, scale=scale).transpose(0, 1)
        last = normals(seeds, "wide losses", _BATCH, n)
        cell = CELLS[self.cell].build(ACTIVATIONS["tanh"], self.leak)
        own, zeros = torch.eye(n, dtype=W.dtype).unsqueeze(0), W.new_zeros(1, n)
        values = []
        for seed in range(seeds):
            one = slice(seed, seed + 1)
            weights = LayerWeights(own, W[one], zeros, zeros)
            states = (0 * initial[one] if self.drive else initial[one]), last[one]
            found = _profiles(cell, weights, x[:, one], states, [self.gain], self.burn_in)
            values.append(_of(self.of, [_slope(profile, lags) for profile in found]))
        return values


def _slope(profile: Float[np.ndarray, " lag"], lags: tuple[int, int]) -> float:
    """Return the least-squares slope, first to last lag, both included."""
    lag = np.arange(lags[0], lags[1] + 1)
    return slope(lag, profile[lag])


@dataclasses.dataclass(frozen=True)
class GatedRate(DataclassMeasure):
    """Rate of ‖∂L/∂h_t‖ (LSTM: ‖∂L/∂c_t‖), lags 5–60, float64, weights as torch draws them.

    Args:
        cell: gru or lstm.
        forget_bias: the bias of an LSTM's forget gate; None: as torch draws it.
        of: what is looked at: measured, or its difference from one of the two formulas.
        n: units.
        inputs: how many inputs N(0, 1); 0: none, and no other bias either.
        burn_in: time steps from h_0 = 0.
        seeds: how many.
    """

    cell: str
    forget_bias: float | None = None
    of: str = _OURS
    n: int = 512
    inputs: int = 0
    burn_in: int = 0
    seeds: int = 5

    def __call__(self, lags: tuple[int, int] = (5, 60)) -> list[float]:
        """Return the value of every seed."""
        network = Network(hidden_size=self.n, cell=self.cell, dtype="float64")
        cell, gains = network.make_cell(), [1 / math.sqrt(3)] * network.kind.gates
        T, width = lags[1] + 1, max(1, self.inputs)
        drawn = normals(self.seeds, "gated inputs", self.burn_in + T, _BATCH, width)
        last = normals(self.seeds, "gated losses", _BATCH, self.n)
        values = []
        for seed in range(self.seeds):
            x = drawn[seed].unsqueeze(1) * (1.0 if self.inputs else 0.0)
            states = last.new_zeros(1, _BATCH, self.n), last[seed : seed + 1]
            weights = self._weights(network, width, seed)
            found = _profiles(cell, weights, x, states, gains, self.burn_in)
            rates = [math.exp(_slope(profile, lags)) for profile in found]
            values.append(_of(self.of, rates))
        return values

    def _weights(self, network: Network, width: int, seed: int) -> LayerWeights:
        """Return the parameters; with no input the forget gate alone has a bias."""
        init = TorchDefault() if self.forget_bias is None else ForgetBias(self.forget_bias)
        drawn = init.draw(shapes(network, width, 1), seed, network.kind)
        own = {name: value.double().unsqueeze(0) for name, value in drawn.items()}
        weights = layer_weights(own, 0)
        if self.inputs:
            return weights
        biases = [torch.zeros_like(bias) for bias in (weights.bias_ih, weights.bias_hh)]
        gate = network.kind.forget_gate
        if self.forget_bias is not None and gate is not None:
            biases[0][:, gate * self.n : (gate + 1) * self.n] = self.forget_bias
        return weights._replace(bias_ih=biases[0], bias_hh=biases[1])


_DERIVED = "derived in rnn_exp.theory.two_time; measured by another program"


def _three(
    says: str, measure: SkipSlope | GatedRate, goals: tuple[Goal, Goal, Goal]
) -> tuple[Claim, ...]:
    """Return the claims on what is measured, on theory, and on the one-step formula."""
    whats = (
        ("as another program has measured", _OURS),
        ("theory at two times agrees", _THEORY),
        ("the one-step formula is too low", _ONE_STEP),
    )
    return tuple(
        same_when_quick(
            "two_time", f"{says}: {what}", _DERIVED, goal, dataclasses.replace(measure, of=of)
        )
        for (what, of), goal in zip(whats, goals, strict=True)
    )


# Tolerances: twice the scatter of one seed's slope, .002; rates in the same way.
_SKIP = (
    ("leaky", 0.9, 0.0, 500, -0.0144, 0.04),
    ("leaky", 1.0, 0.25, 500, -0.0223, 0.04),
    ("residual", 1.0, 0.25, 60, 0.0164, 0.005),
)
_LSTM_INPUTS = {"n": 128, "inputs": 4, "burn_in": 100, "seeds": 8}


def _lstm_rate(says: str, forget_bias: float, goal: Goal) -> Claim:
    measure = GatedRate("lstm", forget_bias, **_LSTM_INPUTS)  # type: ignore[arg-type]
    says = f"LSTM, forget bias {forget_bias:g}, 4 inputs N(0, 1): {says}"
    return same_when_quick("lstm_memory_rate", says, "as measured by two programs", goal, measure)


CLAIMS = (
    *(
        claim
        for cell, gain, drive, burn_in, value, apart in _SKIP
        for claim in _three(
            f"{cell} α=0.1, g={gain:g}, s²={drive:g}",
            SkipSlope(cell, gain, drive, burn_in=burn_in),
            (Near(value, 0.004), Near(0.0, 0.004), Above(apart)),
        )
    ),
    *_three(
        "torch's default GRU, no input",
        GatedRate("gru"),
        (Near(0.6383, 0.005), Near(0.0, 0.005), Above(0.05)),
    ),
    *_three(
        "LSTM, forget bias 1, no input",
        GatedRate("lstm", 1.0),
        (Near(0.8683, 0.005), Near(0.0, 0.005), Above(0.05)),
    ),
    _lstm_rate("the rate of ∂L/∂c", 1.0, Near(0.864, 0.01)),
    _lstm_rate("the rate of ∂L/∂c", 2.0, Near(0.975, 0.01)),
    _lstm_rate("∂L/∂c vanishes on every seed", 2.0, Below(1.0)),
)
