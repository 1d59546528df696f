"""A loss at every time step beside the loss of the last answer alone, in the same networks."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.captions import points_and_seeds
from rnn_exp.figures.parts.carrier import column_rows
from rnn_exp.figures.parts.seeds import gradient_interval
from rnn_exp.figures.parts.selection import (
    CannotDraw,
    Plotted,
    Tables,
    at_start,
    required,
    select_runs,
)
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import BLUE, MEASURED, VERMILLION, in_style
from rnn_exp.words import listing, magnitude, number, plural, sentences

QUESTION: Final = "Does a loss at every time step hide that the gradient vanishes?"

EVERY, LATE, LAST = "every", "late", "last"
LABELS: Final = {
    EVERY: "loss at every step",
    LATE: "the last of these losses alone",
    LAST: "loss at the last step only",
}
_COLOURS: Final = {EVERY: BLUE, LATE: VERMILLION, LAST: VERMILLION}
_POINTS = 8


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each lag for each loss: median and range over seeds."""
    runs = required(tables.runs, ["run", "training.loss_at"], "runs")
    every = runs["training.loss_at"] == "every"
    if not every.any():
        raise CannotDraw("No run has training.loss_at=every, a loss at every time step.")
    parts, notes, left_out = [], dict[str, None](), dict[str, None]()
    for chosen, columns in (
        (~every, {LAST: "log10_total"}),
        (every, {EVERY: "log10_total", LATE: "log10_late"}),
    ):
        if chosen.any():
            selected = select_runs(tables.runs[chosen], series=1, panels=1)
            parts += [_norms(tables, selected.runs, *pair) for pair in columns.items()]
            notes |= dict.fromkeys(selected.notes)
            left_out |= dict.fromkeys(selected.left_out)
    numbers = pd.concat(parts, ignore_index=True)
    return Plotted(numbers, tuple(notes), tuple(left_out))


def _norms(tables: Tables, selected: pd.DataFrame, loss: str, column: str) -> pd.DataFrame:
    """One kind of loss; what training saw of it is told by the status of its own column."""
    rows = column_rows(tables, selected["run"], [0], column)
    if rows.empty:
        raise CannotDraw("The gradient of the last answer alone was not recorded.")
    rows = at_start(rows, "gradients").sort_values("lag", kind="stable")
    frame = selected.merge(rows, on="run").assign(loss=loss)
    return gradient_interval(frame, ["activation", "length", "loss", "lag"], "log10_norm")


def draw(plotted: Plotted) -> Figure:
    """Draw a panel a length, a line for a loss at every step and one for its last answer alone."""
    table = plotted.table
    with in_style():
        lengths = panels.lengths_of(table)
        figure, grid = panels.grid(1, len(lengths), height=2.1, sharex=False)
        for axes, length in zip(grid[0], lengths, strict=True):
            for loss, rows in table[table["length"] == length].groupby("loss"):
                _line(axes, rows, str(loss))
            panels.title(axes, "", "", length)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        panels.powers(grid[0, 0])
        panels.letters(grid.flat)
        norm = r"gradient norm $\|\partial L/\partial h_t\|$"
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", norm)
        figure.set_legend(_entries(table))
    return figure


