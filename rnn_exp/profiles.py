r"""What can be said of one gradient profile: a summary with its uncertainty, and a verdict.

A profile is log10 ‖∂L/∂h_t‖ at times 1…T; its lag is T − t. ln ‖g‖ against lag is a sum of
increments, a walk with drift, so the residuals of a straight line say far too little about the
error of its slope (at a nominal 95 % they hold the drift of a random walk of 80 lags in 29 %).

slope s          mean increment of ln ‖g‖ per lag over the middle 80 % of the lags
decay rate e^s   0.6: keeps 60 % per step back in time
half-life        ln 2 / |s|, in time steps: lags until the norm has halved (or doubled)
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

__all__ = [
    "CONFIDENCE",
    "RULE",
    "Drift",
    "Interval",
    "Summary",
    "drift",
    "mean_interval",
    "rate_over_lags",
    "slope",
    "summarize",
]

CONFIDENCE: Final = 0.95
"""What all intervals are meant to hold."""

RULE: Final = (
    "Change: the norm at the first time step over that at the last, measured. Rate: the mean "
    "increment of ln ‖g‖ per lag over the middle 80 % of the lags, its 95 % interval from an "
    "AR(1) model of the increments. Vanishing (exploding): the change is below 1/10 (above 10) "
    "and the interval of the rate lies below (above) 1. Stable: the change is within 1/10 and 10, "
    "and no third of the lags alone, carried over the whole sequence, would leave that range "
    "where the profile is bent. Fewer than 5 lags in the middle: the change alone decides. A norm "
    "that is exactly zero from some lag on: vanishing. Anything else is undetermined, with its "
    "reason. The verdict is of the gradient alone: whether training diverged is its status."
)

_TENFOLD = math.log(10)
_FEWEST_LAGS = 5
_FEWEST_INCREMENTS = 7
_MOST_CORRELATED, _MOST_OF_FEW = 0.95, 0.5
_FEW = 12
_BENT = 0.2
_HORIZON = -2.0
# A norm is a number of single precision, known to about so much: no rate is known better than this.
_ROUNDING = 1e-6


class Drift(NamedTuple):
    """The mean increment of a walk, in its unit per step, with standard error and interval."""

    mean: float
    error: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there were increments enough for it."""
        return math.isfinite(self.mean)


_NO_DRIFT: Final = Drift(math.nan, math.nan, math.nan, math.nan)


class Interval(NamedTuple):
    """A mean over seeds with its interval (NaN: fewer than two values), and how many there were."""

    mean: float
    low: float
    high: float
    seeds: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """All that is said of one profile.

    Args:
        log10_change: log10 of ‖g_1‖ / ‖g_T‖; −∞ where ‖g_1‖ is exactly zero, NaN: not measured.
        slope: of ln ‖g‖ per lag, in nats; NaN: too few lags.
        error: the standard error of the slope.
        low: the lower end of the slope's interval.
        high: its upper end.
        r_squared: how much of the variance of ln ‖g‖ a straight line explains; NaN: nothing varies.
        is_bent: whether the slopes of the first and the last third of the lags differ by more than
            twice their joint standard error and by more than 20 %.
        horizon: lags until the norm is 1 % of its largest value at smaller lags; infinite: beyond
            the sequence.
        verdict: vanishing, exploding, stable or undetermined.
        reason: why, in a clause.
        lags: the lag of the first time step, T − 1.
        lost_at: the lag at which the profile ends, as it is zero, cut off or not finite from there.
    """

    log10_change: float
    slope: float
    error: float
    low: float
    high: float
    r_squared: float
    is_bent: bool
    horizon: float
    verdict: str
    reason: str
    lags: int
    lost_at: int | None = None

    @property
    def rate(self) -> float:
        """The factor per step back in time."""
        return math.exp(self.slope)

    @property
    def rate_low(self) -> float:
        """The lower end of the rate's interval."""
        return math.exp(min(self.low, 700.0))

    @property
    def rate_high(self) -> float:
        """The upper end of the rate's interval."""
        return math.exp(min(self.high, 700.0))

    @property
    def half_life(self) -> float:
        """Lags until the norm has halved or doubled; infinite where the interval holds a rate of 1.

        NaN where there is no rate, or where the profile ends before the first time step.
        """
        if math.isnan(self.slope) or self.lost_at is not None:
            return math.nan
        return math.inf if self.low <= 0 <= self.high else math.log(2) / abs(self.slope)

    @property
    def half_life_interval(self) -> tuple[float, float]:
        """The shortest and the longest half-life (doubling time) that the slope's interval has."""
        if math.isnan(self.half_life):
            return math.nan, math.nan
        flattest, steepest = sorted((abs(self.low), abs(self.high)))
        holds_one = self.low <= 0 <= self.high or not flattest
        return math.log(2) / steepest, math.inf if holds_one else math.log(2) / flattest


