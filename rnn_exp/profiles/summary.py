r"""What can be said of one gradient profile: a summary with its uncertainty, and a verdict.

A profile is log10 ‖∂L/∂h_t‖ at times 1…T; its lag is T − t.
slope s          mean increment of ln ‖g‖ per lag over the middle 80 % of the lags
decay rate e^s   0.6: keeps 60 % of its size per step back in time
half-life        ln 2 / |s|, in time steps: lags until the norm has halved (or doubled)
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from rnn_exp.profiles.walk import NO_DRIFT, ROUNDING, Drift, drift

__all__ = ["RULE", "Summary", "has_one_rate", "middle", "summarize"]

RULE: Final = (
    "Change: the norm at the first time step over that at the last, measured. Rate: the mean "
    "increment of ln ‖g‖ per lag over the middle 80 % of the lags, its 95 % interval from an "
    "AR(1) model of the increments. Vanishing (exploding): the change is below 1/10 (above 10) "
    "and the interval of the rate lies below (above) 1. Stable: every norm is within 1/10 and 10 "
    "of that at lag 0, and no third of the lags alone, carried over the whole sequence, would "
    "leave that range where the profile is bent. Fewer than 5 lags in the middle: the change alone "
    "decides. Exactly zero from some lag above 0 on: vanishing. Else undetermined, with its "
    "reason. The verdict is of the gradient alone: whether training diverged is its status."
)

_TENFOLD = math.log(10)
_FEWEST_LAGS = 5
_FEWEST_IN_A_THIRD = 5
_BENT = 0.2
_NO_ONE_RATE = "bent: "  # so begin the reasons of a verdict that no one rate describes
_HORIZON = -2.0


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
        lost: where training lost the gradient, in a clause with the lag; empty: nowhere.
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
    lost: str = ""

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
    inside = middle(ln_norms)
    found = drift(np.diff(inside)) if len(inside) >= _FEWEST_LAGS else NO_DRIFT
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
        r_squared=_r_squared(inside),
        is_bent=bent,
        horizon=_horizon(by_lag, end, lost),
        verdict=verdict,
        reason=reason,
        lags=len(by_lag) - 1,
        lost_at=None if lost is None else end,
        lost=", ".join(filter(None, [_unseen(words[:end], words), reason if lost else ""])),
    )


def _unseen(known: Sequence[str], words: Sequence[str]) -> str:
    """Say from which lag on training lost a norm whose true value is known.

    Args:
        known: the status of each lag before the profile ends.
        words: of all lags.
    """
    lag = next((lag for lag, word in enumerate(known) if word != "ok"), None)
    if lag is None:
        return ""
    word = words[lag]
    what = {"inf": "infinite in training", "nan": "not a number in training"}.get(word, word)
    if "ok" in words[lag:]:
        return f"{what} at lag {lag}, and not at every lag after it"
    return f"{what} from lag {lag} on"


def has_one_rate(rate: float, reason: str) -> bool:
    """Say whether words may give one rate of a profile: it is known, and the profile is not bent.

    Where the verdict is undetermined as the profile is bent, columns keep the mean rate, but no
    sentence gives it.

    Args:
        rate: the factor per step back in time; NaN: not known.
        reason: that of the verdict.

    Example:
        >>> has_one_rate(0.9, "bent: no one rate describes the profile"), has_one_rate(0.9, "")
        (False, True)
    """
    return not math.isnan(rate) and not reason.startswith(_NO_ONE_RATE)


def middle(by_lag: np.ndarray) -> np.ndarray:
    """Return the middle 80 % of the lags, over which rates are measured and predicted.

    Args:
        by_lag: one number a lag.
    """
    cut = len(by_lag) // 10
    return by_lag[cut : len(by_lag) - cut]


def _end_thirds(by_lag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last third of the lags; empty where they are too few to compare."""
    third = len(by_lag) // 3
    if third < _FEWEST_IN_A_THIRD:
        return by_lag[:0], by_lag[:0]
    return by_lag[:third], by_lag[len(by_lag) - third :]


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
    if whole <= len(ln_norms) * ROUNDING**2:
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
        if lost == "zero" and np.isfinite(by_lag[end:]).any():
            return "undetermined", f"exactly zero at lag {end}, and not at every lag after it"
        return _verdict_of_lost(lost, end)
    side = "vanishing" if change < -1 else "exploding" if change > 1 else "stable"
    if side == "stable" and np.abs(by_lag - by_lag[0]).max() > 1:
        return "undetermined", f"{_NO_ONE_RATE}the norm leaves a factor of ten on its way"
    if not rate.is_known:
        few = f"fewer than {_FEWEST_LAGS} lags in the middle of the profile for a rate"
        return side, f"from the change alone: {few}"
    if side == "stable":
        lags = by_lag.size - 1
        steep = thirds and max(abs(third.mean) * lags for third in thirds) > _TENFOLD
        if steep:
            return "undetermined", f"{_NO_ONE_RATE}no one rate describes the profile"
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