def _line(axes: Axes, rows: pd.DataFrame, loss: str) -> None:
    colour = _COLOURS[loss]
    if loss == LAST:
        # Points, because they lie on the line of the last answer: that they do is the result.
        few = np.unique(np.linspace(0, len(rows) - 1, _POINTS).round().astype(int))
        points = rows.iloc[few].replace([np.inf, -np.inf], np.nan)
        axes.plot(points["lag"], points["log10_median"], "o", mfc="none", color=colour)
        return
    look: dict[str, Any] = {"gid": loss}
    if loss == EVERY:
        look |= {"marker": "s", "markersize": 3, "markevery": max(1, len(rows) // _POINTS)}
    marks.band(axes, rows, "lag", colour, log10=True, **look)


def _entries(table: pd.DataFrame) -> list[Entry]:
    losses = set(table["loss"])
    squares = Line2D([], [], linestyle=MEASURED, marker="s", markersize=3, color=_COLOURS[EVERY])
    entries: list[Entry] = [(squares, LABELS[EVERY])]
    entries.append(marks.line_entry(LABELS[LATE], MEASURED, _COLOURS[LATE]))
    if LAST in losses:
        points = Line2D([], [], linestyle="none", marker="o", mfc="none", color=_COLOURS[LAST])
        entries.append((points, LABELS[LAST]))
    return [*entries, *marks.lost_entries(table)]


def caption(plotted: Plotted) -> str:
    """Say what is seen: first over last norm for both losses at each length."""
    table = plotted.table
    by_loss = {str(loss): _ratios(part) for loss, part in table.groupby("loss", sort=False)}
    shown = ", ".join(f"T = {length}" for length in by_loss[EVERY].index)
    flat = listing(magnitude(ratio) for ratio in by_loss[EVERY])
    lost = listing(magnitude(ratio) for ratio in by_loss[LATE])
    return sentences(
        _answer(table, by_loss),
        "The norm at the first time step, relative to the last: with a loss at every step "
        f"{flat} ({shown}), for the last answer of the very same networks {lost}.",
        "The flat line does not say that the gradient of a late answer reaches the first step: "
        "every step has a loss of its own close by."
        if (by_loss[EVERY].abs() < 1).all() and (by_loss[LATE] < -1).all()
        else "",
        _agreement(table),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "Line: median over seeds at initialisation; band: lowest to highest seed.",
        points_and_seeds(plotted.table),
    )


def _answer(table: pd.DataFrame, by_loss: dict[str, pd.Series]) -> str:
    """What arrives at the first step of the longest sequences, of all losses and of the last."""
    longest = table[table["length"] == table["length"].max()]
    first = longest[longest["lag"] == longest["lag"].max()].set_index("loss")
    every, late = (_norm_with_range(first.loc[loss]) for loss in (EVERY, LATE))
    flat = float(by_loss[EVERY].iloc[-1]) > -1
    hides = flat and float(by_loss[LATE].iloc[-1]) < -1
    return (
        f"{'Yes' if hides else 'No'}: at the first of {longest['length'].iloc[0]} steps the norm "
        f"is {every} with a loss at every step, and {late} for the last of these losses alone."
    )


def _norm_with_range(row: pd.Series) -> str:
    middle, low, high = (magnitude(float(row[f"log10_{end}"])) for end in ("median", "low", "high"))
    return f"{middle} ({low} to {high} over {row['seeds']} seeds)" if row["seeds"] > 1 else middle


def _ratios(part: pd.DataFrame) -> pd.Series:
    """log10 of the first over the last norm, a length each."""
    ends = part.sort_values("lag").groupby("length")["log10_median"].agg(["first", "last"])
    ratios: pd.Series = ends["last"] - ends["first"]
    return ratios


def _agreement(table: pd.DataFrame) -> str:
    """Whether what is looked at is what training on the last answer alone would have."""
    wide = table.pivot_table(index=["length", "lag"], columns="loss", values="log10_median")
    if LAST not in wide:
        return ""
    late, last = wide[LATE], wide[LAST]
    known = late.notna() & last.notna()
    if not known.any():
        return ""
    who = "networks with a loss at the last step only"
    gap = (late - last)[known & np.isfinite(late) & np.isfinite(last)].abs().max()
    one = int((known & (np.isfinite(late) != np.isfinite(last))).sum())
    other = f"; at {plural(one, 'lag')} only one of both is a number above 0" if one else ""
    if np.isnan(gap) or number(10**gap) == "1":
        where = "at every other lag" if one else "at every lag"
        return f"{who.capitalize()} have the same norms as that last answer {where}{other}."
    return (
        f"The norms of {who} and those of that last answer differ by a factor of {number(10**gap)} "
        f"at most, at any lag{other}."
    )
