"""The gradient that shows how far back a run reaches, and what is said of it, case by case.

A run says which column that is (``carrier`` in run.json): of several losses that of the last answer
alone, of a cell with a memory ∂L/∂c_t.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.seeds import statuses
from rnn_exp.figures.parts.selection import CannotDraw, Tables, at_start
from rnn_exp.profiles import mean_interval, rate_over_lags
from rnn_exp.schema import VERDICTS, status_of
from rnn_exp.words import counted

__all__ = [
    "BANDS",
    "CASE",
    "LAGS",
    "carrier_rows",
    "cases",
    "settled_rates",
    "theory_changes",
    "top_layer",
    "verdict_words",
]

LAGS: Final = (5, 50)
"""Behind the loss, ahead of lags as long as the network is wide; both ends included."""
BANDS: Final = "Line: median over seeds; band: lowest to highest seed."
"""What the lines and bands of profiles are."""

_ROWS: Final = ["run", "update", "time", "lag"]
_PREDICTED: Final = "log10_predicted"
_OLDER: Final = ("log10_late_memory", "log10_late", "log10_memory", "log10_total")
"""The columns that may be the carrier of a run which does not say so, the first that it has."""
_COLUMNS: Final = [*_ROWS, "log10_norm", "status", _PREDICTED]
_NUMBERS: Final = (
    "decay_rate",
    "decay_rate_low",
    "decay_rate_high",
    "log10_change",
    "predicted_rate",
    "predicted_log10_change",
    "theory_rate",
    "theory_lags",
)
CASE: Final = [
    "seeds",
    "rate",
    "rate_low",
    "rate_high",
    "log10_change",
    "log10_change_low",
    "log10_change_high",
    "change_scatter",
    *VERDICTS,
    "lags",
    "predicted_rate",
    "asymptotic_rate",
    "predicted_change",
    "predicted_lags",
]
"""What `cases` says of each."""


def top_layer(tables: Tables, runs: Iterable[str], updates: Collection[int]) -> pd.DataFrame:
    """Return rows of ∂L/∂h_t of the highest layer of each run: the one whose state is read out."""
    rows = tables.gradient_rows(
        [*_ROWS, "log10_total", "status"], runs=runs, updates=updates, layer=-1
    )
    return rows.astype({"run": str})


def carrier_rows(tables: Tables, runs: Iterable[str], updates: Collection[int]) -> pd.DataFrame:
    """Return rows of the carrier in the highest layer of each run.

    Args:
        tables: of the study.
        runs: by name.
        updates: the recorded updates.

    Returns:
        Columns: run, update, time, lag, log10_norm (true at any magnitude), status (what training
        saw of it), log10_predicted (NaN where theory says nothing).
    """
    names, there = {str(run) for run in runs}, tables.gradient_columns
    said = tables.runs.reindex(columns=["run", "carrier"]).astype({"run": str})
    said = said[said["run"].isin(names)].assign(carrier=said["carrier"].astype(object).fillna(""))
    parts = [
        _rows(tables, list(group["run"]), updates, str(carrier), there)
        for carrier, group in said.groupby("carrier", sort=False)
    ]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    order = {name: place for place, name in enumerate(tables.runs["run"].astype(str))}
    place = whole["run"].map(order).sort_values(kind="stable").index
    return whole.loc[place].reset_index(drop=True)


def _rows(
    tables: Tables, runs: list[str], updates: Collection[int], carrier: str, there: list[str]
) -> pd.DataFrame:
    """Return the rows of runs that have the same carrier; empty: they do not say which."""
    candidates = [carrier] if carrier in there else [name for name in _OLDER if name in there]
    wanted = [name for name in (*candidates, status_of(candidates[0]), _PREDICTED) if name in there]
    rows = tables.gradient_rows([*_ROWS, *wanted], runs=runs, updates=updates, layer=-1)
    norms = rows[candidates[-1]].to_numpy(dtype=float)
    for name in reversed(candidates[:-1]):
        # A run of an earlier format has no numbers in a column that its loss or cell does not give.
        has = rows.groupby("run", observed=True)[name].transform("count").to_numpy() > 0
        norms = np.where(has, rows[name].to_numpy(dtype=float), norms)
    known = rows.reindex(columns=[status_of(candidates[0])]).iloc[:, 0].astype(object)
    return pd.DataFrame(
        {
            **{name: rows[name] for name in _ROWS},
            "log10_norm": norms,
            "status": known.where(known.notna(), statuses(norms)),
            _PREDICTED: rows.reindex(columns=[_PREDICTED]).iloc[:, 0].astype(float),
        }
    ).astype({"run": str})


def cases(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return what is said of the gradient of each case: over its seeds, with intervals.

    Args:
        runs: the runs with the columns ``by``, length, and those of the table of runs.
        by: the columns that make a case.

    Returns:
        Columns: those of ``by``; seeds; rate, rate_low, rate_high (the mean over seeds of ln rate,
        with its 95 % interval by Student's t; of one seed its own interval); log10_change with
        _low and _high (the same of the change over the sequence), change_scatter (standard
        deviation over seeds); a count for each verdict; lags (T − 1); predicted_rate (of theory's
        profile over the same lags), asymptotic_rate, predicted_change up to predicted_lags (medians
        over seeds; NaN: no theory).
    """
    numbers = {name: runs.reindex(columns=[name])[name].astype(float) for name in _NUMBERS}
    frame = runs.reindex(columns=[*by, "verdict"]).assign(lags=runs["length"] - 1, **numbers)
    rows = [
        dict(zip(by, key, strict=True)) | _case(part)
        for key, part in frame.groupby(list(by), sort=False, dropna=False, observed=True)
    ]
    return pd.DataFrame(rows, columns=[*by, *CASE])


