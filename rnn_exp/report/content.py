"""The tables of the page: a row a setting, a row a run, and where runs diverged."""

import math
import numbers
from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.fields import as_typed
from rnn_exp.figures.parts.axes import axes_of, setting_columns, settings_of, varying_settings
from rnn_exp.figures.parts.carrier import cases, verdict_words
from rnn_exp.profiles import has_one_rate
from rnn_exp.report.paragraphs import statuses_of
from rnn_exp.report.tables import RunTable
from rnn_exp.schema import RUN_STATUSES
from rnn_exp.words import counts, half_life, hydra_word, magnitude, number, rates


def divergences(runs: pd.DataFrame) -> list[dict[str, str]]:
    """For each diverged run its name and where it happened, in words."""
    columns = ["run", "status", "diverged_update", "diverged_time", "diverged_direction"]
    rows = [row for _, row in runs.reindex(columns=columns).iterrows() if has_diverged(row)]
    return [{"run": str(row["run"]), "where": where(row)} for row in rows]


def has_diverged(row: pd.Series) -> bool:
    """Whether a run met a NaN or an infinity."""
    return row.get("status") == "diverged" or pd.notna(row.get("diverged_update"))


def where(row: pd.Series) -> str:
    """Where a run diverged: 'at update 12, time 38, backward'."""
    parts = [
        f"{name} {int(row[key])}"
        for name, key in (("update", "diverged_update"), ("time", "diverged_time"))
        if pd.notna(row.get(key))
    ]
    direction = row.get("diverged_direction")
    parts += [str(direction)] if pd.notna(direction) and direction else []
    return f"at {', '.join(parts)}" if parts else "at an unknown place"


def cell(value: object) -> str:
    """A table cell: numbers short, missing values as a dash."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return number(value) if isinstance(value, float) else str(value)


RESULTS: Final = {
    "verdict": "gradient",
    "decay_rate": "rate (95 %)",
    "log10_change": "change",
    "status": "status",
    "verdict_reason": "why",
    "half_life": "half-life or doubling time",
    "theory_rate": "theory's rate (all lags)",
    "predicted_log10_change": "theory's change",
    "final_verdict": "at the end",
    "final_decay_rate": "final rate",
}
"""The columns of results in the table of runs, by what they are read from."""
_FIRST: Final = 4
"""So many of them are before the settings: a phone shows what came out, not a name."""
_LABELS: Final = ("note", "tags")
_LONGEST_LABEL: Final = 500
_UNKNOWN: Final = "-"
_ALWAYS: Final = ("task.length", "network.cell", "network.activation", "init", "init.gain")
"""Settings that the table of settings shows wherever they vary."""


def setting_table(runs: pd.DataFrame) -> RunTable:
    """A row a setting: verdicts over its seeds, mean rate and change with intervals, theory."""
    text = settings_of(runs)
    # What the columns before it decide, such as the bias of an init, makes no row of its own.
    varying = varying_settings(text, always=_ALWAYS)
    axes = axes_of(runs, text)[["length"]]
    frame = runs.drop(columns=[*varying, "length"], errors="ignore").join(axes).join(text[varying])
    # Without a setting that varies all runs are of one.
    by = varying or ["only"]
    frame = _in_order(frame.assign(only=""), varying)
    ended = frame.groupby(by, sort=False, dropna=False)
    rows = [
        [
            verdict_words(case),
            spread_of(case),
            *(str(case[key]) for key in varying),
            *_said(case, _mean(part, "measured_log10_change")),
            counts(statuses_of(part), RUN_STATUSES),
        ]
        for (_, case), (_, part) in zip(cases(frame, by).iterrows(), ended, strict=True)
    ]
    headings = ["seeds", "change (95 %)", "theory's change", "status"]
    return RunTable(["gradient", "rate (95 %)", *varying, *headings], rows, [])


def _in_order(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The rows by these columns of text, numbers by their size."""
    keys = {}
    for place, column in enumerate(columns):
        keys[f"number {place}"] = pd.to_numeric(frame[column], errors="coerce")
        keys[f"text {place}"] = frame[column]
    order = pd.DataFrame(keys, index=frame.index)
    return frame.loc[order.sort_values(list(keys), kind="stable").index] if keys else frame


def _mean(part: pd.DataFrame, column: str) -> float:
    """The mean of a number that not every study has; NaN: it has none."""
    return float(part.reindex(columns=[column])[column].astype(float).mean())


def _said(case: pd.Series, measured: float) -> list[str]:
    """The cells of one setting: seeds, change, theory's change.

    ``measured``: log10 of the measured change up to the lag to which theory goes.
    """
    change = spread(*_factors(*(float(case[key]) for key in _CHANGE)))
    theory = _UNKNOWN
    if np.isfinite(case["log10_predicted_change"]):
        theory = magnitude(float(case["log10_predicted_change"]))
        if case["predicted_lags"] < case["lags"]:
            there = "" if measured != measured else f", measured {magnitude(measured)}"
            theory += f" (to lag {case['predicted_lags']:.0f}{there})"
    return [str(case["seeds"]), change, theory]


def spread_of(case: pd.Series) -> str:
    """The rate of a case with its interval, as a cell of a table.

    Args:
        case: a row of `cases`.
    """
    return spread(*rates(*(float(case[key]) for key in RATE)))


def _factors(*exponents: float) -> list[str]:
    """Write numbers given by their log10, those near 1 so that they are told from it."""
    if all(-1 <= exponent < 1 for exponent in exponents):
        return rates(*(10.0**exponent for exponent in exponents))
    return list(map(magnitude, exponents))


