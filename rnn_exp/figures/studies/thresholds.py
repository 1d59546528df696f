"""Three thresholds of the gain: promised vanishing, true vanishing, exploding."""

import math
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.captions import closing
from rnn_exp.figures.parts.carrier import LAGS, settled_rates
from rnn_exp.figures.parts.seeds import bar_lengths, gain_at_rate_one, interval
from rnn_exp.figures.parts.selection import (
    KEYS,
    CannotDraw,
    Plotted,
    Tables,
    order_activations,
    required,
    select_runs,
)
from rnn_exp.figures.parts.style import BLUE, BOUND, THEORY, VERMILLION, in_style
from rnn_exp.words import listing, number, sentences

QUESTION: Final = "At which gain does the gradient explode, and what does the bound say of it?"
GENERAL_FIGURES: Final = ()

_THEORY: Final = ["bound", "predicted"]
# Light enough for black lines on them; in grey, too, the middle one is the lightest.
_REGIONS: Final = (
    (BLUE, 0.2, "vanishing, as the bound promises"),
    ("0.5", 0.06, "vanishing, without a promise"),
    (VERMILLION, 0.2, "exploding"),
)


def table(tables: Tables) -> Plotted:
    """Return the measured rate (median, range over seeds), its prediction and its bound."""
    selected = select_runs(tables.runs, lengths=1, series=1000)
    if selected.runs["value"].isna().any():
        raise CannotDraw("The runs differ in more than their gain: there is no axis for them.")
    theory = required(tables.runs, ["run", "predicted_rate", "bound"], "runs")
    theory = theory.astype({"run": str, "predicted_rate": float, "bound": float})
    frame = selected.runs.merge(settled_rates(tables, selected.runs["run"]), on="run")
    frame = frame.merge(theory.rename(columns={"predicted_rate": "predicted"}), on="run")
    numbers = interval(frame, KEYS, "measured").rename(columns={"median": "measured"})
    medians = frame.groupby(KEYS, sort=False)[_THEORY].median().reset_index()
    numbers = numbers.merge(medians, on=KEYS).rename(columns={"value": "gain"})
    if numbers[_THEORY].isna().all().any():
        raise CannotDraw("No run has both a mean-field prediction and a bound.")
    numbers = numbers.drop(columns="series").sort_values("gain", kind="stable", ignore_index=True)
    return Plotted(numbers, selected.notes)


def thresholds(part: pd.DataFrame) -> dict[str, float]:
    """The gains of one activation at which bound, prediction and measurement cross 1."""
    return {name: gain_at_rate_one(part["gain"], part[name]) for name in (*_THEORY, "measured")}


def draw(plotted: Plotted) -> Figure:
    """Draw a panel an activation: points measured, dashed predicted, dotted bound; regions."""
    table = plotted.table
    with in_style():
        parts = _parts(table)
        figure, grid = panels.grid(1, len(parts), height=2.4, sharex=False)
        for (activation, part), axes in zip(parts.items(), grid[0], strict=True):
            _panel(axes, part)
            panels.title(axes, activation)
        panels.plain_log(grid[0, 0], "y")
        gain = r"gain $g$ (weights have standard deviation $g/\sqrt{n}$)"
        panels.name_axes(figure, grid, gain, "decay rate per step back in time")
        marks.legend(figure, _entries())
    return figure


def _parts(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    names = order_activations(table["activation"].unique())
    return {name: table[table["activation"] == name] for name in names}


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    shown, x = part[np.isfinite(part["measured"])], part["gain"]
    spread = bar_lengths(shown, "measured")
    axes.axhline(1, color="0.5", linewidth=0.6, zorder=0.5)
    axes.errorbar(
        shown["gain"],
        shown["measured"],
        spread,
        fmt="o",
        color=BLUE,
        markersize=3.2,
        elinewidth=0.8,
        zorder=3,
    )
    axes.plot(x, part["predicted"], THEORY, color="0.1", linewidth=1, gid="predicted", zorder=4)
    axes.plot(x, part["bound"], BOUND, color="0.1", linewidth=1, gid="bound")
    axes.set_xlim(float(x.min()) / 1.08, float(x.max()) * 1.08)
    panels.plain_log(axes, "x")
    _regions(axes, part, thresholds(part))


def _regions(axes: Axes, part: pd.DataFrame, at: dict[str, float]) -> None:
    """Colour what lies between the thresholds, and write each at its line."""
    low, high = axes.get_xlim()
    # A rate that does not cross 1 is above it at every gain, or below it.
    ends = {name: low if (part[name] > 1).any() else high for name in _THEORY}
    marks = [low, *(end if at[name] != at[name] else at[name] for name, end in ends.items())]
    for (colour, alpha, _), left, right in zip(_REGIONS, marks, [*marks[1:], high], strict=True):
        axes.axvspan(left, right, color=colour, alpha=alpha, linewidth=0, zorder=0)
    for name in _THEORY:
        if at[name] == at[name]:
            axes.axvline(at[name], color="0.3", linewidth=0.6, zorder=1, gid=f"{name} edge")
            axes.text(
                at[name],
                0.02,
                f" {number(at[name])}",
                fontsize=7,
                transform=axes.get_xaxis_transform(),
            )


def _entries() -> list[marks.Entry]:
    lines: list[marks.Entry] = [
        (Line2D([], [], linestyle="", marker="o", color=BLUE, markersize=3.2), "measured"),
        marks.line_entry(r"mean field $\sqrt{\chi}$", THEORY),
        marks.line_entry("singular-value bound", BOUND),
    ]
    areas = [(Patch(color=c, alpha=a, linewidth=0), label) for c, a, label in _REGIONS]
    return [entry for pair in zip(lines, areas, strict=True) for entry in pair]


def caption(plotted: Plotted) -> str:
    """Say what is seen: the three thresholds of each activation, and how far theory is off."""
    table = plotted.table
    parts = _parts(table)
    first, last = LAGS
    return sentences(
        *(_thresholds(name, thresholds(part)) for name, part in parts.items()),
        f"Of ln rate, measured and predicted differ by at most {listing(_gaps(parts))}.",
        f"Points of which a seed lies above the bound: {(table['high'] > table['bound']).sum()}.",
        f"Rates are slopes over lags {first} to {last} at update 0. Points: median over seeds; "
        "bars: lowest to highest seed. Thresholds are read off the lines drawn.",
        closing(plotted),
    )


def _thresholds(name: str, at: dict[str, float]) -> str:
    promise, edge, seen = (number(at[key]) for key in ("bound", "predicted", "measured"))
    if at["bound"] != at["bound"]:
        return f"With {name} the bound stays on one side of 1."
    said = f"With {name} the bound promises vanishing below g = {promise}"
    if at["predicted"] != at["predicted"]:
        return f"{said}; no gain explodes."
    return f"{said}; the mean field is above 1 from {edge} on, the measured rate from {seen}."


def _gaps(parts: dict[str, pd.DataFrame]) -> list[str]:
    said = []
    for name, part in parts.items():
        rates = part.set_index("gain")
        gap = (rates["measured"] / rates["predicted"]).dropna().map(math.log).abs()
        if len(gap):
            said.append(f"{number(gap.max())} ({name}, g = {gap.idxmax():g})")
    return said
