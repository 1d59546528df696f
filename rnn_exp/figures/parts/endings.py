"""Runs that end before others of their case: where each ended, and with what.

A run that has solved its task may stop there (`training.stop_when_solved`). A median over the seeds
that are still training is then one of those that learn least: what solved runs ended with counts.
"""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.seeds import interval

__all__ = ["carried_on", "is_due", "last_losses", "last_rows", "solved_runs"]

_ENDS: Final = {"median": "end", "low": "end_low", "high": "end_high", "seeds": "runs"}


def solved_runs(runs: pd.DataFrame) -> list[str]:
    """Return the names of the runs that stopped because they had solved their task."""
    known = runs.reindex(columns=["run", "status"])
    return known.loc[known["status"] == "solved", "run"].astype(str).tolist()


def last_rows(rows: pd.DataFrame, runs: Collection[str], at: str = "update") -> pd.DataFrame:
    """Return the row of the last recorded update of each of these runs.

    Args:
        rows: a row a run and recorded update.
        runs: the names of the runs.
        at: the column of updates.
    """
    own = rows[rows["run"].isin(runs)].sort_values(at, kind="stable")
    return own.drop_duplicates("run", keep="last")


def carried_on(
    frame: pd.DataFrame, last: pd.DataFrame, by: Sequence[str], at: str = "update"
) -> pd.DataFrame:
    """Return the rows, and what runs ended with at each later update of their case.

    Args:
        frame: a row a run and update.
        last: the rows with which runs ended, as `last_rows` has them.
        by: the columns that make a case; of `frame`.
        at: the column of updates.
    """
    if last.empty:
        return frame
    later = frame[[*by, at]].drop_duplicates().rename(columns={at: "later"})
    which = frame[["run", *by]].drop_duplicates()
    more = which.merge(last[["run", at, *last.columns.difference(["run", at, *by])]], on="run")
    more = more.merge(later, on=list(by)).query(f"later > {at}")
    more = more.drop(columns=at).rename(columns={"later": at})
    known = frame.drop_duplicates("run").drop(columns=more.columns.drop("run"), errors="ignore")
    return pd.concat([frame, more.merge(known, on="run")[[*frame]]], ignore_index=True)


def is_due(
    frame: pd.DataFrame, own: pd.DataFrame, column: str, by: Sequence[str] = KEYS
) -> pd.Series:
    """Return which rows are of updates at which runs are tested, not only those that end there.

    A run that has solved its task is tested where it ends: the loss of it alone is not that of all.

    Args:
        frame: as `carried_on` returns it.
        own: the rows that it was given.
        column: the result of the test, NaN where there was none.
        by: the columns that make a case.
    """
    last = own.groupby("run")["update"].transform("max")
    last_of_case = own.groupby(list(by), dropna=False, observed=True)["update"].transform("max")
    is_regular = (own["update"] < last) | (own["update"] == last_of_case)
    due = own.loc[is_regular & own[column].notna(), [*by, "update"]].drop_duplicates()
    found = frame[[*by, "update"]].merge(due, how="left", on=[*by, "update"], indicator=True)
    return pd.Series((found["_merge"] == "both").to_numpy(), index=frame.index)


def last_losses(runs: pd.DataFrame, shown: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return with which loss the runs of each case ended; a row a case.

    Runs that diverged are left out where another did not: their count is told beside the loss.

    Args:
        runs: the table of runs.
        shown: the runs that are drawn, with `KEYS`.
        rows: a row a run and recorded update, with its loss.

    Returns:
        Columns: `KEYS`; end, end_low and end_high (median and range over all seeds of the final
        loss), begin (the median of the first loss of the same runs), runs (so many) and solved (so
        many of them stopped because they solved their task).
    """
    columns = ["run", "status", "final_loss"]
    known = runs.reindex(columns=columns).astype({"run": str, "final_loss": float})
    finite = rows[np.isfinite(rows["loss"])].astype({"run": str})
    # A run that was cut short has no final loss.
    recorded = last_rows(finite, finite["run"].unique()).set_index("run")["loss"]
    losses = known["final_loss"].where(np.isfinite(known["final_loss"]))
    known["final_loss"] = losses.fillna(known["run"].map(recorded))
    first = finite.sort_values("update", kind="stable").groupby("run")["loss"].first()
    known["first_loss"] = known["run"].map(first)
    frame = shown.merge(known, on="run").assign(solved=lambda f: f["status"].eq("solved"))
    keys = [frame[key] for key in KEYS]
    lost = frame["status"] == "diverged"
    every = lost.groupby(keys, dropna=False, sort=False).transform("all")
    left_out = lost & ~every
    ends = frame.assign(final_loss=frame["final_loss"].mask(left_out))
    begin = frame["first_loss"].mask(left_out | ends["final_loss"].isna())
    begins = begin.groupby(keys, dropna=False, sort=False).median().to_numpy()
    found = interval(ends, KEYS, "final_loss").rename(columns=_ENDS)
    solved = frame.groupby(KEYS, dropna=False, sort=False)["solved"].sum().to_numpy()
    return found.assign(begin=begins, solved=solved)
