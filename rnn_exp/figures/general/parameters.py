"""Why parameter gradients hide the effect: what the optimiser sees beside what reaches step 1."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.captions import points_and_seeds, quantity_changes
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.panels import is_numeric, numeric_x, positions, series_label, set_x
from rnn_exp.figures.parts.seeds import gradient_interval, statuses
from rnn_exp.figures.parts.selection import (
    CannotDraw,
    Plotted,
    Tables,
    at_start,
    required,
    select_runs,
)
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import BLUE, in_style
from rnn_exp.words import sentences

QUESTION: Final = "Would the gradient of the weights have shown it?"

TITLES: Final = {
    "weights": r"what the optimiser sees: $\|\partial L/\partial W_{hh}\|$",
    "ratio": r"what reaches step 1: $\|\partial L/\partial h_1\|\,/\,\|\partial L/\partial h_T\|$",
}


def table(tables: Tables) -> Plotted:
    """Return log10 of both quantities at update 0 against T or gain (median, range over seeds)."""
    selected = select_runs(tables.runs, lengths=12, series=4, panels=3)
    if len(selected.runs["length"].unique()) < 2:
        selected = select_runs(tables.runs, lengths=1, series=12, panels=3)
    frame = selected.runs.merge(_quantities(tables, selected.runs["run"]), on="run")
    numbers = gradient_interval(frame, [*KEYS, "quantity"], "log10")
    by_length = len(numbers["length"].unique()) > 1
    numbers["x"] = numbers["length"].astype(float) if by_length else positions(numbers)
    numbers["line"] = numbers["series"] if by_length else ""
    if len(numbers["x"].unique()) < 2:
        raise CannotDraw("The study has one sequence length and one gain: there is no trend.")
    numbers = numbers.sort_values("x", kind="stable", ignore_index=True)
    return Plotted(numbers, selected.notes, selected.left_out)


def _quantities(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    """Both quantities in long form: run, quantity, log10, status."""
    columns = ["run", "update", "recurrent_grad_norm"]
    weights = at_start(required(tables.updates, columns, "updates"), "updates")
    with np.errstate(divide="ignore"):
        log10 = np.log10(weights["recurrent_grad_norm"].astype(float))
    weights = weights.assign(log10=log10, quantity="weights", status=statuses(log10))
    both = [weights.drop(columns="recurrent_grad_norm"), _ratio(tables, runs)]
    return pd.concat(both, ignore_index=True).astype({"run": str})


def _ratio(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients")
    first = rows.loc[rows["time"] == 1, ["run", "log10_norm", "status"]]
    last = rows.loc[rows["lag"] == 0, ["run", "log10_norm"]].rename(columns={"log10_norm": "at"})
    joined = first.merge(last.replace([np.inf, -np.inf], np.nan), on="run")
    joined = joined.assign(log10=joined["log10_norm"] - joined["at"], quantity="ratio")
    return joined[["run", "quantity", "log10", "status"]]


def draw(plotted: Plotted) -> Figure:
    """Draw a row an activation: left the weights, right the states, on one scale."""
    table = plotted.table
    with in_style():
        activations = list(table["activation"].unique())
        figure, grid = panels.grid(len(activations), len(TITLES), height=1.7, sharey="row")
        lines = list(table["line"].unique())
        palette = marks.colours(table) if lines != [""] else {"": BLUE}
        for (row, column), axes in np.ndenumerate(grid):
            quantity = list(TITLES)[column]
            part = table[table["activation"] == activations[row]]
            _panel(axes, part[part["quantity"] == quantity], palette)
            title = TITLES[quantity] if row == 0 else ""
            axes.set_title(title + "\n" * bool(title) + _name(table, activations[row]))
        _axis(table, figure, grid)
        figure.set_legend(_entries(table, palette))
    return figure


def _name(table: pd.DataFrame, activation: str) -> str:
    return panels.plain(", ".join(filter(None, [activation, marks.only_series(table)])))


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for line, rows in part.groupby("line", sort=False):
        colour = palette[str(line)]
        # Names have no order that a line could show; lengths and gains have.
        joined = len(rows["length"].unique()) > 1 or is_numeric(rows)
        marks.band(axes, rows, "x", colour, log10=True, joined=joined, marker="o")
    # Room for the triangles below the last point.
    axes.margins(y=0.2 if (part["floor"] > 0).any() else 0.08)
    panels.powers(axes)


def _axis(table: pd.DataFrame, figure: Figure, grid: np.ndarray) -> None:
    by_length = len(table["length"].unique()) > 1
    label = "sequence length $T$" if by_length else series_label(table)
    panels.name_axes(figure, grid, label, "norm (left), ratio (right)")
    if by_length:
        numeric_x(grid[0, 0], table["x"])
    else:
        set_x(grid, table)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    return [*marks.series_entries(palette), *marks.lost_entries(table)]


def caption(plotted: Plotted) -> str:
    """Say what is seen: how the two quantities change along the axis, where they differ most."""
    return sentences(
        quantity_changes(plotted.table),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "At initialisation, both sides on the same scale. Line: median over seeds; band: lowest "
        "to highest.",
        points_and_seeds(plotted.table),
    )
