"""The rate of the gradient over gain and drive, and the edge: measured, and as predicted."""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.carrier import LAGS, mean_rate, settled_rates
from rnn_exp.figures.parts.panels import draw_cells, even_edges, refuse_further
from rnn_exp.figures.parts.seeds import bar_lengths, gain_at_rate_one
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.figures.parts.style import MEASURED, THEORY, in_style
from rnn_exp.profiles import mean_interval
from rnn_exp.words import listing, number, plural, rates, sentences

QUESTION: Final = "How far does the input move the gain at which the gradient explodes?"

_FACTORS: Final = (1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1000)
"""Rates with a tick on the scale of colours, each with its inverse."""
_MOST_FACTORS: Final = 3

_EDGE: Final = ("edge", "edge_low", "edge_high")
_COLUMNS: Final = {
    "init.input_scale": "scale",
    "init.gain": "gain",
    "drive": "drive",
}


def table(tables: Tables) -> Plotted:
    """Return measured and predicted rates at each drive and gain, and the edge at each drive.

    Columns: drive, gain; measured and predicted (over the same lags; means over seeds of the
    logarithm), seeds; edge, edge_low, edge_high: the gain at which a seed's measured rate crosses
    1, mean over seeds and its 95 % interval.
    """
    runs = required(tables.runs, ["run", *_COLUMNS], "runs").rename(columns=_COLUMNS)
    refuse_further(tables.runs, ["init.input_scale", "init.gain"])
    runs = runs.astype({"run": str, **dict.fromkeys(_COLUMNS.values(), float)})
    runs = runs.dropna(subset="drive")  # of a run that has not finished nothing is known
    frame = runs.merge(settled_rates(tables, runs["run"]), on="run")
    places = frame.groupby(["scale", "gain"])
    rates = {name: places[name].agg(_mean_rate) for name in ("measured", "predicted")}
    numbers = pd.DataFrame(rates).assign(seeds=places.size()).reset_index()
    numbers = numbers.merge(_edges(frame.join(_seeds(tables.runs), on="run")), on="scale")
    # One drive a column: seeds, each with inputs of its own, differ in it by a percent.
    numbers["drive"] = numbers["scale"].map(frame.groupby("scale")["drive"].median())
    if (numbers["drive"] <= 0).any():
        raise CannotDraw("A run has no drive: there is no place for it on a logarithmic axis.")
    if numbers[["measured", "predicted"]].isna().all().any():
        raise CannotDraw("No theory holds for these runs at these lags.")
    if min(numbers["drive"].nunique(), numbers["gain"].nunique()) < 2:
        raise CannotDraw("A map needs at least two drives and two gains.")
    columns = ["drive", "gain", "measured", "predicted", "seeds", *_EDGE]
    numbers = numbers[columns].sort_values(["drive", "gain"], ignore_index=True)
    shown = frame[["run"]].astype(str)
    return Plotted(numbers, captions.without_theory(tables.runs, shown))


def _mean_rate(rates: pd.Series) -> float:
    return mean_rate(rates).mean


def _seeds(runs: pd.DataFrame) -> pd.Series:
    """The seed of each run, by its name."""
    seeds = runs.reindex(columns=["seed"])["seed"].fillna(0)
    return seeds.set_axis(runs["run"].astype(str)).rename("seed")


def _edges(frame: pd.DataFrame) -> pd.DataFrame:
    """The gain at which each seed's rate crosses 1: mean and interval over seeds, by drive."""
    rows = []
    for scale, part in frame.groupby("scale"):
        by_seed = [
            gain_at_rate_one(one["gain"], one["measured"]) for _, one in part.groupby("seed")
        ]
        found = mean_interval(by_seed)
        rows.append({"scale": scale, **dict(zip(_EDGE, found[:3], strict=True))})
    return pd.DataFrame(rows)


