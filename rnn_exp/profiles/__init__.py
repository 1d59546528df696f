"""Profiles: what can be said of one gradient norm against lag, and how sure that is."""

from rnn_exp.profiles.summary import RULE, Summary, has_one_rate, middle, summarize
from rnn_exp.profiles.walk import (
    CONFIDENCE,
    Drift,
    Interval,
    drift,
    mean_interval,
    rate_over_lags,
    slope,
)

__all__ = [
    "CONFIDENCE",
    "RULE",
    "Drift",
    "Interval",
    "Summary",
    "drift",
    "has_one_rate",
    "mean_interval",
    "middle",
    "rate_over_lags",
    "slope",
    "summarize",
]
