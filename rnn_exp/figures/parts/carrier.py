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
from rnn_exp.profiles import Interval, mean_interval, rate_over_lags
from rnn_exp.schema import CARRIERS, VERDICTS, status_of
from rnn_exp.words import counted, listing

__all__ = [
    "BANDS",
    "CASE",
    "LAGS",
    "carrier_note",
    "carrier_rows",
    "cases",
    "column_rows",
    "mean_rate",
    "numbered_carrier_rows",
    "settled_rates",
    "theory_changes",
    "verdict_words",
]

LAGS: Final = (5, 50)
"""Behind the loss, ahead of lags as long as the network is wide; both ends included."""
BANDS: Final = "Line: median over seeds; band: lowest to highest seed."
"""What the lines and bands of profiles are."""

_ROWS: Final = ["run", "update", "time", "lag"]
_PREDICTED: Final = "log10_predicted"
_TEXTS: Final = {"run": str, "status": object}
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
    "rate_seeds",
    "log10_change",
    "log10_change_low",
    "log10_change_high",
    "change_scatter",
    *VERDICTS,
    "lags",
    "predicted_rate",
    "asymptotic_rate",
    "log10_predicted_change",
    "predicted_lags",
]
"""What `cases` says of each."""


def column_rows(
    tables: Tables, runs: Iterable[str], updates: Collection[int], column: str
) -> pd.DataFrame:
    """Return rows of one gradient column in the highest layer of each run.

    Args:
        tables: of the study.
        runs: by name.
        updates: the recorded updates.
        column: such as log10_memory; runs without it have no row.

    Returns:
        Columns: run, update, time, lag, log10_norm (true at any magnitude), status (what training
        saw of it).
    """
    there, status = tables.gradient_columns, status_of(column)
    if column not in there:
        return pd.DataFrame(columns=_COLUMNS[:-1])
    wanted = [name for name in (column, status) if name in there]
    rows = tables.gradient_rows([*_ROWS, *wanted], runs=runs, updates=updates, layer=-1)
    rows = _with_norms(rows, rows[column].to_numpy(dtype=float), status).astype(_TEXTS)
    # A run without this column has no number in it; a zero has one, minus infinity.
    return rows[rows.groupby("run")["log10_norm"].transform("count") > 0]


def carrier_note(runs: pd.DataFrame, shown: pd.DataFrame) -> tuple[str, ...]:
    """Say which gradient is drawn where it is not ∂L/∂h of the only loss.

    Args:
        runs: the table of runs.
        shown: the runs that are drawn.
    """
    said = runs.reindex(columns=["run", "carrier"]).astype({"run": str})
    names = {str(name) for name in shown[["run"]].merge(said, on="run")["carrier"].dropna()}
    parts = []
    if any(name.startswith("log10_late") for name in names):
        parts.append("where several steps have a loss, that of the last answer's alone")
    if any(name.endswith("memory") for name in names):
        parts.append("of a cell with a memory c, ∂L/∂c")
    return (f"The gradient drawn is, {listing(parts)}.",) if parts else ()


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
    return numbered_carrier_rows(tables, runs, updates).astype(_TEXTS)


def numbered_carrier_rows(
    tables: Tables, runs: Iterable[str], updates: Collection[int]
) -> pd.DataFrame:
    """Return what `carrier_rows` does, names and statuses by number: text takes time to make."""
    names, there = {str(run) for run in runs}, tables.gradient_columns
    said = tables.runs.reindex(columns=["run", "carrier"]).astype({"run": str})
    said = said[said["run"].isin(names)].assign(carrier=said["carrier"].astype(object).fillna(""))
    parts = [
        _rows(tables, list(group["run"]), updates, str(carrier), there)
        for carrier, group in said.groupby("carrier", sort=False)
    ]
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COLUMNS)
    order = list(dict.fromkeys(tables.runs["run"].astype(str)))
    place = pd.Categorical(whole["run"], order).codes
    if (np.diff(place) >= 0).all():
        return whole
    return whole.take(np.argsort(place, kind="stable")).reset_index(drop=True)


def _rows(
    tables: Tables, runs: list[str], updates: Collection[int], carrier: str, there: list[str]
) -> pd.DataFrame:
    """Return the rows of runs that have the same carrier; empty: they do not say which."""
    candidates = [carrier] if carrier in there else [name for name in CARRIERS if name in there]
    wanted = [name for name in (*candidates, status_of(candidates[0]), _PREDICTED) if name in there]
    rows = tables.gradient_rows([*_ROWS, *wanted], runs=runs, updates=updates, layer=-1)
    norms = rows[candidates[-1]].to_numpy(dtype=float)
    for name in reversed(candidates[:-1]):
        # A run of an earlier format has no numbers in a column that its loss or cell does not give.
        has = rows.groupby("run", observed=True)[name].transform("count").to_numpy() > 0
        norms = np.where(has, rows[name].to_numpy(dtype=float), norms)
    predicted = rows.reindex(columns=[_PREDICTED]).iloc[:, 0].astype(float)
    found = _with_norms(rows, norms, status_of(candidates[0]))
    return found.assign(**{_PREDICTED: predicted})


def _with_norms(rows: pd.DataFrame, norms: np.ndarray, status: str) -> pd.DataFrame:
    """Return rows with their norms and statuses; where a study has none they tell of the norms."""
    said = rows.reindex(columns=[status]).iloc[:, 0]
    missing = said.isna()
    if missing.any():
        said = said.astype(object).mask(missing, statuses(norms))
    return rows[_ROWS].assign(log10_norm=norms, status=said)


