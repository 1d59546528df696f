"""H1–H4: wide random networks against the mean field, and their Lyapunov exponents."""

import dataclasses
import math

from rnn_exp.lyapunov import largest_exponent, spectrum, sum_rule
from rnn_exp.results.claims import PlainMeasure, cheap
from rnn_exp.results.goals import Below, Near
from rnn_exp.slopes import WideNetworks, measured_edge, measured_slope

__all__ = ["CLAIMS", "Edge", "LargestExponent", "Slope", "SumRule"]


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
            self.activation, self.gain, self.drive,
            n=self.n, seeds=self.seeds, burn_in=self.burn_in,
        ).seeds  # fmt: skip


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
            drawn.weights.weight_hh, drawn.trace.now[:, :, 0], self.activation, burn_in=100
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
        W, states = drawn.weights.weight_hh, drawn.trace.now[:, :, 0]
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
        cheap("H1", f"{activation}, g={gain:.4g}, s²={drive:g}: the slope is ½ ln χ", _MEAN_FIELD,
              Near(value, tolerance), Slope(activation, gain, drive))
        for activation, gain, drive, value, tolerance in _SLOPES
    ),
    *(
        cheap("H2", f"{activation}, s²={drive:g}: the edge between vanishing and exploding", _CHAOS,
              Near(value, tolerance), Edge(activation, drive))
        for activation, drive, value, tolerance in _EDGES
    ),
    *(
        cheap("H3", f"tanh, g={gain:g}: λ₁", _LYAPUNOV, Near(value, tolerance),
              LargestExponent(gain))
        for gain, value, tolerance in ((1.5, 0.065, 0.006), (3.0, 0.310, 0.01))
    ),
    cheap("H4", "Σ λ_i = n E[ln φ'] + ln |det W|", "exact for every network (chain rule)",
          Below(1e-8), SumRule()),
)  # fmt: skip