_RATES: Final = ("decay_rate", "decay_rate_low", "decay_rate_high")
RATE: Final = ("rate", "rate_low", "rate_high")
"""The columns of `cases` that are the rate and the ends of its interval."""
_CHANGE: Final = ("log10_change", "log10_change_low", "log10_change_high")


def spread(middle: str, low: str, high: str) -> str:
    """A number with its interval, where there is one: '0.57 (0.55 to 0.59)'.

    Args:
        middle: the number.
        low: the lower end, "undefined": there is none.
        high: the upper end.
    """
    if middle == "undefined":
        return _UNKNOWN
    return middle if "undefined" in (low, high) else f"{middle} ({low} to {high})"


def run_table(runs: pd.DataFrame) -> RunTable:
    """All runs, with the settings that vary as columns and those that do not apart."""
    settings = [*setting_columns(runs), *(["seed"] if "seed" in runs else [])]
    text = runs[settings].astype(object).map(cell)
    varying = [column for column in settings if len(text[column].unique()) > 1]
    shown = [column for column in RESULTS if column in runs]
    labels = [column for column in _LABELS if column in runs and runs[column].notna().any()]
    first, later = shown[:_FIRST], shown[_FIRST:]
    rows = [
        [
            *(_result(run, key) for key in first),
            *values,
            *(_result(run, key) for key in later),
            _end(run),
            *(cell(run[key])[:_LONGEST_LABEL] for key in labels),
            str(run["run"]),
        ]
        for (_, run), values in zip(runs.iterrows(), text[varying].to_numpy().tolist(), strict=True)
    ]
    results = [[RESULTS[column] for column in columns] for columns in (first, later)]
    headings = [*results[0], *varying, *results[1], "diverged or failed", *labels, "run"]
    shared = [(c, _typed(runs[c].iloc[0])) for c in settings if c not in varying and len(text)]
    return RunTable(headings, rows, shared)


def _typed(value: object) -> str:
    """A setting as it can be typed again; what a table leaves blank is null."""
    if value is None or (isinstance(value, float) and value != value):
        return "null"
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, (list, tuple, np.ndarray)):
        return f"[{','.join(map(_word, plain))}]"
    return _word(plain)


def _word(value: object) -> str:
    return hydra_word(value) if isinstance(value, str) else as_typed(value)


def _result(run: pd.Series, key: str) -> str:
    """One result of a run as a cell of the table."""
    special: dict[str, Callable[[pd.Series], str]] = {
        "decay_rate": _rate,
        "log10_change": _change,
        "predicted_log10_change": _theory_change,
        "half_life": _half_life,
        "final_decay_rate": _final_rate,
        "status": lambda row: cell(row["status"]),
    }
    return special[key](run) if key in special else cell(run[key])


def _rate(run: pd.Series) -> str:
    if not _has_one_rate(run, "decay_rate", "verdict_reason"):
        return _UNKNOWN
    known = (_known(run, key) for key in _RATES)
    return spread(*rates(*(math.nan if each is None else each for each in known)))


def _final_rate(run: pd.Series) -> str:
    value = _known(run, "final_decay_rate")
    if value is None or not _has_one_rate(run, "final_decay_rate", "final_verdict_reason"):
        return _UNKNOWN
    return rates(value)[0]


def _has_one_rate(run: pd.Series, rate: str, reason: str) -> bool:
    """Whether words may give a run's rate; a table of before has no reason."""
    value, why = _known(run, rate), run.get(reason)
    return value is not None and has_one_rate(value, why if isinstance(why, str) else "")


def _change(run: pd.Series) -> str:
    value = _known(run, "log10_change")
    return _UNKNOWN if value is None else magnitude(value)


def _theory_change(run: pd.Series) -> str:
    """Theory's change and the lag to which it goes, or why theory says nothing."""
    value, lags = _known(run, "predicted_log10_change"), _known(run, "theory_lags")
    if value is None:
        why = run.get("theory_because")
        return f"none: {why}" if isinstance(why, str) and why else _UNKNOWN
    return magnitude(value) if lags is None else f"{magnitude(value)} at lag {lags:.0f}"


def _known(run: pd.Series, key: str) -> float | None:
    """A number of a run; None where it is missing."""
    value = run.get(key)
    return float(value) if isinstance(value, numbers.Real) and value == value else None


def _half_life(run: pd.Series) -> str:
    """Half-life or doubling time, in the right word; infinite where the interval holds 1."""
    ends = ("half_life", "decay_rate", "decay_rate_low", "decay_rate_high", "lost_at")
    lags, rate, low, high, lost = (_known(run, key) for key in ends)
    if rate is not None and not _has_one_rate(run, "decay_rate", "verdict_reason"):
        return _UNKNOWN
    if lags is not None:
        return half_life(lags, rate is not None and rate > 1)
    if low is None or high is None or lost is not None or not low <= 1 <= high:
        return _UNKNOWN
    return "infinite (the interval of the rate holds 1)"


def _end(row: pd.Series) -> str:
    failure = row.get("failure")
    if pd.notna(failure) and failure:
        return str(failure)
    return where(row) if has_diverged(row) else "-"


def commands(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Each run with the command that reproduces it, where one was recorded."""
    known = runs.reindex(columns=["run", "command"]).dropna(subset="command")
    return [(str(run), str(command)) for run, command in known.to_numpy().tolist()]
