"""The rate of the gradient over gain and drive, and the edge: measured, and as predicted."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from rnn_exp.figures import legends, panels
from rnn_exp.figures.fits import LAGS, crossing, settled_rates
from rnn_exp.figures.maps import cells, refuse_further
from rnn_exp.figures.source import CannotDraw, Tables, required
from rnn_exp.figures.style import MEASURED, THEORY, in_style
from rnn_exp.figures.words import number, plural, sentences

QUESTION: Final = "How far does the input move the gain at which the gradient explodes?"
BESIDE: Final = ()

_COLUMNS: Final = {
    "init.input_scale": "scale",
    "init.gain": "gain",
    "drive": "drive",
    "predicted_rate": "predicted",
}


def table(tables: Tables) -> pd.DataFrame:
    """The median over seeds of measured and predicted rate at each drive and gain."""
    runs = required(tables.runs, ["run", *_COLUMNS], "runs").rename(columns=_COLUMNS)
    refuse_further(tables.runs, ["init.input_scale", "init.gain"])
    runs = runs.astype({"run": str, **dict.fromkeys(_COLUMNS.values(), float)})
    frame = runs.merge(settled_rates(tables, runs["run"]), on="run")
    places = frame.groupby(["scale", "gain"])
    plotted = places[["measured", "predicted"]].median().assign(seeds=places.size()).reset_index()
    # One drive a column: seeds, each with inputs of its own, differ in it by a percent.
    plotted["drive"] = plotted["scale"].map(frame.groupby("scale")["drive"].median())
    if not (plotted["drive"] > 0).all():
        raise CannotDraw("A run has no drive: there is no place for it on a logarithmic axis.")
    if min(plotted["drive"].nunique(), plotted["gain"].nunique()) < 2:
        raise CannotDraw("A map needs at least two drives and two gains.")
    columns = ["drive", "gain", "measured", "predicted", "seeds"]
    return plotted[columns].sort_values(["drive", "gain"], ignore_index=True)


def edges(table: pd.DataFrame) -> pd.DataFrame:
    """The gain at which each rate crosses 1, by drive; NaN where it does not."""
    rows = [
        {"drive": drive, **{k: crossing(part["gain"], part[k]) for k in ("measured", "predicted")}}
        for drive, part in table.groupby("drive")
    ]
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame) -> Figure:
    """The measured rate as colour; on it the measured edge (solid) and the predicted (dashed)."""
    with in_style():
        figure, grid = panels.grid(1, 1, height=2.5)
        axes, found = grid[0, 0], edges(table)
        rates = table.assign(x=np.log10(table["drive"]), rate=np.log10(table["measured"]))
        rates = rates.pivot_table(index="gain", columns="x", values="rate", dropna=False)
        mesh = cells(axes, rates, CenteredNorm(0), "RdBu_r")
        limits = axes.get_xlim(), axes.get_ylim()
        for column, line in (("measured", MEASURED), ("predicted", THEORY)):
            axes.plot(np.log10(found["drive"]), found[column], line, color="0.1", gid=column)
        axes.set(xlim=limits[0], ylim=limits[1])
        panels.powers(axes, "x")
        bar = figure.colorbar(mesh, ax=axes, aspect=20, pad=0.02, label="decay rate per step back")
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:.2f}"))
        panels.name_axes(figure, grid, "drive $s^2$ (input variance of a unit)", "gain $g$")
        names = {"rate 1, measured": MEASURED, "mean field": THEORY}
        legends.legend(figure, [legends.line_entry(name, names[name], "0.1") for name in names])
    return figure


def caption(table: pd.DataFrame) -> str:
    """What is seen: how far the edge moves, and how far the prediction is from it."""
    first, last = LAGS
    return sentences(
        _edge(edges(table).dropna()),
        _off(table.dropna()),
        "Colour: measured decay rate (median over seeds), white at 1, red where the gradient "
        f"explodes; slopes over lags {first} to {last} at update 0.",
        f"{plural(len(table), 'point')} of {plural(int(table['seeds'].max()), 'seed')} each.",
    )


def _edge(found: pd.DataFrame) -> str:
    if found.empty:
        return "At no drive do both rates cross 1 within these gains."
    low, high = found.iloc[0], found.iloc[-1]
    gap = (found["measured"] - found["predicted"]).abs()
    worst = found.loc[gap.idxmax()]
    course = " to ".join(f"g = {number(row['measured'])} at a drive of {number(row['drive'])}"
                         for row in ((low, high) if len(found) > 1 else (low,)))  # fmt: skip
    return (f"The measured edge goes from {course}. The mean field is off by at most "
            f"{number(gap.max())} in g, at a drive of {number(worst['drive'])} "
            f"(measured {number(worst['measured'])}, "
            f"predicted {number(worst['predicted'])}).")  # fmt: skip


def _off(table: pd.DataFrame) -> str:
    gap = np.log(table["measured"] / table["predicted"]).abs()
    if gap.empty:
        return ""
    worst = table.loc[gap.idxmax()]
    where = f"drive {number(worst['drive'])}, g = {worst['gain']:g}"
    return (
        f"On the whole map ln rate is off its prediction by at most {number(gap.max())} ({where})."
    )
