"""Where vanishing turns into exploding: two gains, one exact in the mean and one guaranteed.

Of W_ij ~ N(0, g²/n) the mean field says χ(g, s²) = 1 at the *critical* gain: there ‖∂L/∂h_t‖
neither shrinks nor grows on average. The singular-value bound γ σ_max(W) → 2 γ g promises
vanishing up to the *bound* gain 1/(2γ) alone. What lies between vanishes with no promise.
"""

import math

from rnn_exp.activations import ACTIVATIONS
from rnn_exp.theory import mean_field

__all__ = ["bound_gain", "critical_gain"]

_TOLERANCE = 1e-12  # of the gain, relative


def critical_gain(activation: str, drive: float) -> float:
    r"""Return the smallest gain g for which χ = g² E[φ'(√q* z)²] = 1 at the drive s².

    χ ≤ γ² g², so the search starts at g = 1/γ and doubles until χ ≥ 1. That χ grows with the
    gain, so that there is no second such gain, is a measurement (tests/test_critical.py) and not
    a theorem here. Where it is not one point: relu without drive keeps any length q at g = √2,
    and with drive q diverges there, yet χ = g²/2 holds for every q. Without drive tanh has q* = 0
    up to g = 1, and above it χ − 1 grows only as (g − 1)². The drive has no default: for tanh it
    moves the edge up from 1 (Molgedey, Schuchhardt & Schuster 1992).

    Raises:
        ValueError: for a drive that is negative, infinite or NaN, and for one so large that the
            critical gain lies where `mean_field` no longer resolves its integrals.

    Example:
        >>> [round(critical_gain("tanh", drive), 4) for drive in (0.0, 0.25)]
        [1.0, 1.5497]
        >>> round(critical_gain("sigmoid", 0.0), 3)
        10.149
    """
    if not 0 <= drive < math.inf:
        raise ValueError(f"the drive is a finite number of at least 0, got {drive}")
    low = high = 1 / ACTIVATIONS[activation].largest_slope
    while not (chi := mean_field(activation, high, drive).chi) >= 1:
        if math.isnan(chi):
            raise ValueError(f"the critical gain of {activation} at drive {drive:g} is too large")
        low, high = high, 2 * high
    while high - low > _TOLERANCE * high:
        middle = math.sqrt(low * high)
        chi = mean_field(activation, middle, drive).chi
        low, high = (low, middle) if chi >= 1 else (middle, high)
    return high


def bound_gain(activation: str) -> float:
    """Return 1/(2γ): below it the largest singular value promises vanishing (n → ∞).

    σ_max(W) → 2g for W_ij ~ N(0, g²/n) (Geman 1980), and γ σ_max(W) < 1 is sufficient for
    vanishing whatever the input (Pascanu, Mikolov & Bengio 2013, §2.1).

    Example:
        >>> bound_gain("tanh"), bound_gain("relu"), bound_gain("sigmoid")
        (0.5, 0.5, 2.0)
    """
    return 1 / (2 * ACTIVATIONS[activation].largest_slope)
