"""Gradient norm against lag, at initialisation: the picture of every textbook, measured."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.captions import closing, extreme_rates, far_end_change, theory_agreement
from rnn_exp.figures.parts.seeds import gradient_interval
from rnn_exp.figures.parts.selection import KEYS, Plotted, Tables, at_start, select_runs, top_layer
from rnn_exp.figures.parts.style import MEASURED, THEORY, darker, in_style
from rnn_exp.figures.parts.words import sentences

QUESTION: Final = "How far back in time does the gradient reach?"


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each lag (median, range over seeds) and the predicted line."""
    selected = select_runs(tables.runs)
    rows = at_start(top_layer(tables, selected.runs["run"], [0]), "gradients")
    frame = selected.runs.merge(rows, on="run")
    frame = frame.sort_values("lag", kind="stable")
    numbers = gradient_interval(frame, [*KEYS, "lag"], "log10_total")
    numbers = _in_order(selected.runs[KEYS].drop_duplicates(), numbers)
    numbers = numbers.merge(_rates(tables.runs, selected.runs), on=KEYS, how="left")
    numbers["log10_predicted"] = _predicted(numbers)
    return Plotted(numbers, selected.notes)


def _in_order(order: pd.DataFrame, numbers: pd.DataFrame) -> pd.DataFrame:
    return order.merge(numbers, on=KEYS)


def _rates(runs: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    names = {"decay_rate": "measured_rate", "predicted_rate": "predicted_rate"}
    rates = runs.reindex(columns=["run", *names]).rename(columns=names).astype({"run": str})
    joined = chosen.merge(rates, on="run")
    medians = joined.groupby(KEYS, dropna=False)[list(names.values())].median()
    return medians.astype(float).reset_index()


def _predicted(numbers: pd.DataFrame) -> pd.Series:
    """A straight line through the first finite measured value: only the slope is predicted."""
    finite = numbers[np.isfinite(numbers["log10_median"])].drop_duplicates(KEYS)[
        [*KEYS, "lag", "log10_median"]
    ]
    anchored = numbers[KEYS].merge(finite, on=KEYS, how="left")
    slope = np.log10(numbers["predicted_rate"].where(numbers["predicted_rate"] > 0))
    lags = numbers["lag"] - anchored["lag"].to_numpy()
    line: pd.Series = (anchored["log10_median"].to_numpy() + slope * lags).where(lags >= 0)
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
        norm = r"gradient norm $\|\partial L/\partial h_t\|$"
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", norm)
        marks.legend(figure, _entries(table, palette))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for series, rows in part.groupby("series", sort=False):
        colour = palette[str(series)]
        marks.band(axes, rows, "lag", colour, log10=True)
        if rows["log10_predicted"].notna().any():
            axes.plot(
                rows["lag"], rows["log10_predicted"], THEORY, color=darker(colour), linewidth=0.8
            )
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


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[marks.Entry]:
    entries = [*marks.series_entries(palette), marks.line_entry("measured", MEASURED)]
    if table["log10_predicted"].notna().any():
        entries.append(marks.line_entry("mean-field slope", THEORY))
    return entries + marks.lost_entries(bool(table["floor"].any()), bool(table["ceiling"].any()))


def caption(plotted: Plotted) -> str:
    """Say what is seen: the fastest and slowest decay, how far it goes, if theory agrees."""
    table = plotted.table
    return sentences(
        extreme_rates(table, "measured_rate"),
        far_end_change(table),
        theory_agreement(table, "measured_rate", "predicted_rate"),
        "Solid: median of log10 over seeds; band: lowest to highest seed.",
        "Dashed: the mean-field slope, drawn through the measured value at the smallest lag."
        if table["log10_predicted"].notna().any()
        else "",
        closing(plotted),
    )
