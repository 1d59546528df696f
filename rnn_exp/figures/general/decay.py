"""Gradient norm against lag, at initialisation: the picture of every textbook, measured."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.carrier import BANDS, carrier_note, carrier_rows, cases, theory_changes
from rnn_exp.figures.parts.seeds import gradient_interval
from rnn_exp.figures.parts.selection import Plotted, Tables, at_start, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import ASYMPTOTE, MEASURED, THEORY, darker, in_style
from rnn_exp.words import sentences

QUESTION: Final = "How far back in time does the gradient reach?"

_THEORY: Final = [
    "log10_measured_change",
    "log10_predicted_change",
    "predicted_lags",
    "change_scatter",
]
_APART: Final = 0.3
"""Decades at the end of theory's curve from which on its asymptote is drawn beside it."""


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each lag (median, range over seeds), and theory's curve.

    Beside them what is said of each case (`cases`), and the change up to the lag to which theory is
    drawn, measured and predicted.
    """
    selected = select_runs(tables.runs)
    rows = at_start(carrier_rows(tables, selected.runs["run"], [0]), "gradients")
    frame = selected.runs.merge(rows, on="run").sort_values("lag", kind="stable")
    numbers = gradient_interval(frame, [*KEYS, "lag"], "log10_norm")
    curves = frame.groupby([*KEYS, "lag"], dropna=False)["log10_predicted"].median()
    numbers = numbers.merge(curves.reset_index(), on=[*KEYS, "lag"])
    numbers = selected.runs[KEYS].drop_duplicates().merge(numbers, on=KEYS)
    said = cases(selected.runs.merge(tables.runs.astype({"run": str}), on="run"), KEYS)
    said = said.drop(columns=["seeds", *_THEORY[1:]])
    numbers = numbers.merge(said, on=KEYS, how="left")
    numbers = numbers.merge(theory_changes(frame, KEYS), on=KEYS, how="left")
    numbers["log10_asymptote"] = _asymptotes(numbers)
    notes = captions.without_theory(tables.runs, selected.runs)
    units = captions.units(tables.runs, selected.runs)
    chosen = carrier_note(tables.runs, selected.runs)
    return Plotted(numbers, (*chosen, *units, *selected.notes, *notes), selected.left_out)


def _asymptotes(numbers: pd.DataFrame) -> pd.Series:
    """A line of the stationary rate from the first norm on; NaN where theory's curve is near it."""
    known = numbers["log10_predicted"].notna() & (numbers["asymptotic_rate"] > 0)
    slope = np.log10(numbers["asymptotic_rate"].where(known).to_numpy(dtype=float))
    rise = numbers["lag"] * slope
    by_case = [numbers[key] for key in KEYS]
    first = numbers["log10_predicted"].groupby(by_case, dropna=False).transform("first")
    gap = (first + rise - numbers["log10_predicted"]).abs()
    far = gap.groupby(by_case, dropna=False).transform("max") > _APART
    line: pd.Series = (first + rise).where(known & far)
    return line


def draw(plotted: Plotted) -> Figure:
    """Draw panels by activation and length, a line a series; dashed is what theory predicts."""
    table = plotted.table
    with in_style():
        activations, lengths = list(table["activation"].unique()), panels.lengths_of(table)
        size = (len(lengths), len(activations))
        figure, grid = panels.grid(*size, height=1.75, sharex="row", sharey="row")
        palette = marks.colours(table)
        for (row, column), axes in np.ndenumerate(grid):
            where = (table["activation"] == activations[column]) & (table["length"] == lengths[row])
            _panel(axes, table[where], palette)
            panels.title(axes, activations[column], marks.only_series(table), lengths[row])
        _limits(table, lengths, grid)
        norm = "gradient norm"
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", norm)
        figure.set_legend(_entries(table, palette))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for series, rows in part.groupby("series", sort=False):
        colour = palette[str(series)]
        marks.band(axes, rows, "lag", colour, log10=True)
        for column, line in (("log10_predicted", THEORY), ("log10_asymptote", ASYMPTOTE)):
            if rows[column].notna().any():
                axes.plot(rows["lag"], rows[column], line, color=darker(colour), linewidth=0.8)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))


def _limits(table: pd.DataFrame, lengths: list[int], grid: np.ndarray) -> None:
    # The measured values set the limits: a wrong prediction may leave the panel, not empty it.
    finite = table.replace([np.inf, -np.inf], np.nan)
    for length, axes in zip(lengths, grid[:, 0], strict=True):
        part = finite[finite["length"] == length]
        low, high = (
            part[["log10_low", "log10_median"]].min().min(),
            part[["log10_high", "log10_median"]].max().max(),
        )
        low, high = (low, high) if low == low else (-1.0, 1.0)
        margin = max(0.08 * (high - low), 0.3)
        axes.set_ylim(low - margin * (2 if part["floor"].any() else 1), high + margin)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    entries = [*marks.series_entries(palette), marks.line_entry("measured", MEASURED)]
    if table["log10_predicted"].notna().any():
        entries.append(marks.line_entry("theory", THEORY))
    if table["log10_asymptote"].notna().any():
        entries.append(marks.line_entry("its stationary rate", ASYMPTOTE))
    return entries + marks.lost_entries(table)


def caption(plotted: Plotted) -> str:
    """Say the verdict of each case, its rate and change, and how good theory is."""
    table = plotted.table
    return sentences(
        captions.verdicts(table),
        captions.rates(table),
        captions.changes(table),
        captions.theory_agreement(table),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        BANDS.replace("Line", "Solid line"),
        "Dashed: what theory predicts for networks of this kind, from the measured norm at lag 0 "
        "on; no number of it is fitted."
        if table["log10_predicted"].notna().any()
        else "",
        "Dash-dotted: the stationary rate, where the curve has not reached it."
        if table["log10_asymptote"].notna().any()
        else "",
        captions.points_and_seeds(table),
    )
