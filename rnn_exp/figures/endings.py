"""Endings: what became of each recipe's gradient and loss, seeds as an interval."""

from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.recipes import Book, named
from rnn_exp.figures.source import CannotDraw, Tables, required
from rnn_exp.figures.words import plural

__all__ = ["LEARNED", "table"]

LEARNED: Final = 0.5
"""A final loss below this part of chance counts as learned."""
LAST: Final = 0.1
"""A run's final loss is the mean over the last tenth of its recorded updates."""
_BY: Final = ["series", "length"]


def table(tables: Tables, book: Book) -> pd.DataFrame:
    """For each recipe and length: ``start``, ``end`` (rates), ``loss`` (in parts of chance).

    Each is the median over seeds, with ``_low`` and ``_high``. The loss of a run that diverged is
    infinite.
    """
    frame = _runs(tables.runs, book).merge(_losses(tables.updates), on="run", how="left")
    if frame["loss"].isna().all():
        raise CannotDraw("No run of the study has a loss.")
    diverged = frame["status"] == "diverged"
    ended = frame["loss"].notna() | diverged
    frame, diverged = frame[ended], diverged[ended]
    losses = (frame["loss"] / frame["chance"]).mask(diverged, np.inf)
    frame = frame.assign(loss=losses, diverged=diverged.astype(int))
    plotted = _intervals(frame)
    left = int((~ended).sum())
    plotted.attrs["notes"] = [f"{plural(left, 'run')} had not ended: not shown."] if left else []
    return plotted


def _intervals(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby(_BY, observed=True, sort=True)
    columns = {"seeds": grouped.size(), "diverged": grouped["diverged"].sum()}
    for name in ("start", "end", "loss"):
        some = grouped[name]
        columns |= {name: some.median(), f"{name}_low": some.min(), f"{name}_high": some.max()}
    return pd.DataFrame(columns).reset_index()


def _runs(runs: pd.DataFrame, book: Book) -> pd.DataFrame:
    needed = ["run", "status", "decay_rate", "final_decay_rate", "task.length", "chance_loss"]
    frame = required(runs, needed, "runs")
    if not (frame["chance_loss"].astype(float) > 0).all():
        raise CannotDraw("The loss of guessing is not known for every run, or is 0.")
    return pd.DataFrame({
        "run": frame["run"].astype(str),
        "status": frame["status"],
        "series": named(runs, book),
        "length": frame["task.length"].astype(int),
        "start": frame["decay_rate"].astype(float),
        "end": frame["final_decay_rate"].astype(float),
        "chance": frame["chance_loss"].astype(float),
    })  # fmt: skip


def _losses(updates: pd.DataFrame) -> pd.DataFrame:
    rows = required(updates, ["run", "update", "loss"], "updates")
    rows = rows.astype({"run": str, "loss": float}).sort_values(["run", "update"])
    groups = rows.groupby("run", sort=False)["loss"]
    means = groups.agg(lambda loss: loss.tail(max(1, int(LAST * len(loss)))).mean())
    return means.reset_index()
