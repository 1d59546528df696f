"""Decay: how fast the gradient norm shrinks or grows per time step, and the verdict on it.

slope s of ln norm against lag  →  decay rate e^s (0.6: shrinks to 60 % per step back in time)
half-life ln 2 / |s|, in time steps: lags until the norm has halved (or doubled)
"""

import math
from typing import NamedTuple

import numpy as np

__all__ = ["RULE", "Decay", "measure", "rate_over_lags", "slope"]

RULE = (
    "A straight line is fitted to ln ‖∂L/∂h_t‖ against lag. Norms that are zero, underflowed or "
    "not finite do not count, nor do the first and the last tenth of those that do. Over the whole "
    "sequence that line falls by more than a factor of ten: vanishing; rises by more than a factor "
    "of ten: exploding; neither: stable. The run met NaN or infinity: diverged. Fewer than three "
    "usable norms: vanishing if all the others are zero or underflowed, else undetermined."
)
_FACTOR = 10.0
_FEWEST = 3


class Decay(NamedTuple):
    """Decay rate (factor per step back in time), half-life (time steps), verdict."""

    rate: float
    half_life: float
    verdict: str


def measure(log10_total: np.ndarray, usable: np.ndarray) -> Decay:
    """Fit the decay of one profile, given at times 1…T.

    Example:
        >>> halving = np.log10(0.5) * np.arange(20)[::-1]
        >>> decay = measure(halving, np.ones(20, dtype=bool))
        >>> round(decay.rate, 6), round(decay.half_life, 6), decay.verdict
        (0.5, 1.0, 'vanishing')
    """
    T = len(log10_total)
    lag = np.arange(T)[::-1]
    found = np.flatnonzero(usable)
    inside = found[len(found) // 10 : len(found) - len(found) // 10]
    if len(inside) < _FEWEST:
        gone = ~usable.all() and usable[-1] and (log10_total[~usable] < log10_total[-1]).all()
        return Decay(math.nan, math.nan, "vanishing" if gone else "undetermined")
    per_lag = slope(lag[inside], log10_total[inside] * math.log(10))
    change = per_lag * (T - 1)
    limit = math.log(_FACTOR)
    verdict = "stable" if abs(change) <= limit else "exploding" if change > 0 else "vanishing"
    return Decay(math.exp(per_lag), math.log(2) / abs(per_lag) if per_lag else math.inf, verdict)


def rate_over_lags(log10_norms: np.ndarray, lag: np.ndarray, first: int, last: int) -> float:
    """Fit the decay rate over some lags, all of which must be known.

    Args:
        log10_norms: log10 of the gradient norm, in any order.
        lag: that of each norm, in time steps.
        first: the smallest lag that counts.
        last: the largest lag that counts.

    Returns:
        The factor per step back in time; NaN where a norm of these lags is missing or not finite.

    Example:
        >>> lag = np.arange(20)
        >>> round(rate_over_lags(lag * np.log10(0.5), lag, 5, 15), 6)
        0.5
    """
    lags = np.arange(first, last + 1)
    inside = np.flatnonzero((lag >= first) & (lag <= last))
    inside = inside[np.argsort(lag[inside], kind="stable")]
    norms = log10_norms[inside]
    if not np.array_equal(lag[inside], lags):
        return math.nan
    return math.exp(slope(lags, norms * math.log(10)))


def slope(lag: np.ndarray, ln_norm: np.ndarray) -> float:
    """Fit a straight line by least squares; return how much ln of the norm changes per lag.

    Args:
        lag: two or more different lags, in time steps.
        ln_norm: the natural logarithm of the norm at each.

    Returns:
        The slope; NaN if any of the norms is zero or not finite.
    """
    if not np.isfinite(ln_norm).all():
        return math.nan
    x = lag - lag.mean()
    return float(x @ ln_norm / (x @ x))