def summarize(log10_norms: np.ndarray, statuses: Sequence[str] | np.ndarray) -> Summary:
    """Summarize one profile; the only place where a verdict is given (`RULE`).

    Args:
        log10_norms: log10 of the norm at times 1…T, true at any magnitude.
        statuses: of each norm (`schema.GRADIENT_STATUSES`): they say why a norm is no number.

    Returns:
        The summary.

    Example:
        >>> halving = np.log10(0.5) * np.arange(20)[::-1]
        >>> found = summarize(halving, ["ok"] * 20)
        >>> round(found.rate, 6), round(found.half_life, 6), found.verdict
        (0.5, 1.0, 'vanishing')
    """
    by_lag = np.asarray(log10_norms, dtype=float)[::-1]
    words = [str(status) for status in statuses][::-1]
    known = np.isfinite(by_lag)
    end = len(by_lag) if known.all() else int(np.argmin(known))
    ln_norms = by_lag[:end] * _TENFOLD
    found = drift(np.diff(_middle(ln_norms))) if len(_middle(ln_norms)) >= _FEWEST_LAGS else None
    found = found or _NO_DRIFT
    lost = None if end == len(by_lag) else words[end]
    change = by_lag[-1] - by_lag[0] if lost is None else -math.inf if lost == "zero" else math.nan
    if end == 0 or len(by_lag) < 2:
        change = math.nan
    first, last = (drift(np.diff(part)) for part in _end_thirds(ln_norms))
    bent = _differ(first, last)
    verdict, reason = _verdict(change, found, (first, last) if bent else None, lost, end, by_lag)
    return Summary(
        log10_change=float(change),
        slope=found.mean,
        error=found.error,
        low=found.low,
        high=found.high,
        r_squared=_r_squared(_middle(ln_norms)),
        is_bent=bent,
        horizon=_horizon(by_lag, end, lost),
        verdict=verdict,
        reason=reason,
        lags=len(by_lag) - 1,
        lost_at=None if lost is None else end,
    )


def _middle(by_lag: np.ndarray) -> np.ndarray:
    """Return the middle 80 % of the lags."""
    cut = len(by_lag) // 10
    return by_lag[cut : len(by_lag) - cut]