def cases(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return what is said of the gradient of each case: over its seeds, with intervals.

    Args:
        runs: the runs with the columns ``by``, length, and those of the table of runs.
        by: the columns that make a case.

    Returns:
        Columns: those of ``by``; seeds; rate, rate_low, rate_high (the mean of ln rate over
        rate_seeds, those that have one, with its 95 % interval by Student's t; of one seed its
        own interval); log10_change with
        _low and _high (the same of the change over the sequence), change_scatter (standard
        deviation over seeds); a count for each verdict; lags (T − 1); predicted_rate (of theory's
        profile over the same lags), asymptotic_rate, log10_predicted_change up to predicted_lags
        (medians over seeds; NaN: no theory).
    """
    numbers = {name: runs.reindex(columns=[name])[name].astype(float) for name in _NUMBERS}
    # A length of 0 is none: the study does not say how long its sequences are.
    lags = (runs["length"] - 1).where(runs["length"] > 0).astype(float)
    frame = runs.reindex(columns=[*by, "verdict"]).assign(
        lags=runs.reindex(columns=["lags"])["lags"].astype(float).fillna(lags), **numbers
    )
    rows = [
        dict(zip(by, key, strict=True)) | _case(part)
        for key, part in frame.groupby(list(by), sort=False, dropna=False, observed=True)
    ]
    return pd.DataFrame(rows, columns=[*by, *CASE])


def _case(part: pd.DataFrame) -> dict[str, object]:
    rate, change = mean_rate(part["decay_rate"]), mean_interval(part["log10_change"].to_numpy())
    low, high = rate.low, rate.high
    if rate.seeds == 1:
        own = part[np.isfinite(part["decay_rate"])].iloc[0]
        low, high = own["decay_rate_low"], own["decay_rate_high"]
    known = part["log10_change"].replace([np.inf, -np.inf], np.nan).dropna()
    verdicts = part["verdict"]
    return {
        "seeds": len(part),
        "rate": rate.mean,
        "rate_low": low,
        "rate_high": high,
        "rate_seeds": rate.seeds,
        "log10_change": change.mean,
        "log10_change_low": change.low,
        "log10_change_high": change.high,
        "change_scatter": known.std() if len(known) > 1 else np.nan,
        **{word: int((verdicts == word).sum()) for word in VERDICTS},
        "lags": part["lags"].max(),
        "predicted_rate": part["theory_rate"].median(),
        "asymptotic_rate": part["predicted_rate"].median(),
        "log10_predicted_change": part["predicted_log10_change"].median(),
        "predicted_lags": part["theory_lags"].median(),
    }


def theory_changes(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return how theory's change of the norm compares with the measured one, case by case.

    Args:
        rows: those of `carrier_rows` at update 0, with the columns ``by``.
        by: the columns that make a case.

    Returns:
        Columns: those of ``by``; predicted_lags (the largest lag of theory), log10_measured_change
        and log10_predicted_change (means over seeds: the norm there over that at lag 0), and
        change_scatter (standard deviation over seeds of the measured one). No row: no theory.
    """
    known = rows[rows["log10_predicted"].notna() & np.isfinite(rows["log10_norm"])]
    near, far = (known.loc[known.groupby("run")["lag"].agg(end)] for end in ("idxmin", "idxmax"))
    ends = far.merge(near, on="run", suffixes=("", "_near"))
    ends = ends.assign(
        log10_measured_change=ends["log10_norm"] - ends["log10_norm_near"],
        log10_predicted_change=ends["log10_predicted"] - ends["log10_predicted_near"],
    )
    grouped = ends.groupby(list(by), sort=False, dropna=False, observed=True)
    return grouped.agg(
        predicted_lags=("lag", "median"),
        log10_measured_change=("log10_measured_change", "mean"),
        log10_predicted_change=("log10_predicted_change", "mean"),
        change_scatter=("log10_measured_change", "std"),
    ).reset_index()


def mean_rate(rates: pd.Series) -> Interval:
    """Return the mean over seeds of the logarithm of a rate with its 95 % interval, as a rate.

    Args:
        rates: factors per step back, one a seed; those that are not known are left out.
    """
    with np.errstate(divide="ignore"):
        found = mean_interval(np.log(rates.to_numpy(dtype=float)))
    mean, low, high = (float(np.exp(part)) for part in found[:3])
    return Interval(mean, low, high, found.seeds)


def verdict_words(case: pd.Series) -> str:
    """Say which verdict the seeds of a case have, and that they disagree where they do.

    Args:
        case: a row of `cases`.
    """
    words = [word for word in VERDICTS for _ in range(int(case[word]))]
    without = int(case["seeds"]) - len(words) if "seeds" in case else 0
    return counted([*words, *["without a verdict"] * without], VERDICTS)


def settled_rates(tables: Tables, runs: Iterable[str]) -> pd.DataFrame:
    """Return `run`, `measured` and `predicted`: decay rates at update 0 over the lags of `LAGS`.

    Both are slopes fitted over the same lags: of the carrier, and of theory's curve of it. NaN
    where a norm of these lags is missing or not finite.

    Raises:
        CannotDraw: if no run has them all.
    """
    runs, (first, last) = list(runs), LAGS
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients")
    columns = {"measured": "log10_norm", "predicted": "log10_predicted"}
    parts = {
        run: (part["lag"].to_numpy(), {k: part[c].to_numpy() for k, c in columns.items()})
        for run, part in rows.astype(dict.fromkeys(columns.values(), float)).groupby("run")
    }
    found = {
        name: [
            rate_over_lags(parts[run][1][name], parts[run][0], first, last)
            if run in parts
            else np.nan
            for run in runs
        ]
        for name in columns
    }
    if np.isnan(found["measured"]).all():
        raise CannotDraw(f"No run has finite gradients at every lag from {first} to {last}.")
    return pd.DataFrame({"run": runs, **found})
