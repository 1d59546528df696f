"""The rate of the gradient over gain and drive, and the edge: measured, and as predicted."""

import math
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.carrier import LAGS, settled_rates
from rnn_exp.figures.parts.panels import draw_cells, refuse_further
from rnn_exp.figures.parts.seeds import gain_at_rate_one
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.figures.parts.style import MEASURED, THEORY, in_style
from rnn_exp.words import number, plural, sentences

QUESTION: Final = "How far does the input move the gain at which the gradient explodes?"
GENERAL_FIGURES: Final = ()

_TICKS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 5, 10)

_COLUMNS: Final = {
    "init.input_scale": "scale",
    "init.gain": "gain",
    "drive": "drive",
    "predicted_rate": "predicted",
}


def table(tables: Tables) -> Plotted:
    """Return the median over seeds of measured and predicted rate at each drive and gain."""
    runs = required(tables.runs, ["run", *_COLUMNS], "runs").rename(columns=_COLUMNS)
    refuse_further(tables.runs, ["init.input_scale", "init.gain"])
    runs = runs.astype({"run": str, **dict.fromkeys(_COLUMNS.values(), float)})
    runs = runs.dropna(subset="drive")  # of a run that has not finished nothing is known
    frame = runs.merge(settled_rates(tables, runs["run"]), on="run")
    places = frame.groupby(["scale", "gain"])
    numbers = places[["measured", "predicted"]].median().assign(seeds=places.size()).reset_index()
    # One drive a column: seeds, each with inputs of its own, differ in it by a percent.
    numbers["drive"] = numbers["scale"].map(frame.groupby("scale")["drive"].median())
    if (numbers["drive"] <= 0).any():
        raise CannotDraw("A run has no drive: there is no place for it on a logarithmic axis.")
    if numbers[["measured", "predicted"]].isna().all().any():
        raise CannotDraw("No run has a mean-field prediction.")
    if min(numbers["drive"].nunique(), numbers["gain"].nunique()) < 2:
        raise CannotDraw("A map needs at least two drives and two gains.")
    columns = ["drive", "gain", "measured", "predicted", "seeds"]
    return Plotted(numbers[columns].sort_values(["drive", "gain"], ignore_index=True))


def critical_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The gain at which each rate crosses 1, by drive; NaN where it does not."""
    rows = [
        {
            "drive": drive,
            **{k: gain_at_rate_one(part["gain"], part[k]) for k in ("measured", "predicted")},
        }
        for drive, part in table.groupby("drive")
    ]
    return pd.DataFrame(rows)


def draw(plotted: Plotted) -> Figure:
    """Draw the measured rate as colour; lines: where it is 1 (solid) and is predicted to be."""
    table = plotted.table
    with in_style():
        figure, grid = panels.grid(1, 1, height=2.5)
        axes, found = grid[0, 0], critical_gains(table)
        rates = table.assign(x=np.log10(table["drive"]), rate=np.log10(table["measured"]))
        rates = rates.pivot_table(index="gain", columns="x", values="rate", dropna=False)
        mesh = draw_cells(axes, rates, CenteredNorm(0), "RdBu_r")
        limits = axes.get_xlim(), axes.get_ylim()
        for column, line in (("measured", MEASURED), ("predicted", THEORY)):
            axes.plot(np.log10(found["drive"]), found[column], line, color="0.1", gid=column)
        axes.set(xlim=limits[0], ylim=limits[1])
        panels.powers(axes, "x")
        _scale_bar(figure, axes, mesh)
        panels.name_axes(figure, grid, "drive $s^2$ (input variance of a unit)", "gain $g$")
        measured = marks.line_entry("rate 1, measured", MEASURED)
        marks.legend(figure, [measured, marks.line_entry("mean field", THEORY)])
    return figure


def _scale_bar(figure: Figure, axes: Axes, mesh: QuadMesh) -> None:
    """A scale of rates, as far as there are any; the colours are even in their logarithm."""
    bar = figure.colorbar(mesh, ax=axes, aspect=20, pad=0.02, label="decay rate per step back")
    bar.outline.set_visible(False)
    shown = np.asarray(mesh.get_array())
    bar.ax.set_ylim(float(np.nanmin(shown)), float(np.nanmax(shown)))
    bar.ax.yaxis.set_major_locator(FixedLocator(np.log10(_TICKS).tolist()))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:.3g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def caption(plotted: Plotted) -> str:
    """Say what is seen: how far the edge moves, and how far the prediction is from it."""
    table = plotted.table
    first, last = LAGS
    return sentences(
        _critical_words(critical_gains(table).dropna()),
        _off(table.dropna()),
        "Colour: measured decay rate (median over seeds), white at 1, red where the gradient "
        f"explodes; slopes over lags {first} to {last} at update 0.",
        f"{plural(len(table), 'point')} of {plural(int(table['seeds'].max()), 'seed')} each.",
    )


def _critical_words(found: pd.DataFrame) -> str:
    if found.empty:
        return "At no drive do both rates cross 1 within these gains."
    low, high = found.iloc[0], found.iloc[-1]
    gap = (found["measured"] - found["predicted"]).abs()
    worst = found.iloc[int(gap.to_numpy().argmax())]
    course = " to ".join(
        f"g = {number(row['measured'])} at a drive of {number(row['drive'])}"
        for row in ((low, high) if len(found) > 1 else (low,))
    )
    return (
        f"The measured edge goes from {course}. The mean field is off by at most "
        f"{number(gap.max())} in g, at a drive of {number(worst['drive'])} "
        f"(measured {number(worst['measured'])}, "
        f"predicted {number(worst['predicted'])})."
    )


def _off(table: pd.DataFrame) -> str:
    gap = (table["measured"] / table["predicted"]).map(math.log).abs()
    if gap.empty:
        return ""
    worst = table.iloc[int(gap.to_numpy().argmax())]
    where = f"drive {number(worst['drive'])}, g = {worst['gain']:g}"
    return (
        f"On the whole map ln rate is off its prediction by at most {number(gap.max())} ({where})."
    )