def _end_thirds(by_lag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last third of the lags; empty where they are too few to compare."""
    third = len(by_lag) // 3
    if third < _FEWEST_INCREMENTS + 1:
        return by_lag[:0], by_lag[:0]
    return by_lag[:third], by_lag[len(by_lag) - third :]


def drift(increments: np.ndarray) -> Drift:
    r"""Estimate the mean increment of a walk whose increments are autocorrelated.

    d_i − μ = ρ (d_{i-1} − μ) + e_i,   standard error s_e / ((1 − ρ) √n)

    ρ is that of least squares with Kendall's (1954) correction of its bias, −(1 + 3ρ)/n. The
    interval is Student's with (n − 3)(1 − ρ)/2 degrees of freedom, the fewer the more the error
    depends on ρ itself. In simulations (2,000 walks each) it holds the drift in 92–95 % for 19 and
    more increments and −.3 ≤ ρ ≤ .8. Fewer than 12 increments cannot tell a trend from
    autocorrelation: ρ is then at most .5, with n − 3 degrees of freedom (88–93 % for −.3 ≤ ρ ≤ .5).
    Fewer than 7: as if ρ = 0.

    Args:
        increments: of ln of the norm, one a lag.

    Returns:
        The drift per lag; NaN for fewer than two increments.

    Example:
        >>> [round(part, 3) for part in drift(np.array([0.1, 0.3, 0.2, 0.2, 0.1, 0.3, 0.2]))]
        [0.2, 0.016, 0.156, 0.244]
    """
    n = len(increments)
    if n < 2:
        return _NO_DRIFT
    mean = float(increments.mean())
    apart = increments - mean
    error, freedom = math.sqrt(float(apart @ apart) / (n - 1) / n), float(n - 1)
    if n >= _FEWEST_INCREMENTS and apart.any():
        few = n < _FEW
        rho, left = _autocorrelation(apart, _MOST_OF_FEW if few else _MOST_CORRELATED)
        error = math.sqrt(left / n) / (1 - rho)
        freedom = float(n - 3) if few else max((n - 3) * (1 - rho) / 2, 1.0)
    error = math.hypot(error, _ROUNDING * math.sqrt(2) / n)
    reach = _student(freedom) * error
    return Drift(mean, error, mean - reach, mean + reach)


def _autocorrelation(apart: np.ndarray, most: float) -> tuple[float, float]:
    """Return ρ (at most so much) of an AR(1) process, and the variance of what it leaves."""
    before, after = apart[:-1] - apart[:-1].mean(), apart[1:] - apart[1:].mean()
    pairs, size = len(before), float(before @ before)
    rho = float(before @ after) / size if size else 0.0
    if pairs > 3:
        rho = (pairs * rho + 1) / (pairs - 3)
    rho = min(max(rho, -_MOST_CORRELATED), most)
    left = after - rho * before
    return rho, float(left @ left) / (pairs - 2)


def _student(freedom: float) -> float:
    """Return the quantile of Student's t that a two-sided interval of `CONFIDENCE` reaches to."""
    from scipy.special import stdtrit  # here, because a list of settings must not wait for it

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _differ(first: Drift, last: Drift) -> bool:
    """Say whether two slopes differ by more than twice their joint error and more than 20 %.

    In simulations 4 to 7 % of straight walks of 24 to 100 lags are called bent.
    """
    if not (first.is_known and last.is_known):
        return False
    gap = abs(first.mean - last.mean)
    return gap > 2 * math.hypot(first.error, last.error) and gap > _BENT * max(
        abs(first.mean), abs(last.mean)
    )


def _r_squared(ln_norms: np.ndarray) -> float:
    """Return the share of the variance that a straight line explains; NaN where none is."""
    if len(ln_norms) < _FEWEST_LAGS:
        return math.nan
    lag = np.arange(len(ln_norms)) - (len(ln_norms) - 1) / 2
    apart = ln_norms - ln_norms.mean()
    whole, along = float(apart @ apart), float(lag @ apart)
    if whole <= len(ln_norms) * _ROUNDING**2:
        return math.nan
    return along * along / float(lag @ lag) / whole


def _horizon(by_lag: np.ndarray, end: int, lost: str | None) -> float:
    """Return the lag at which the norm is 1 % of its largest value before; infinite: never."""
    if end:
        below = by_lag[:end] - np.maximum.accumulate(by_lag[:end]) <= _HORIZON
        if below.any():
            return float(np.argmax(below))
        if lost == "zero":
            return float(end)
    return math.inf if lost is None else math.nan


def _verdict(
    change: float,
    rate: Drift,
    thirds: tuple[Drift, Drift] | None,
    lost: str | None,
    end: int,
    by_lag: np.ndarray,
) -> tuple[str, str]:
    """Return the verdict and its reason, by `RULE`; ``thirds``: the slopes of a bent profile."""
    if by_lag.size < 2:
        return "undetermined", "one time step has no lag"
    if lost is not None:
        return _verdict_of_lost(lost, end)
    side = "vanishing" if change < -1 else "exploding" if change > 1 else "stable"
    if not rate.is_known:
        few = f"fewer than {_FEWEST_LAGS} lags in the middle of the profile for a rate"
        return side, f"from the change alone: {few}"
    if side == "stable":
        lags = by_lag.size - 1
        steep = thirds and max(abs(third.mean) * lags for third in thirds) > _TENFOLD
        if steep:
            return "undetermined", "bent: no one rate describes the profile"
        return side, "the norm changes less than tenfold over the sequence"
    if (rate.high if side == "vanishing" else -rate.low) < 0:
        bent = ", though bent" if thirds else ""
        return side, f"more than tenfold over the sequence; the rate's interval excludes 1{bent}"
    return "undetermined", "the change is more than tenfold, but the rate's interval holds 1"


def _verdict_of_lost(lost: str, end: int) -> tuple[str, str]:
    """Return the verdict on a profile that ends at lag ``end``, and why."""
    if lost == "zero" and end:
        return "vanishing", f"exactly zero from lag {end} on"
    what = {
        "zero": "exactly zero at every lag",
        "cut_off": f"cut off at lag {end} by truncated backpropagation",
        "inf": f"not finite from lag {end} on",
        "nan": f"not a number from lag {end} on",
    }
    return "undetermined", what.get(lost, f"lost to {lost} from lag {end} on")


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Return the mean over seeds and its 95 % interval by Student's t; NaN and ∞ are left out.

    Args:
        values: one a seed.

    Example:
        >>> [round(part, 2) for part in mean_interval([1.0, 2.0, 3.0])]
        [2.0, -0.48, 4.48, 3]
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    n = known.size
    if n < 2:
        return Interval(float(known.mean()) if n else math.nan, math.nan, math.nan, n)
    mean, error = float(known.mean()), float(known.std(ddof=1)) / math.sqrt(n)
    reach = _student(n - 1) * error
    return Interval(mean, mean - reach, mean + reach, n)


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