def critical_gains(table: pd.DataFrame) -> pd.DataFrame:
    """The gain at which each rate crosses 1, by drive; NaN where it does not.

    Columns: drive, measured with low and high (over seeds), predicted.
    """
    rows = [
        {
            "drive": drive,
            **dict(zip(("measured", "low", "high"), part[[*_EDGE]].iloc[0], strict=True)),
            "predicted": gain_at_rate_one(part["gain"], part["predicted"]),
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
            look: dict[str, Any] = {"marker": "o", "markersize": 3} if column == "measured" else {}
            x = np.log10(found["drive"])
            axes.plot(x, found[column], line, color="0.1", gid=column, **look)
        bars = np.nan_to_num(bar_lengths(found, "measured"))
        axes.errorbar(
            np.log10(found["drive"]),
            found["measured"],
            bars,
            fmt="none",
            ecolor="0.1",
            elinewidth=0.8,
        )
        axes.set(xlim=limits[0], ylim=limits[1])
        panels.powers(axes, "x")
        _scale_bar(figure, axes, mesh)
        panels.name_axes(figure, grid, "drive $s^2$ (input variance of a unit)", "gain $g$")
        look = {"linestyle": MEASURED, "marker": "o", "markersize": 3, "color": "0.1"}
        measured = Line2D([], [], **look), "edge (rate 1), measured"
        figure.set_legend([measured, marks.line_entry("edge, theory", THEORY)])
    return figure


def _scale_bar(figure: Figure, axes: Axes, mesh: QuadMesh) -> None:
    """A scale of rates, as far below 1 as above; the colours are even in their logarithm."""
    bar = figure.colorbar(mesh, ax=axes, aspect=20, pad=0.02, label="decay rate per step back")
    bar.outline.set_visible(False)
    farthest = 10 ** max(bar.ax.get_ylim())
    ticks = [math.log10(factor) for factor in _FACTORS if factor <= farthest][-_MOST_FACTORS:]
    bar.ax.yaxis.set_major_locator(FixedLocator([-t for t in reversed(ticks)] + [0.0, *ticks]))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:.2g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())


def caption(plotted: Plotted) -> str:
    """Say what is seen: how far the edge moves, and how far the prediction is from it."""
    table = plotted.table
    found = critical_gains(table)
    return sentences(
        _answer(found),
        _without_edge(found),
        _theory_words(found),
        _off(table.dropna(subset=["measured", "predicted"])),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table, (first, last) = plotted.table, LAGS
    most = int(table["seeds"].max())
    return sentences(
        "Colour: measured decay rate (mean over seeds of its logarithm), white at 1, red above, "
        "blue below, a factor as dark either way; "
        f"measured and predicted are slopes over lags {first} to {last} at update 0.",
        "Solid: where a seed's rate crosses 1, mean over seeds; bars: its 95 % interval."
        if most > 1
        else "Solid: where the measured rate crosses 1; one seed, no bars.",
        _cut_bars(table),
        f"{plural(len(table), 'point')} of up to {plural(most, 'seed')} each.",
    )


def _cut_bars(table: pd.DataFrame) -> str:
    """How many bars end outside the map."""
    found = critical_gains(table)
    low, high = even_edges(np.sort(table["gain"].unique()))[[0, -1]]
    count = int(((found["low"] < low) | (found["high"] > high)).sum())
    return (
        f"{plural(count, 'bar')} {'goes' if count == 1 else 'go'} beyond the map." if count else ""
    )


def _answer(found: pd.DataFrame) -> str:
    """How far the measured edge moves from the smallest to the largest drive that has one."""
    known = found.dropna(subset="measured").sort_values("drive")
    if known.empty:
        return "At no drive does the measured rate cross 1 within these gains."
    first, last = known.iloc[0], known.iloc[-1]
    if len(known) == 1:
        return f"The measured edge is at {_edge(first)}; at no other drive does the rate cross 1."
    factor = number(last["measured"] / first["measured"])
    return (
        f"The input moves the edge by a factor of {factor}, from {_edge(first)} to {_edge(last)}."
    )


def _without_edge(found: pd.DataFrame) -> str:
    """At which drives no gain of the map has a rate of 1."""
    lost = found.loc[found["measured"].isna(), "drive"]
    if lost.empty or len(lost) == len(found):
        return ""
    return f"Within these gains no rate crosses 1 at a drive of {listing(map(number, lost))}."


def _theory_words(found: pd.DataFrame) -> str:
    found = found.dropna(subset=["measured", "predicted"])
    if found.empty:
        return "At no drive do both rates cross 1 within these gains."
    gap = (found["measured"] - found["predicted"]).abs()
    worst = found.iloc[int(gap.to_numpy().argmax())]
    most = "" if len(found) == 1 else "at most "
    return (
        f"Theory is off by {most}{number(gap.max())} in g: measured {_edge(worst)}, predicted "
        f"{_predicted(worst)}."
    )


def _edge(row: pd.Series) -> str:
    at, low, high = rates(row["measured"], row["low"], row["high"], near=math.nan)
    interval = "" if np.isnan(row["low"]) else f" (95 % over seeds: {low} to {high})"
    return f"g = {at}{interval} at a drive of {number(row['drive'])}"


def _predicted(row: pd.Series) -> str:
    return f"g = {number(row['predicted'])}"


def _off(table: pd.DataFrame) -> str:
    gap = (table["measured"] / table["predicted"]).dropna().map(math.log).abs()
    if gap.empty:
        return ""
    first, last = LAGS
    decades = gap.max() * (last - first) / math.log(10)
    worst = table.iloc[int(gap.to_numpy().argmax())]
    where = f"drive {number(worst['drive'])}, g = {worst['gain']:g}"
    return (
        f"Where theory holds, measured and predicted change of the norm from lag {first} to lag "
        f"{last} differ by at most {number(decades)} decades ({where})."
    )