def _case(part: pd.DataFrame) -> dict[str, object]:
    with np.errstate(divide="ignore"):
        logs = np.log(part["decay_rate"].to_numpy())
    rate, change = mean_interval(logs), mean_interval(part["log10_change"].to_numpy())
    low, high = rate.low, rate.high
    if rate.seeds == 1:
        own = part[np.isfinite(part["decay_rate"])].iloc[0]
        low, high = np.log(own["decay_rate_low"]), np.log(own["decay_rate_high"])
    known = part["log10_change"].replace([np.inf, -np.inf], np.nan).dropna()
    verdicts = part["verdict"].astype(object).fillna("no verdict")
    return {
        "seeds": len(part),
        "rate": np.exp(rate.mean),
        "rate_low": np.exp(low),
        "rate_high": np.exp(high),
        "log10_change": change.mean,
        "log10_change_low": change.low,
        "log10_change_high": change.high,
        "change_scatter": known.std() if len(known) > 1 else np.nan,
        **{word: int((verdicts == word).sum()) for word in VERDICTS},
        "lags": part["lags"].max(),
        "predicted_rate": part["theory_rate"].median(),
        "asymptotic_rate": part["predicted_rate"].median(),
        "predicted_change": part["predicted_log10_change"].median(),
        "predicted_lags": part["theory_lags"].median(),
    }


def theory_changes(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return how theory's change of the norm compares with the measured one, case by case.

    Args:
        rows: those of `carrier_rows` at update 0, with the columns ``by``.
        by: the columns that make a case.

    Returns:
        Columns: those of ``by``; predicted_lags (the largest lag of theory), measured_change and
        predicted_change (means over seeds of log10 of the norm there over that at lag 0), and
        change_scatter (standard deviation over seeds of the measured one). No row: no theory.
    """
    known = rows[rows["log10_predicted"].notna() & np.isfinite(rows["log10_norm"])]
    near, far = (known.loc[known.groupby("run")["lag"].agg(end)] for end in ("idxmin", "idxmax"))
    ends = far.merge(near, on="run", suffixes=("", "_near"))
    ends = ends.assign(
        measured_change=ends["log10_norm"] - ends["log10_norm_near"],
        predicted_change=ends["log10_predicted"] - ends["log10_predicted_near"],
    )
    grouped = ends.groupby(list(by), sort=False, dropna=False, observed=True)
    return grouped.agg(
        predicted_lags=("lag", "median"),
        measured_change=("measured_change", "mean"),
        predicted_change=("predicted_change", "mean"),
        change_scatter=("measured_change", "std"),
    ).reset_index()


def verdict_words(case: pd.Series) -> str:
    """Say which verdict the seeds of a case have, and that they disagree where they do.

    Args:
        case: a row of `cases`.
    """
    return counted([word for word in VERDICTS for _ in range(int(case[word]))], VERDICTS)


def settled_rates(tables: Tables, runs: Iterable[str]) -> pd.DataFrame:
    """Return `run` and `measured`: the decay rate at update 0, fitted over the lags of `LAGS`.

    NaN where a norm of these lags is missing or not finite.

    Raises:
        CannotDraw: if no run has them all.
    """
    runs, (first, last) = list(runs), LAGS
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients")
    rates = {
        run: rate_over_lags(
            part["log10_norm"].to_numpy(dtype=float), part["lag"].to_numpy(), first, last
        )
        for run, part in rows.groupby("run")
    }
    measured = pd.Series([rates.get(run, np.nan) for run in runs], dtype=float)
    if measured.isna().all():
        raise CannotDraw(f"No run has finite gradients at every lag from {first} to {last}.")
    return pd.DataFrame({"run": runs, "measured": measured})
