r"""The stationary mean field of wide random networks, the edge it predicts, and the bound.

u_t = W h_{t-1} + a_t, h = φ(u), W_ij ~ N(0, g²/n), drive s² = mean square of a_t over units.
Length map (Sompolinsky, Crisanti & Sommers 1988; Poole et al. 2016, eq. 3, for recurrent weights):

    q = g² E[φ(√q z)²] + s²,    χ = g² E[φ'(√q* z)²],    z ~ N(0, 1).

Going back one time step multiplies ‖∂L/∂h_t‖ by √χ. Valid for wide networks with independent
random weights in their stationary state, for lags well below n. At the *critical* gain χ = 1: there
‖∂L/∂h_t‖ neither shrinks nor grows on average. The singular-value bound γ σ_max(W) → 2 γ g
guarantees vanishing up to the *bound* gain 1/(2γ) alone. What lies between vanishes, and no bound
says so.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import ACTIVATIONS, Activation
from rnn_exp.shapes import Float
from rnn_exp.theory.quadrature import STEEPEST, mean_square, mean_square_slope

__all__ = [
    "MeanField",
    "bound_gain",
    "critical_gain",
    "mean_field",
    "no_gain",
    "norm_bound",
]

_NOTHING = 1e-12  # a fixed point below this is 0
_SHORTEST, _LENGTHS = 1e-8, 800  # of the lengths among which a crossing is looked for
_TOLERANCE = 1e-12  # of the critical gain, relative


class MeanField(NamedTuple):
    """The fixed point q* of the length map, χ, and the decay rate √χ per step back in time."""

    q: float
    chi: float
    rate: float

    @property
    def exponent(self) -> float:
        """The Lyapunov exponent λ₁ = ½ ln χ, in nats per time step."""
        return 0.5 * math.log(self.chi) if self.chi > 0 else -math.inf


def mean_field(activation: str, gain: float, drive: float) -> MeanField:
    """Return q*, χ and the predicted decay rate √χ for a gain and a drive s².

    The drive has no default: it can turn exploding into vanishing. Beyond √q = 1000 the integrals
    of activations that are not homogeneous (tanh, sigmoid) are not resolved: all three are NaN.

    Args:
        activation: the word of φ.
        gain: g, the standard deviation of W times √n.
        drive: s², the mean square of what inputs and biases give a unit.

    Raises:
        ValueError: for a gain or drive that is negative or NaN.

    Example:
        >>> round(mean_field("tanh", 2.0, 0.0).rate, 4)
        1.1673
        >>> round(mean_field("sigmoid", 1.0, 0.0).rate, 4)
        0.2361
    """
    if not (gain >= 0 and drive >= 0):
        raise ValueError(f"gain and drive are at least 0, got {gain=}, {drive=}")
    phi = ACTIVATIONS[activation]
    if phi.homogeneous:
        # The slope does not depend on the size of u, not even where q → ∞.
        q, at = _linear_fixed_point(phi, gain, drive), 1.0
    else:
        q = _fixed_point(phi, gain, drive)
        if math.isnan(q):
            return MeanField(math.nan, math.nan, math.nan)
        at = math.sqrt(q)
    chi = gain * gain * mean_square_slope(phi, at)
    return MeanField(q, chi, math.sqrt(chi))


def _linear_fixed_point(phi: Activation, gain: float, drive: float) -> float:
    """Return q* of a homogeneous φ, whose length map is linear: φ(√q z)² = q φ(z)²."""
    slope = gain * gain * mean_square(phi, 1.0)
    if drive == 0 and slope <= 1:
        return 0.0
    return drive / (1 - slope) if slope < 1 else math.inf


def _fixed_point(phi: Activation, gain: float, drive: float) -> float:
    """Return the stable fixed point of the length map, by bisection on q; NaN: not resolved.

    Of a subhomogeneous φ, E[φ(√q z)²] / q falls with q: the map crosses q once, from above; with no
    drive and a weak gain at 0 alone. Of a bounded φ it stays under g² + s²; of another one the
    search goes up until the map is below q.
    """

    def length_map(q: float) -> float:
        return gain * gain * mean_square(phi, math.sqrt(q)) + drive

    low, high = 0.0, gain * gain + drive
    if phi.subhomogeneous:
        while high <= STEEPEST**2 and not phi.bounded and length_map(high) > high:
            high *= 2
    else:
        high = _first_crossing(phi.name, gain, drive)
    if not high <= STEEPEST**2:
        return math.nan
    while low < (middle := 0.5 * (low + high)) < high and high > _NOTHING:
        low, high = (middle, high) if length_map(middle) > middle else (low, middle)
    return middle if high > _NOTHING else 0.0


def _first_crossing(activation: str, gain: float, drive: float) -> float:
    """Return a length just above the smallest at which the length map crosses q; NaN: none does.

    It is the one that states come to which begin small. Of a φ that is not subhomogeneous there may
    be others above it (GELU keeps short states short, and long ones grow without end). Where the
    map falls through q more steeply than −1, lengths go up and down around it for ever: NaN.
    """
    q, squares = _lengths(activation)
    above = gain * gain * squares + drive - q
    below = np.flatnonzero(above <= 0)
    if not len(below):
        return math.nan
    first = int(below[0])
    if first and above[first] - above[first - 1] < -2 * (q[first] - q[first - 1]):
        return math.nan
    return float(q[first])


@functools.lru_cache(8)
def _lengths(activation: str) -> tuple[Float[np.ndarray, " length"], Float[np.ndarray, " length"]]:
    """Return lengths q, each some per cent above the one before, and E[φ(√q z)²] of each."""
    q = np.geomspace(_SHORTEST, STEEPEST**2, _LENGTHS)
    phi = ACTIVATIONS[activation]
    return q, np.array([mean_square(phi, math.sqrt(one)) for one in q])


def norm_bound(
    weight_hh: Float[Tensor, "run hidden hidden"], activation: str
) -> Float[Tensor, " run"]:
    r"""Return γ σ_max(W): no step back in time can multiply ‖∂L/∂h_t‖ by more.

    ‖g_{t-1}‖ ≤ γ σ_max(W) ‖g_t‖ where only the last step has a direct part, γ = sup φ'. Exact for
    every network and sequence (Pascanu, Mikolov & Bengio 2013, §2.1). Below 1 it is sufficient
    for vanishing; above 1 it is only necessary for exploding.

    Example:
        >>> norm_bound(2 * torch.eye(3).unsqueeze(0), "sigmoid").item()
        0.5
    """
    return ACTIVATIONS[activation].largest_slope * torch.linalg.svdvals(weight_hh)[..., 0]


def critical_gain(activation: str, drive: float) -> float:
    r"""Return the smallest gain g for which χ = g² E[φ'(√q* z)²] = 1 at the drive s².

    χ ≤ γ² g², so the search starts at g = 1/γ and doubles until χ ≥ 1. That χ grows with the gain,
    so that there is no second such gain, is measured (tests/theory/test_critical_gain.py) and not a
    theorem here. Where it is not one point: relu without drive keeps any length q at g = √2, and
    with drive q diverges there, yet χ = g²/2 holds for every q. Without drive tanh has q* = 0 up to
    g = 1, and above it χ − 1 grows only as (g − 1)². The drive has no default: for tanh it moves
    the edge up from 1 (Molgedey, Schuchhardt & Schuster 1992).

    GELU has none at weak drives (below about 0.2): its states stay short up to some gain, at which
    χ is still below 1 (without drive g = 2, where χ = g²/4), and above it they grow without end.

    Raises:
        ValueError: for a drive that is negative, infinite or NaN; for one so large that the
            critical gain lies where `mean_field` no longer resolves its integrals; and where states
            grow without end before χ is 1.

    Example:
        >>> [round(critical_gain("tanh", drive), 4) for drive in (0.0, 0.25)]
        [1.0, 1.5497]
        >>> round(critical_gain("sigmoid", 0.0), 3)
        10.149
    """
    if not 0 <= drive < math.inf:
        raise ValueError(f"the drive is a finite number of at least 0, got {drive}")
    low = high = 1 / ACTIVATIONS[activation].largest_slope
    while mean_field(activation, high, drive).chi < 1:
        low, high = high, 2 * high
    while high - low > _TOLERANCE * high:
        middle = math.sqrt(low * high)
        # NaN lies above the edge, if there is one: there the states grow without end.
        below = mean_field(activation, middle, drive).chi < 1
        low, high = (middle, high) if below else (low, middle)
    if math.isnan(mean_field(activation, high, drive).chi):
        raise ValueError(no_gain(activation, drive))
    return high


def no_gain(activation: str, drive: float) -> str:
    """Say why there is no critical gain: it is beyond what is resolved, or states grow before it.

    Args:
        activation: the word of φ.
        drive: s².
    """
    if ACTIVATIONS[activation].bounded:
        return f"the critical gain of {activation} at drive {drive:g} is too large"
    return (
        f"there is no critical gain of {activation} at drive {drive:g}: its gradient vanishes at "
        "every gain at which its states do not grow beyond what theory resolves"
    )


def bound_gain(activation: str) -> float:
    """Return 1/(2γ): below it the largest singular value guarantees vanishing (n → ∞).

    σ_max(W) → 2g for W_ij ~ N(0, g²/n) (Geman 1980), and γ σ_max(W) < 1 is sufficient for
    vanishing whatever the input (Pascanu, Mikolov & Bengio 2013, §2.1).

    Example:
        >>> bound_gain("tanh"), bound_gain("relu"), bound_gain("sigmoid")
        (0.5, 0.5, 2.0)
    """
    return 1 / (2 * ACTIVATIONS[activation].largest_slope)
