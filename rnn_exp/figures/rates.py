"""Decay rate against gain: what is measured, what theory predicts, what no network can exceed."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.captions import (
    bound_kept,
    closing,
    extreme_rates,
    rate_crossing,
    theory_agreement,
)
from rnn_exp.figures.parts.panels import is_numeric, positions, series_label, set_x, shifted
from rnn_exp.figures.parts.seeds import bar_lengths, interval
from rnn_exp.figures.parts.selection import KEYS, CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.style import BLUE, BOUND, THEORY, in_style
from rnn_exp.words import plural, sentences

QUESTION: Final = "At which gain does the gradient neither vanish nor explode?"

MARKERS: Final = ("o", "s", "D")


def table(tables: Tables) -> Plotted:
    """Return the median and range over seeds of the decay rate; medians of prediction and bound."""
    selected = select_runs(tables.runs, series=30)
    names = {"decay_rate": "measured", "predicted_rate": "predicted"}
    runs = required(tables.runs, ["run", "decay_rate", "verdict"], "runs").astype({"run": str})
    extra = tables.runs.reindex(columns=["predicted_rate", "bound"]).astype(float)
    runs = runs.join(extra).rename(columns=names)
    frame = selected.runs.merge(runs, on="run").astype({"measured": float})
    if frame["measured"].isna().all():
        raise CannotDraw("No run of the study has a decay rate.")
    numbers = interval(frame, KEYS, "measured").rename(columns={"median": "measured"})
    lost = ~np.isfinite(frame["measured"])
    overflowed = lost & (frame["verdict"] == "diverged")
    grouped = frame.assign(overflowed=overflowed.astype(int)).groupby(
        KEYS, dropna=False, sort=False
    )
    theory = grouped.agg({"predicted": "median", "bound": "median", "overflowed": "sum"})
    numbers = numbers.merge(theory.reset_index(), on=KEYS)
    numbers["x"] = positions(numbers)
    few = int((lost & ~overflowed).sum())
    note = f"{plural(few, 'run')} with too few usable norms for a rate: not drawn." if few else ""
    return Plotted(numbers, (*selected.notes, *filter(None, [note])))


def draw(plotted: Plotted) -> Figure:
    """Draw a panel an activation: points measured, dashed predicted, dotted bound, a line at 1."""
    table = plotted.table
    with in_style():
        activations = list(table["activation"].unique())
        figure, grid = panels.grid(1, len(activations), height=2.3)
        for activation, axes in zip(activations, grid[0], strict=True):
            _panel(axes, table[table["activation"] == activation], panels.lengths_of(table))
            panels.title(axes, activation, marks.only_series(table))
        _scales(table, grid)
        for activation, axes in zip(activations, grid[0], strict=True):
            _impossible(axes, table[table["activation"] == activation])
        panels.name_axes(figure, grid, series_label(table), "decay rate per step back in time")
        marks.legend(figure, _entries(table))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, lengths: list[int]) -> None:
    axes.axhline(1, color="0.6", linewidth=0.6, zorder=0)
    for place, length in enumerate(lengths):
        rows = part[part["length"] == length]
        shown = rows[np.isfinite(rows["measured"]) & (rows["measured"] > 0)]
        spread = bar_lengths(shown, "measured")
        # Drawn a little apart: lengths differ by less than a marker where the rate is a rate.
        apart = shifted(shown["x"], place - (len(lengths) - 1) / 2, part["x"])
        axes.errorbar(apart, shown["measured"], spread, **_points(place, len(lengths)))
        marks.mark_lost(axes, rows.loc[rows["measured"] <= 0, "x"], marks.FLOOR, BLUE)
        marks.mark_lost(axes, rows.loc[rows["overflowed"] > 0, "x"], marks.CEILING, BLUE)
    for column, line in (("predicted", THEORY), ("bound", BOUND)):
        for x, y in _pieces(part, column):
            axes.plot(x, y, line, color="0.1", linewidth=1, gid=column)


def _points(place: int, count: int) -> dict[str, Any]:
    """Longest sequences filled, shorter ones open: all are seen where they coincide."""
    face = BLUE if place == count - 1 else "white"
    look = {"marker": MARKERS[place], "markerfacecolor": face, "markersize": 3.5}
    lines = {"linestyle": "none", "elinewidth": 0.8, "markeredgewidth": 0.8}
    return {**look, **lines, "color": BLUE}


def _curve(part: pd.DataFrame, column: str) -> pd.Series:
    """Theory at the longest sequence of each gain: its stationary state is reached best there."""
    longest = part.sort_values(["x", "length"]).drop_duplicates("x", keep="last")
    curve: pd.Series = longest.set_index("x")[column].dropna()
    return curve


def _pieces(part: pd.DataFrame, column: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """One line over all gains; a short level each where there is one gain, or only names."""
    curve = _curve(part, column)
    x, y = curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float)
    if len(x) > 1 and is_numeric(part):
        return [(x, y)]
    half = 0.3 if len(x) > 1 else 0.1
    ends = np.array([-half, half])
    return [(at + ends, np.full(2, level)) for at, level in zip(x, y, strict=True)]


def _scales(table: pd.DataFrame, grid: np.ndarray) -> None:
    panels.plain_log(grid[0, 0], "y")
    set_x(grid, table)


def _impossible(axes: Axes, part: pd.DataFrame) -> None:
    limits = axes.get_ylim()
    for x, y in _pieces(part, "bound"):
        axes.fill_between(x, y, limits[1], color="0.9", linewidth=0, zorder=-1)
    axes.set_ylim(limits)


def _entries(table: pd.DataFrame) -> list[marks.Entry]:
    lengths = panels.lengths_of(table)
    entries: list[marks.Entry] = []
    for place, length in enumerate(lengths):
        look = {k: v for k, v in _points(place, len(lengths)).items() if k != "elinewidth"}
        label = ", ".join(filter(None, ["measured", panels.length_label(length)]))
        entries.append((Line2D([], [], **look), label))
    dashed = marks.line_entry("mean field", THEORY)
    dotted = marks.line_entry("singular-value bound", BOUND)
    known = table[["predicted", "bound"]].notna().any()
    entries += [entry for entry, used in zip((dashed, dotted), known, strict=True) if used]
    unplaced = bool((table["measured"] <= 0).any())
    return entries + marks.lost_entries(unplaced, bool((table["overflowed"] > 0).any()))


def caption(plotted: Plotted) -> str:
    """Say what is seen: where the rate crosses 1, how good theory is, whether the bound holds."""
    table = plotted.table
    return sentences(
        extreme_rates(table, "measured"),
        *(_crossing(str(name), part) for name, part in table.groupby("activation", sort=False)),
        theory_agreement(table, "measured", "predicted"),
        bound_kept(table),
        "Points: median over seeds; bars: lowest to highest seed.",
        closing(plotted),
    )


def _crossing(activation: str, part: pd.DataFrame) -> str:
    if not is_numeric(part):
        return ""
    return rate_crossing(f"With {activation or 'this network'}", _curve(part, "measured"))
