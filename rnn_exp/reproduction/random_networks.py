r"""Wide random networks against the mean field: slopes, edges and Lyapunov exponents.

Untrained wide networks, W_ij ~ N(0, g²/n), every unit driven by its own N(0, s²), no bias, from
h_0 ~ N(0, 1) through a burn-in to the stationary state; then T time steps with a loss at the last
one alone, whose ∂L/∂h_T ~ N(0, 1) is independent of W. The slope is that of a straight line
through ln ‖∂L/∂h_t‖ against the lag T − t; ½ ln χ predicts it. The seeds are runs side by side.
"""

import dataclasses
import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import LayerWeights, Trace
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells.elman import adjoint, forward
from rnn_exp.networks.norms import log10_norm
from rnn_exp.randomness import generator
from rnn_exp.reproduction.claims import Below, Near, PlainMeasure, cheap
from rnn_exp.shapes import Float
from rnn_exp.theory.lyapunov import largest_exponent, spectrum, sum_rule

__all__ = [
    "CLAIMS",
    "Edge",
    "LargestExponent",
    "Measured",
    "Slope",
    "SumRule",
    "WideNetworks",
    "measured_edge",
    "measured_slope",
    "slope_against_lag",
]

LAGS = (5, 50)  # the first and the last lag of the fit: behind the loss, ahead of lag ~ n
_BRACKET = 1.1  # the edge is interpolated between two gains whose ratio is at most this
_LARGEST_GAIN = 1e3


class Measured(NamedTuple):
    """The mean over seeds, its standard error (NaN for one seed), and the seeds' own values."""

    mean: float
    error: float
    seeds: tuple[float, ...]

    @classmethod
    def of(cls, values: Float[Tensor, " run"]) -> "Measured":
        """Summarise one value a seed."""
        scatter = float(values.std()) if len(values) > 1 else math.nan
        error = scatter / math.sqrt(len(values))
        return cls(float(values.mean()), error, tuple(values.tolist()))


class WideNetworks(NamedTuple):
    """Networks in their stationary state, one run a seed: what drove them and what came of it."""

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
        """Return T time steps of networks with seeds 0, 1, …, behind a burn-in; float64.

        Of one seed, W is the same but for its scale at every gain, so that what is found at two
        gains differs by the gain and not by the draw.

        Raises:
            ValueError: for a gain or drive that is negative, infinite or NaN.

        Example:
            >>> WideNetworks.draw("tanh", 1.0, 0.25, n=8, T=3).trace.states.shape
            torch.Size([3, 4, 2, 8])
        """
        if not (0 <= gain < math.inf and 0 <= drive < math.inf):
            raise ValueError(f"gain and drive are finite and at least 0, got {gain=}, {drive=}")
        W = _normals(seeds, "wide weights", n, n, scale=gain / math.sqrt(n))
        x = _normals(seeds, "wide inputs", burn_in + T, batch, n, scale=math.sqrt(drive))
        initial = _normals(seeds, "wide initial states", batch, n)
        zeros = W.new_zeros(seeds, n)
        weights = LayerWeights(torch.eye(n, dtype=W.dtype).expand_as(W), W, zeros, zeros)
        x = x.transpose(0, 1)
        trace = forward(x, weights, initial, ACTIVATIONS[activation])
        return cls(weights, x[burn_in:], trace.between(burn_in, burn_in + T))

    def log_gradient_norms(self, activation: str) -> Float[Tensor, "time run"]:
        """Return ln ‖∂L/∂h_t‖, over batch and units, behind `last_gradients`."""
        last, phi = self.last_gradients(), ACTIVATIONS[activation]
        found = adjoint(last, self.trace, self.x, self.weights, phi)
        return log10_norm(found.total) * math.log(10)

    def last_gradients(self) -> Float[Tensor, "1 run batch hidden"]:
        """Return ∂L/∂h_T ~ N(0, 1): the loss is a read-out that knows nothing of W."""
        _, seeds, batch, n = self.x.shape
        return _normals(seeds, "wide losses", batch, n).unsqueeze(0)


