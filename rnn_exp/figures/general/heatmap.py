"""Update by lag: how the reach of the gradient changes while the network trains."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.captions import training_change
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.lag_cells import (
    BRIGHTEST,
    DARKEST,
    MOST_UPDATES,
    Lost,
    draw_by_lag,
    kinds,
    scale_bar,
)
from rnn_exp.figures.parts.seeds import gradient_interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.style import VERMILLION, in_style
from rnn_exp.words import sentences

QUESTION: Final = "Does training change how far back the gradient reaches?"

_LOST: Final = Lost(VERMILLION, "red", "white")


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each update and lag, relative to lag 0 (median over seeds)."""
    selected = select_runs(tables.runs, lengths=1, series=4, panels=3)
    runs = selected.runs["run"]
    recorded = required(tables.updates, ["run", "update"], "updates").astype({"run": str})
    recorded = recorded[recorded["run"].isin(runs)]
    if len(recorded["update"].unique()) < 2:
        raise CannotDraw("Gradients were recorded at fewer than two updates: nothing changes.")
    kept, note = limit_updates(recorded["update"], MOST_UPDATES)
    rows = carrier_rows(tables, runs, kept)
    frame = selected.runs.merge(_relative(rows), on="run").sort_values(["update", "lag"])
    cells = gradient_interval(frame, [*KEYS, "update", "lag"], "log10_relative")
    numbers = selected.runs[KEYS].drop_duplicates().merge(cells, on=KEYS)
    numbers = numbers.drop(columns=["log10_low", "log10_high"])
    numbers = numbers.assign(kind=kinds(numbers["log10_median"], numbers["ceiling"]))
    return Plotted(numbers, (*selected.notes, *note), selected.left_out)


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Each norm divided by the norm at lag 0 (in log10), where that one is finite."""
    last = rows.loc[rows["lag"] == 0, ["run", "update", "log10_norm"]]
    last = last.rename(columns={"log10_norm": "last"}).replace([np.inf, -np.inf], np.nan)
    joined = rows.merge(last, on=["run", "update"], how="left")
    return joined.assign(log10_relative=joined["log10_norm"] - joined["last"])


def draw(plotted: Plotted) -> Figure:
    """Draw panels by activation (rows) and series (columns), one colour scale for all."""
    table = plotted.table
    with in_style():
        pairs = table[["activation", "series"]].drop_duplicates()
        rows, columns = list(pairs["activation"].unique()), list(pairs["series"].unique())
        figure, grid = panels.grid(len(rows), len(columns), height=1.6)
        scale = _scale(table)
        for (row, column), axes in np.ndenumerate(grid):
            where = (table["activation"] == rows[row]) & (table["series"] == columns[column])
            _panel(axes, table[where], scale)
            panels.title(axes, rows[row], columns[column])
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", "update")
        scale_bar(figure, grid, scale, "gradient norm / that at lag 0")
        figure.set_legend(_LOST.entries(table))
    return figure


def _scale(table: pd.DataFrame) -> ScalarMappable:
    finite = table.loc[table["kind"] == "value", "log10_median"]
    low, high = (finite.min(), finite.max()) if len(finite) else (-1.0, 0.0)
    low = max(float(np.floor(low)), DARKEST)
    high = min(max(float(np.ceil(high)), low + 1), BRIGHTEST)
    return ScalarMappable(Normalize(low, high), "viridis")


def _panel(axes: Axes, part: pd.DataFrame, scale: ScalarMappable) -> None:
    if part.empty:
        axes.text(0.5, 0.5, "not in the study", ha="center", transform=axes.transAxes, color="0.4")
        return
    draw_by_lag(axes, part, "log10_median", scale, _LOST)


def caption(plotted: Plotted) -> str:
    """Say what is seen: where training changes the reach of the gradient most."""
    table = plotted.table
    length = int(table["length"].iloc[0])
    return sentences(
        f"Longest sequences of the study (T = {length})." if length else "",
        training_change(table[table["kind"] == "value"]),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        "Colour: median over seeds, relative to lag 0 of the same update"
        + ("; white: runs had ended." if (table["kind"] == "none").any() else "."),
        _LOST.words(table),
    )
