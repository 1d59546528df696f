"""What a recording says, in sentences and in a table for readers."""

import math
from typing import Any, Final, Protocol, runtime_checkable

import pandas as pd

from rnn_exp.profiles import has_one_rate
from rnn_exp.recordings.summary import CASE, case_names
from rnn_exp.words import half_life, magnitude, rate_with_interval, rates

__all__ = [
    "Said",
    "answers_of",
    "html_of",
    "many_losses",
    "sentences_of",
    "text_of",
    "verdict_words",
]

_HEADINGS: Final = (
    "update",
    "module",
    "gradient",
    "time steps",
    "verdict",
    "rate (95 %)",
    "change",
    "half-life or doubling time",
    "horizon",
    "steps with a loss",
    "lost",
    "why",
)
_UNKNOWN: Final = "-"


@runtime_checkable
class Said(Protocol):
    """What is said of one profile: a `profiles.Summary`, or a row of `summary`."""

    @property
    def verdict(self) -> str:
        """Vanishing, stable, exploding or undetermined."""

    @property
    def reason(self) -> str:
        """Why, in a clause."""

    @property
    def lost(self) -> str:
        """Where training lost the gradient, in a clause; empty: nowhere."""

    @property
    def rate(self) -> float:
        """The factor per step back in time."""

    @property
    def rate_low(self) -> float:
        """The lower end of its interval."""

    @property
    def rate_high(self) -> float:
        """The upper end of its interval."""


def verdict_words(said: Said) -> str:
    """Say the verdict on a profile, where the gradient is lost, and the rate with its interval.

    Without a rate, or a verdict, it says why. Of a bent profile that no one rate describes it gives
    none.

    Args:
        said: of one profile.

    Example:
        >>> import numpy as np
        >>> from rnn_exp.profiles import summarize
        >>> halving = np.log10(0.5) * np.arange(20)[::-1]
        >>> verdict_words(summarize(halving, ["ok"] * 20))
        'vanishing, keeps 50 % of its size per step'
        >>> verdict_words(summarize(halving[:1], ["ok"]))
        'undetermined (one time step has no lag)'
        >>> lost = np.append(np.full(9, -np.inf), halving[-11:])
        >>> verdict_words(summarize(lost, ["zero"] * 9 + ["ok"] * 11))
        'vanishing (exactly zero from lag 11 on), keeps 50 % of its size per step'
    """
    unsure = said.verdict == "undetermined" or math.isnan(said.rate)
    why = said.reason if unsure and said.reason not in said.lost else ""
    clauses = "; ".join(filter(None, [why, said.lost]))
    words = f"{said.verdict} ({clauses})" if clauses else said.verdict
    if not has_one_rate(said.rate, said.reason):
        return words
    return f"{words}, {rate_with_interval(said.rate, said.rate_low, said.rate_high)}"


def sentences_of(summary: pd.DataFrame) -> list[str]:
    """Say in a line each what is said of a layer at an update.

    Args:
        summary: as `summary` returns it.
    """
    rows = _rows(summary.assign(name=case_names(summary)))
    return [f"update {row.update}: {_place(row)}: {verdict_words(row)}" for row in rows]


def answers_of(summary: pd.DataFrame) -> list[str]:
    """Say in a sentence each what is said of a layer at its first and at its last update.

    Args:
        summary: as `summary` returns it.
    """
    named = summary.assign(name=case_names(summary))
    said = []
    for _, part in named.groupby(CASE, sort=False):
        rows = _rows(part)
        each = [f"at update {row.update} {verdict_words(row)}" for row in rows]
        said.append(f"{_place(rows[0])}: {'; '.join(each)}.")
    return said


def many_losses(summary: pd.DataFrame) -> list[str]:
    """Say where a flat profile says little, as the output is read at many time steps.

    Args:
        summary: as `summary` returns it.
    """
    named = summary.assign(name=case_names(summary))
    many = named[named["steps_with_loss"].astype(float) > 1]
    return [
        f"{row.name}: {row.steps_with_loss:.0f} of {row.steps} time steps are read by a loss (or "
        "by other parts of the model); a flat profile then says little of how far back one reaches."
        for row in _rows(many.drop_duplicates("name"))
    ]


def _rows(table: pd.DataFrame) -> list[Any]:
    return list(table.itertuples())


def _place(row: Any) -> str:  # noqa: ANN401 - a row of a table
    steps = "step" if row.steps == 1 else "steps"
    return f"{row.name}: {row.gradient} over {row.steps} {steps}"


def text_of(summary: pd.DataFrame) -> pd.DataFrame:
    """Return what is said of each layer as a table of words and short numbers, for readers.

    Args:
        summary: as `summary` returns it.
    """
    rows = _rows(summary.assign(where=case_names(summary)))
    return pd.DataFrame([_text(row) for row in rows], columns=list(_HEADINGS), dtype=object)


def html_of(summary: pd.DataFrame) -> str:
    """Return what is said of each layer as a small table for a notebook; everything is escaped.

    Args:
        summary: as `summary` returns it.
    """
    if summary.empty:
        return "<p>Nothing was recorded.</p>"
    small = text_of(summary)[["update", "module", "gradient", "time steps", *_SMALL]]
    return str(small.to_html(index=False, border=0))


_SMALL: Final = ("verdict", "rate (95 %)", "change", "horizon", "lost")


def _text(row: Any) -> tuple[str, ...]:  # noqa: ANN401 - a row of a table
    rate = lags = _UNKNOWN
    if has_one_rate(row.rate, row.reason):
        rate, low, high = rates(row.rate, row.rate_low, row.rate_high)
        rate = f"{rate} ({low} to {high})"
        infinite = math.isinf(row.half_life)
        lags = "infinite" if infinite else half_life(row.half_life, row.rate > 1) or _UNKNOWN
    horizon = "beyond the first step" if math.isinf(row.horizon) else _whole(row.horizon)
    return (
        str(row.update),
        row.where,
        row.gradient,
        str(row.steps),
        row.verdict,
        rate,
        _UNKNOWN if math.isnan(row.log10_change) else magnitude(row.log10_change),
        lags,
        horizon,
        _whole(row.steps_with_loss),
        row.lost or _UNKNOWN,
        row.reason,
    )


def _whole(value: float | None) -> str:
    """A whole number; a dash where it is not known."""
    return _UNKNOWN if value is None or math.isnan(value) else f"{value:.0f}"
