"""Where figures get their numbers: the tables of a study, and how a figure refuses them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, runtime_checkable

import pandas as pd


class CannotDraw(ValueError):  # noqa: N818 - it reads as a sentence where it is raised
    """The study cannot answer this figure's question; the message says why."""


@runtime_checkable
class Tables(Protocol):
    """What a study leaves behind: tidy tables, settings joined as dotted columns.

    The table of gradients may be too large to hold: a figure asks for the rows that it draws.
    """

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run."""

    @property
    def updates(self) -> pd.DataFrame:
        """One row a run and recorded update."""

    @property
    def broken(self) -> pd.DataFrame:
        """One row a folder that could not be read: `run`, `why`."""

    def gradient_rows(
        self,
        columns: Sequence[str],
        *,
        runs: Iterable[str] | None = None,
        updates: Collection[int] | None = None,
        layer: int | None = None,
    ) -> pd.DataFrame:
        """One row a run, recorded update, layer and time step: only those named, -1 the top."""


def required(frame: pd.DataFrame, columns: Sequence[str], what: str) -> pd.DataFrame:
    """A copy of these columns, or a refusal that names what is missing."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise CannotDraw(f"The table of {what} has no column {', '.join(missing)}.")
    if frame.empty:
        raise CannotDraw(f"The study recorded no {what}.")
    return frame.loc[:, list(columns)].copy()


def top_layer(tables: Tables, runs: Iterable[str], updates: Collection[int]) -> pd.DataFrame:
    """Gradient rows of the highest layer of each run: the one whose state is read out."""
    columns = ["run", "update", "time", "lag", "log10_total", "status"]
    rows = tables.gradient_rows(columns, runs=runs, updates=updates, layer=-1)
    return rows.astype({"run": str})


def at_start(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """Rows of update 0, where weights are as initialised."""
    rows = frame[frame["update"] == 0]
    if rows.empty:
        raise CannotDraw(f"No {what} of update 0 (the network as initialised) were recorded.")
    return rows.drop(columns="update")
