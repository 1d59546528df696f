"""Profiles: gradient norms at initialisation against the lag, relative to lag 0."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures import edges, panels
from rnn_exp.figures.intervals import gradient_interval
from rnn_exp.figures.source import Tables, at_start, top_layer

__all__ = ["DASHES", "draw", "memories", "states"]

DASHES: Final = (0, (4, 1, 1, 1))
"""The line of a memory, beside that of a state in the same colour."""
_MEMORY: Final = "log10_memory"


def states(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The norm of ∂L/∂h_t of each ``series`` of these runs: median and range over seeds."""
    return _relative(top_layer(tables, runs["run"], [0]), runs)


def memories(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The same of ∂L/∂c_t, where a cell has a c."""
    lstm = runs[runs["network.cell"] == "lstm"]
    columns = ["run", "update", "lag", _MEMORY, "status"]
    try:
        rows = tables.gradient_rows(columns, runs=lstm["run"], updates=[0], layer=-1)
    except KeyError:  # no run has a memory
        return _EMPTY
    rows = rows.dropna(subset=_MEMORY).rename(columns={_MEMORY: "log10_total"})
    return _relative(rows.astype({"run": str}), lstm) if len(rows) else _EMPTY


def _relative(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    rows = at_start(rows, "gradients").sort_values(["run", "lag"])
    finite = rows[np.isfinite(rows["log10_total"])]
    first = finite.groupby("run")["log10_total"].first()
    relative = rows["log10_total"] - rows["run"].map(first)
    frame = runs[["run", "series"]].merge(rows.assign(log10_total=relative), on="run")
    frame = frame.sort_values(["series", "lag"])
    return gradient_interval(frame, ["series", "lag"], "log10_total").rename(columns={"lag": "x"})


def draw(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    """A line a series: solid for states, dashed and dotted for memories; triangles for zeros."""
    for (quantity, name), rows in part.groupby(["quantity", "series"], observed=True, sort=False):
        finite = rows[np.isfinite(rows["median"])]
        dashes: Any = "-" if quantity == "state" else DASHES
        colour = palette[str(name)]
        axes.plot(finite["x"], finite["median"], linestyle=dashes, color=colour, gid=str(quantity))
        axes.fill_between(
            finite["x"], finite["low"].replace(-np.inf, np.nan), finite["high"], color=colour,
            alpha=0.22, linewidth=0,
        )  # fmt: skip
        lost = rows.loc[rows["median"] == -np.inf, "x"]
        edges.mark(axes, lost, edges.FLOOR, colour)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="lag $T-t$", ylabel="gradient norm relative to lag 0")


_EMPTY: Final = pd.DataFrame(columns=["series", "x", "median", "low", "high", "seeds"])