def slope_against_lag(
    log_norms: Float[Tensor, "time run"], lags: tuple[int, int] = LAGS
) -> Float[Tensor, " run"]:
    """Return the least-squares slope of ln norm against lag, first to last lag, both included.

    Example:
        >>> halving = -math.log(2) * torch.arange(60.0).flip(0).unsqueeze(-1)
        >>> slope_against_lag(halving).exp().round(decimals=4).item()
        0.5
    """
    first, last = lags
    lag = torch.arange(first, last + 1)
    y = log_norms[len(log_norms) - 1 - lag]
    x = (lag - 0.5 * (first + last)).to(y.dtype)
    return x @ y / (x @ x)


def measured_slope(
    activation: str, gain: float, drive: float, *, n: int = 512, seeds: int = 4, burn_in: int = 200
) -> Measured:
    """Return the slope of ln ‖∂L/∂h_t‖ in nats per time step of lag; below 0 is vanishing.

    NaN where a gradient norm is zero (gain 0) or the states overflow (relu, g > 20).

    Raises:
        ValueError: for a gain or drive that is negative, infinite or NaN.

    Example:
        >>> found = measured_slope("identity", 0.5, 0.0, n=64, burn_in=10)
        >>> abs(found.mean - math.log(0.5)) < 0.05
        True
    """
    drawn = WideNetworks.draw(activation, gain, drive, n=n, seeds=seeds, burn_in=burn_in)
    return Measured.of(slope_against_lag(drawn.log_gradient_norms(activation)))


def measured_edge(
    activation: str, drive: float, *, n: int = 512, seeds: int = 4, burn_in: int = 200
) -> Measured:
    """Return the gain at which the measured slope is 0, with no help from the mean field.

    From g = ½, where the slope is below 0, the gain doubles until the slope is above 0; the
    bracket is halved (in ln g) on the mean over seeds down to a tenth, and each seed's slope is
    interpolated in it. A narrower bracket would fit the noise: above the edge states are chaotic.
    For tanh without drive expect more than 1: up to g ≈ 1.2 finite networks end in fixed points
    or cycles, where nothing grows, and χ − 1 is no larger than the square of g − 1.

    Raises:
        ValueError: for a drive that is negative, infinite or NaN, or where no gain up to 1000
            explodes.
    """

    def slopes(gain: float) -> Tensor:
        found = measured_slope(activation, gain, drive, n=n, seeds=seeds, burn_in=burn_in)
        return torch.tensor(found.seeds, dtype=torch.float64)

    low, high = 0.5, 1.0
    below, above = slopes(low), slopes(high)
    while not above.mean() > 0:
        if high > _LARGEST_GAIN:
            raise ValueError(f"{activation} at drive {drive:g} explodes at no gain up to {high:g}")
        low, below = high, above
        high *= 2
        above = slopes(high)
    while high / low > _BRACKET:
        middle = math.sqrt(low * high)
        found = slopes(middle)
        if found.mean() > 0:
            high, above = middle, found
        else:
            low, below = middle, found
    return Measured.of(low - below * (high - low) / (above - below))


def _normals(seeds: int, purpose: str, *shape: int, scale: float = 1.0) -> Tensor:
    """Draw N(0, scale²) in float64, every seed from its own generator."""
    drawn = (
        torch.randn(shape, dtype=torch.float64, generator=generator(seed, purpose))
        for seed in range(seeds)
    )
    return torch.stack(list(drawn)) * scale


@dataclasses.dataclass(frozen=True)
class Slope(PlainMeasure):
    """Slope of ln ‖∂L/∂h_t‖ against lag, lags 5–50, float64."""

    activation: str
    gain: float
    drive: float
    n: int = 512
    seeds: int = 4
    burn_in: int = 200

    def __call__(self) -> tuple[float, ...]:
        """Return the slope of every seed."""
        return measured_slope(
            self.activation,
            self.gain,
            self.drive,
            n=self.n,
            seeds=self.seeds,
            burn_in=self.burn_in,
        ).seeds


