r"""Wide random networks against the mean field: slopes, critical gains, Lyapunov exponents.

Untrained wide networks, W_ij ~ N(0, g²/n), every unit driven by its own N(0, s²), no bias, from
h_0 ~ N(0, 1) through a burn-in to the stationary state; then T time steps with a loss at the last
one alone, whose ∂L/∂h_T ~ N(0, 1) is independent of W. The slope is that of a straight line
through ln ‖∂L/∂h_t‖ against the lag T − t; ½ ln χ predicts it. The seeds are runs side by side.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.cells import LayerWeights, Trace
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells.elman import adjoint, forward
from rnn_exp.networks.norms import log10_norm
from rnn_exp.profiles import slope
from rnn_exp.randomness import generator
from rnn_exp.reproduction.claims import DataclassMeasure, same_when_quick
from rnn_exp.reproduction.goals import Below, Near
from rnn_exp.shapes import Float
from rnn_exp.theory.lyapunov import largest_exponent, spectrum, sum_rule

__all__ = [
    "CLAIMS",
    "CriticalGain",
    "GradientSlope",
    "LargestExponent",
    "SumRule",
    "WideNetworks",
    "normals",
]

_LAGS = (5, 50)  # the first and the last lag of the fit: behind the loss, ahead of lag ~ n
_BRACKET = 1.1  # the critical gain lies between two gains whose ratio is at most this
_LARGEST_GAIN = 1e3


class WideNetworks(NamedTuple):
    """Networks in their stationary state, one run a seed, with the inputs that drove them."""

    activation: str
    weights: LayerWeights
    x: Float[Tensor, "time run batch hidden"]
    trace: Trace

    @classmethod
    def draw(
        cls,
        activation: str,
        gain: float,
        drive: float,
        *,
        n: int = 512,
        seeds: int = 4,
        batch: int = 2,
        T: int = 60,
        burn_in: int = 200,
    ) -> "WideNetworks":
        """Return T time steps of n units with seeds 0, 1, …, behind a burn-in; float64.

        Of one seed, W is the same but for its scale at every gain, so that what is found at two
        gains differs by the gain and not by the draw.

        Raises:
            ValueError: for a gain g or drive s² that is negative, infinite or NaN.

        Example:
            >>> WideNetworks.draw("tanh", 1.0, 0.25, n=8, T=3).x.shape
            torch.Size([3, 4, 2, 8])
        """
        if not (0 <= gain < math.inf and 0 <= drive < math.inf):
            raise ValueError(f"gain and drive are finite and at least 0, got {gain=}, {drive=}")
        W = normals(seeds, "wide weights", n, n, scale=gain / math.sqrt(n))
        x = normals(seeds, "wide inputs", burn_in + T, batch, n, scale=math.sqrt(drive))
        initial = normals(seeds, "wide initial states", batch, n)
        zeros = W.new_zeros(seeds, n)
        weights = LayerWeights(torch.eye(n, dtype=W.dtype).expand_as(W), W, zeros, zeros)
        x = x.transpose(0, 1)
        trace = forward(x, weights, initial, ACTIVATIONS[activation])
        return cls(activation, weights, x[burn_in:], trace.between(burn_in, burn_in + T))

    def log_gradient_norms(self) -> Float[Tensor, "time run"]:
        """Return ln ‖∂L/∂h_t‖, over batch and units, with `last_gradients` at the last step."""
        phi = ACTIVATIONS[self.activation]
        adjoints = adjoint(self.last_gradients(), self.trace, self.x, self.weights, phi)
        return log10_norm(adjoints.total) * math.log(10)

    def last_gradients(self) -> Float[Tensor, "1 run batch hidden"]:
        """Return ∂L/∂h_T ~ N(0, 1): the loss is a read-out that does not depend on W."""
        _, seeds, batch, n = self.x.shape
        return normals(seeds, "wide losses", batch, n).unsqueeze(0)


def normals(seeds: int, purpose: str, *shape: int, scale: float = 1.0) -> Tensor:
    """Draw N(0, scale²) in float64, every seed from its own generator."""
    drawn = [
        torch.randn(shape, dtype=torch.float64, generator=generator(seed, purpose))
        for seed in range(seeds)
    ]
    return torch.stack(drawn) * scale


@dataclasses.dataclass(frozen=True)
class GradientSlope(DataclassMeasure):
    """Slope of ln ‖∂L/∂h_t‖ against lag, lags 5–50, float64.

    In nats per time step; below 0 is vanishing. NaN where a gradient norm is zero (gain 0) or the
    states overflow (relu, g > 20).

    Example:
        >>> slopes = GradientSlope("identity", 0.5, 0.0, n=64, burn_in=10)()
        >>> abs(sum(slopes) / 4 - math.log(0.5)) < 0.05
        True
    """

    activation: str
    gain: float
    drive: float
    n: int = 512
    seeds: int = 4
    burn_in: int = 200

    def __call__(self) -> list[float]:
        """Return the slope of every seed.

        Raises:
            ValueError: for a gain g or drive s² that is negative, infinite or NaN.
        """
        networks = WideNetworks.draw(**dataclasses.asdict(self))
        return _slope_against_lag(networks.log_gradient_norms()).tolist()


def _slope_against_lag(
    log_norms: Float[Tensor, "time run"], lags: tuple[int, int] = _LAGS
) -> Float[Tensor, " run"]:
    """Return the least-squares slope of ln norm against lag, first to last lag, both included.

    Example:
        >>> halving = -math.log(2) * torch.arange(60.0).flip(0).unsqueeze(-1)
        >>> _slope_against_lag(halving).exp().round(decimals=4).item()
        0.5
    """
    first, last = lags
    lag = np.arange(first, last + 1)
    by_lag = log_norms.flip(0)[first : last + 1].numpy()
    return torch.tensor([slope(lag, run) for run in by_lag.T], dtype=log_norms.dtype)


@dataclasses.dataclass(frozen=True)
class CriticalGain(DataclassMeasure):
    """Gain at which the measured slope is 0.

    The mean field is not used. From g = ½, where the slope is below 0, the gain doubles until the
    slope is above 0; the bracket is halved (in ln g) on the mean over seeds down to a tenth, and
    each seed's slope is interpolated in it. A narrower bracket would fit the noise: above the
    critical gain states are chaotic. For tanh without drive expect more than 1: up to g ≈ 1.2
    finite networks end in fixed points or cycles, where nothing grows, and χ − 1 is no larger than
    the square of g − 1.
    """

    activation: str
    drive: float
    n: int = 512
    seeds: int = 4
    burn_in: int = 200

    def __call__(self) -> list[float]:
        """Return the gain of every seed.

        Raises:
            ValueError: for a drive s² that is negative, infinite or NaN, or where no gain up to
                1000 explodes.
        """
        low, high = 0.5, 1.0
        below, above = self._slopes(low), self._slopes(high)
        while not above.mean() > 0:
            if high > _LARGEST_GAIN:
                where = f"{self.activation} at drive {self.drive:g}"
                raise ValueError(f"{where} explodes at no gain up to {high:g}")
            low, high, below = high, 2 * high, above
            above = self._slopes(high)
        while high / low > _BRACKET:
            middle = math.sqrt(low * high)
            slopes = self._slopes(middle)
            if slopes.mean() > 0:
                high, above = middle, slopes
            else:
                low, below = middle, slopes
        return (low - below * (high - low) / (above - below)).tolist()

    def _slopes(self, gain: float) -> Float[Tensor, " run"]:
        slopes = GradientSlope(**dataclasses.asdict(self), gain=gain)
        return torch.tensor(slopes(), dtype=torch.float64)


@dataclasses.dataclass(frozen=True)
class LargestExponent(DataclassMeasure):
    """λ₁ in nats per time step, of one tangent vector after 100 steps."""

    gain: float
    n: int = 1024
    T: int = 800
    seeds: int = 3
    activation: str = "tanh"

    @property
    def expected_seconds(self) -> float:
        """Many products of a large matrix with a vector."""
        return 20.0

    def __call__(self) -> list[float]:
        """Return λ₁ of every seed, without drive."""
        W, states = _without_drive(self)
        return largest_exponent(W, states, self.activation, burn_in=100).tolist()


@dataclasses.dataclass(frozen=True)
class SumRule(DataclassMeasure):
    """|Σ λ_i by QR − mean of ln |det J_t||."""

    gain: float = 3.0
    n: int = 300
    T: int = 100
    seeds: int = 3
    activation: str = "tanh"

    def __call__(self) -> list[float]:
        """Return the difference of every seed."""
        W, states = _without_drive(self)
        by_qr = spectrum(W, states, self.activation).sum(-1)
        return (by_qr - sum_rule(W, states, self.activation)).abs().tolist()


def _without_drive(measure: LargestExponent | SumRule) -> tuple[Tensor, Tensor]:
    """Return W, and the states of one sequence that no input drives."""
    networks = WideNetworks.draw(**dataclasses.asdict(measure), drive=0.0, batch=1)
    return networks.weights.weight_hh, networks.trace.states[:, :, 0]


# activation, gain, drive, ½ ln χ, tolerance
_SLOPES = (
    ("tanh", 0.9, 0.0, -0.105361, 0.015),
    ("tanh", 1.0, 0.25, -0.2725, 0.015),
    ("tanh", 1.5, 0.0, 0.065217, 0.015),
    ("tanh", 2.0, 0.0, 0.154724, 0.015),
    ("tanh", 3.0, 0.0, 0.310249, 0.015),
    ("sigmoid", 1.0, 0.0, -1.4437, 0.015),
    ("sigmoid", 4.0, 0.0, -0.459548, 0.06),
    ("sigmoid", 10.0, 0.0, -0.007148, 0.06),
    ("relu", 1.0, 0.25, -0.346574, 0.015),
    ("relu", math.sqrt(2), 0.0, 0.0, 0.06),
)
# activation, drive, gain at which χ = 1, tolerance, seeds: more where one seed scatters more
_GAINS = (
    ("tanh", 0.25, 1.55, 0.03, 4),
    ("sigmoid", 0.0, 10.15, 1.0, 16),
    ("relu", 0.0, 1.414, 0.05, 16),
)
# gain, ½ ln χ, tolerance
_EXPONENTS = ((1.5, 0.065, 0.006), (3.0, 0.310, 0.01))

CLAIMS = (
    *(
        same_when_quick(
            "mean_field_slope",
            f"{activation}, g={gain:.4g}, s²={drive:g}: the slope is ½ ln χ",
            "Schoenholz et al. 2017, for recurrent weights; ½ ln χ by quadrature",
            Near(value, tolerance),
            GradientSlope(activation, gain, drive),
        )
        for activation, gain, drive, value, tolerance in _SLOPES
    ),
    *(
        same_when_quick(
            "critical_gain",
            f"{activation}, s²={drive:g}: the edge between vanishing and exploding",
            "Sompolinsky, Crisanti & Sommers 1988; Molgedey, Schuchhardt & Schuster 1992; χ = 1",
            Near(value, tolerance),
            CriticalGain(activation, drive, seeds=seeds),
        )
        for activation, drive, value, tolerance, seeds in _GAINS
    ),
    *(
        same_when_quick(
            "lyapunov_exponent",
            f"tanh, g={gain:g}: λ₁",
            "Engelken, Wolf & Abbott 2023; ½ ln χ by quadrature",
            Near(value, tolerance),
            LargestExponent(gain),
        )
        for gain, value, tolerance in _EXPONENTS
    ),
    same_when_quick(
        "lyapunov_sum",
        "Σ λ_i = n E[ln φ'] + ln |det W|",
        "exact for every network (chain rule)",
        Below(1e-8),
        SumRule(),
    ),
)
