r"""What the mean field is compared with: the measured slope of ln ‖∂L/∂h_t‖, and its edge.

Untrained wide networks, W_ij ~ N(0, g²/n), every unit driven by its own N(0, s²), no bias, from
h_0 ~ N(0, 1) through a burn-in to the stationary state; then T time steps with a loss at the last
one alone, whose ∂L/∂h_T ~ N(0, 1) is independent of W. The slope is that of a straight line
through ln ‖∂L/∂h_t‖ against the lag T − t; ½ ln χ predicts it. The seeds are runs side by side.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.activations import ACTIVATIONS
from rnn_exp.cells import LayerWeights, Trace
from rnn_exp.cells.elman import adjoint, forward
from rnn_exp.norms import log10_norm
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float

__all__ = ["Measured", "WideNetworks", "measured_edge", "measured_slope", "slope_against_lag"]

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
            >>> WideNetworks.draw("tanh", 1.0, 0.25, n=8, T=3).trace.now.shape
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
    drawn = (torch.randn(shape, dtype=torch.float64, generator=generator(seed, purpose))
             for seed in range(seeds))  # fmt: skip
    return torch.stack(list(drawn)) * scale