@dataclasses.dataclass(frozen=True)
class Edge(PlainMeasure):
    """Gain at which the measured slope is 0."""

    activation: str
    drive: float
    n: int = 512
    seeds: int = 4
    burn_in: int = 200

    def __call__(self) -> tuple[float, ...]:
        """Return the gain of every seed."""
        return measured_edge(
            self.activation, self.drive, n=self.n, seeds=self.seeds, burn_in=self.burn_in
        ).seeds


@dataclasses.dataclass(frozen=True)
class LargestExponent(PlainMeasure):
    """λ₁ in nats per time step, of one tangent vector after 100 steps."""

    gain: float
    n: int = 1024
    T: int = 800
    seeds: int = 3
    activation: str = "tanh"

    @property
    def work(self) -> float:
        """Many products of a large matrix with a vector."""
        return 20.0

    def __call__(self) -> list[float]:
        """Return λ₁ of every seed, without drive."""
        drawn = WideNetworks.draw(
            self.activation, self.gain, 0.0, n=self.n, T=self.T, seeds=self.seeds, batch=1
        )
        return largest_exponent(
            drawn.weights.weight_hh, drawn.trace.states[:, :, 0], self.activation, burn_in=100
        ).tolist()


@dataclasses.dataclass(frozen=True)
class SumRule(PlainMeasure):
    """|Σ λ_i by QR − mean of ln |det J_t||."""

    gain: float = 3.0
    n: int = 300
    T: int = 100
    seeds: int = 3
    activation: str = "tanh"

    def __call__(self) -> list[float]:
        """Return the difference of every seed."""
        drawn = WideNetworks.draw(
            self.activation, self.gain, 0.0, n=self.n, T=self.T, seeds=self.seeds, batch=1
        )
        W, states = drawn.weights.weight_hh, drawn.trace.states[:, :, 0]
        by_qr = spectrum(W, states, self.activation).sum(-1)
        return (by_qr - sum_rule(W, states, self.activation)).abs().tolist()


_MEAN_FIELD = "Schoenholz et al. 2017, §3, for recurrent weights; ½ ln χ by quadrature"
_CHAOS = "Sompolinsky, Crisanti & Sommers 1988; Molgedey, Schuchhardt & Schuster 1992; χ = 1"
_LYAPUNOV = "Engelken, Wolf & Abbott 2023; ½ ln χ by quadrature"

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
_EDGES = (("tanh", 0.25, 1.55, 0.03), ("sigmoid", 0.0, 10.15, 1.0), ("relu", 0.0, 1.414, 0.05))

CLAIMS = (
    *(
        cheap(
            "H1",
            f"{activation}, g={gain:.4g}, s²={drive:g}: the slope is ½ ln χ",
            _MEAN_FIELD,
            Near(value, tolerance),
            Slope(activation, gain, drive),
        )
        for activation, gain, drive, value, tolerance in _SLOPES
    ),
    *(
        cheap(
            "H2",
            f"{activation}, s²={drive:g}: the edge between vanishing and exploding",
            _CHAOS,
            Near(value, tolerance),
            Edge(activation, drive),
        )
        for activation, drive, value, tolerance in _EDGES
    ),
    *(
        cheap(
            "H3", f"tanh, g={gain:g}: λ₁", _LYAPUNOV, Near(value, tolerance), LargestExponent(gain)
        )
        for gain, value, tolerance in ((1.5, 0.065, 0.006), (3.0, 0.310, 0.01))
    ),
    cheap(
        "H4",
        "Σ λ_i = n E[ln φ'] + ln |det W|",
        "exact for every network (chain rule)",
        Below(1e-8),
        SumRule(),
    ),
)
