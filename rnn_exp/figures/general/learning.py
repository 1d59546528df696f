"""Loss against update: does the network learn what its gradient cannot reach?"""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.captions import points_and_seeds
from rnn_exp.figures.parts.seeds import interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.style import THEORY, darker, in_style
from rnn_exp.words import case_name, number, plural, sentences

QUESTION: Final = "Does it learn?"

_UPDATES = 200
_TEST = "test_loss"
_TESTS: Final = THEORY  # dashed: no theory is drawn here


def table(tables: Tables) -> Plotted:
    """Return the median and range over seeds of the loss at each recorded update.

    Where runs were tested, the column ``test`` has the median loss on their test sequences.
    """
    selected = select_runs(tables.runs)
    tests = [_TEST] if _TEST in tables.updates else []
    rows = required(tables.updates, ["run", "update", "loss", *tests], "updates")
    rows = rows.astype({"run": str})
    rows = rows[rows["run"].isin(selected.runs["run"])]
    if len(rows["update"].unique()) < 2:
        raise CannotDraw("Fewer than two updates were recorded: nothing was trained.")
    kept, note = limit_updates(rows["update"], _UPDATES)
    rows = rows[rows["update"].isin(kept)]
    frame = selected.runs.merge(rows, on="run").astype({"loss": float}).sort_values("update")
    numbers = interval(frame, [*KEYS, "update"], "loss")
    lost = (
        (~np.isfinite(frame["loss"]))
        .groupby([frame[k] for k in (*KEYS, "update")], dropna=False, sort=False)
        .sum()
    )
    numbers = numbers.assign(ceiling=lost.to_numpy())
    if tests and frame[_TEST].notna().any():
        numbers["test"] = interval(frame, [*KEYS, "update"], _TEST)["median"]
    numbers = selected.runs[KEYS].drop_duplicates().merge(numbers, on=KEYS)
    return Plotted(numbers, (*selected.notes, *note), selected.left_out)


def draw(plotted: Plotted) -> Figure:
    """Draw panels by activation and length, a line a series, its band the range over seeds."""
    table = plotted.table
    with in_style():
        activations, lengths = list(table["activation"].unique()), panels.lengths_of(table)
        figure, grid = panels.grid(len(lengths), len(activations), height=1.25)
        palette = marks.colours(table)
        for (row, column), axes in np.ndenumerate(grid):
            where = (table["activation"] == activations[column]) & (table["length"] == lengths[row])
            _panel(axes, table[where], palette)
            panels.title(axes, activations[column], marks.only_series(table), lengths[row])
        _scale(table, grid[0, 0])
        panels.name_axes(figure, grid, "update", "loss")
        entries = [*marks.series_entries(palette), *marks.lost_entries(table)]
        if "test" in table:
            entries.append(marks.line_entry("test sequences", _TESTS))
        figure.set_legend(entries)
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for series, rows in part.groupby("series", sort=False):
        colour = palette[str(series)]
        marks.band(
            axes,
            rows,
            "update",
            colour,
            marker="o" if np.isfinite(rows["median"]).sum() == 1 else "",
        )
        if "test" in rows:
            tested = rows[np.isfinite(rows["test"])]
            mark = "o" if len(tested) == 1 else ""
            look: dict[str, Any] = {"linestyle": _TESTS, "marker": mark, "markersize": 3}
            axes.plot(tested["update"], tested["test"], color=darker(colour), gid="test", **look)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _scale(table: pd.DataFrame, axes: Axes) -> None:
    finite = table.loc[np.isfinite(table["median"]), "median"]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > 10:
        panels.plain_log(axes, "y")
    elif len(finite) and finite.min() >= 0:
        axes.set_ylim(bottom=0)


def caption(plotted: Plotted) -> str:
    """Say what is seen: where the loss fell most, where it did not fall, and who diverged."""
    table = plotted.table
    ends = _ends(table)
    if ends.empty:
        return sentences("No loss was finite.", *plotted.notes)
    return sentences(
        *_course(ends),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        "Line: median over the seeds still training; band: lowest to highest.",
        "Dashed: median loss on test sequences." if "test" in table else "",
        points_and_seeds(table),
    )


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    finite = table[np.isfinite(table["median"])]
    grouped = finite.groupby(KEYS, dropna=False, sort=False)
    ends = grouped.agg(first=("median", "first"), last=("median", "last"), at=("update", "last"))
    ends = ends.reset_index()
    ends["part"] = ends["last"] / ends["first"]
    known: pd.DataFrame = ends.dropna(subset="part")
    return known


def _course(ends: pd.DataFrame) -> list[str]:
    """What becomes of the loss: of one case, or at the ends and over all; falls are not rises."""
    if len(ends) == 1:
        return [f"The loss {_went(ends.iloc[0])}."]
    first, last = (ends.iloc[int(i)] for i in (ends["part"].argmin(), ends["part"].argmax()))
    halved, risen = int((ends["part"] < 0.5).sum()), int((ends["part"] > 1).sum())
    return [
        f"With {case_name(first)} the loss {_went(first)}; with {case_name(last)} it "
        f"{_went(last)}.",
        f"It is at least halved in {halved} of {plural(len(ends), 'case')}"
        + (f", and higher at the end than at first in {risen}." if risen else "."),
    ]


def _went(row: pd.Series) -> str:
    first, last = number(row["first"]), number(row["last"])
    if row["at"] == 0:
        return f"is {first} at update 0, the only one at which it is finite"
    if first == last:
        return f"stays at {first} up to update {row['at']}"
    way = "falls" if row["last"] < row["first"] else "rises"
    return f"{way} from {first} to {last} at update {row['at']}"
