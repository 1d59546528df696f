"""Decay rate against gain: what is measured, what theory predicts, what no network can exceed."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.carrier import carrier_note, cases
from rnn_exp.figures.parts.panels import is_numeric, positions, series_label, set_x, shifted
from rnn_exp.figures.parts.seeds import bar_lengths
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import ASYMPTOTE, BLUE, BOUND, THEORY, in_style
from rnn_exp.words import listing, number, plural, sentences

QUESTION: Final = "At which gain does the gradient neither vanish nor explode?"

MARKERS: Final = ("o", "s", "D")
_LINES: Final[dict[str, marks.Line]] = {
    "predicted_rate": THEORY,
    "asymptotic_rate": ASYMPTOTE,
    "bound": BOUND,
}


def table(tables: Tables) -> Plotted:
    """Return what is said of each case (`cases`): rate, interval, verdicts, theory; the bound."""
    selected = select_runs(tables.runs, series=30)
    runs = required(tables.runs, ["run", "decay_rate", "verdict"], "runs").astype({"run": str})
    extra = tables.runs.drop(columns=["run", "decay_rate", "verdict"])
    frame = selected.runs.merge(runs.join(extra), on="run")
    if frame["decay_rate"].astype(float).isna().all():
        raise CannotDraw("No run of the study has a decay rate.")
    numbers = cases(frame, KEYS)
    whole = numbers["predicted_lags"] == numbers["lags"]
    numbers["log10_measured_change"] = numbers["log10_change"].where(whole)
    frame = frame.assign(
        bound=frame.reindex(columns=["bound"])["bound"].astype(float),
        unknown=frame["decay_rate"].astype(float).isna().astype(int),
    )
    grouped = frame.groupby(KEYS, dropna=False, sort=False)
    known = grouped.agg({"bound": "median", "unknown": "sum"}).reset_index()
    numbers = numbers.merge(known, on=KEYS)
    numbers["x"] = positions(numbers)
    few = int(numbers["unknown"].sum())
    notes, left_out = [*carrier_note(tables.runs, selected.runs)], selected.left_out
    notes += [*captions.units(tables.runs, selected.runs), *selected.notes]
    notes += captions.without_theory(tables.runs, selected.runs)
    if few:
        left_out += (f"{plural(few, 'run')} with too few lags for a rate: not drawn.",)
    return Plotted(numbers, tuple(notes), left_out)


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
        figure.set_legend(_entries(table))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, lengths: list[int]) -> None:
    axes.axhline(1, color="0.6", linewidth=0.6, zorder=0)
    for place, length in enumerate(lengths):
        rows = part[part["length"] == length]
        shown = rows[np.isfinite(rows["rate"]) & (rows["rate"] > 0)]
        ends = shown.rename(columns={"rate_low": "low", "rate_high": "high"})
        spread = np.nan_to_num(bar_lengths(ends, "rate"))
        # Drawn a little apart: lengths differ by less than a marker where the rate is a rate.
        apart = shifted(shown["x"], place - (len(lengths) - 1) / 2, part["x"])
        axes.errorbar(apart, shown["rate"], spread, **_points(place, len(lengths)))
    for column, line in _LINES.items():
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


def _entries(table: pd.DataFrame) -> list[Entry]:
    lengths = panels.lengths_of(table)
    entries: list[Entry] = []
    for place, length in enumerate(lengths):
        look = {k: v for k, v in _points(place, len(lengths)).items() if k != "elinewidth"}
        label = ", ".join(filter(None, ["measured", panels.length_label(length)]))
        entries.append((Line2D([], [], **look), label))
    labels = ("theory, these lags", "its asymptote", "singular-value bound")
    known = table[list(_LINES)].notna().any()
    return entries + [
        marks.line_entry(label, line)
        for label, line, used in zip(labels, _LINES.values(), known, strict=True)
        if used
    ]


def caption(plotted: Plotted) -> str:
    """Say what is seen: rates, where they cross 1, how good theory is, whether the bound holds."""
    table = plotted.table
    return sentences(
        captions.rates(table),
        *(_crossing(str(name), part) for name, part in table.groupby("activation", sort=False)),
        captions.theory_agreement(table),
        captions.bound_kept(table),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        "Points: mean over seeds of the logarithm of the rate; bars: its 95 % interval (of one "
        "seed: that of its own rate).",
        "Lines of theory are those of the longest sequences."
        if table["predicted_rate"].notna().any() and len(panels.lengths_of(table)) > 1
        else "",
        captions.points_and_seeds(table),
    )


def _crossing(activation: str, part: pd.DataFrame) -> str:
    if not is_numeric(part):
        return ""
    return _crosses_one(f"With {activation or 'this network'}", _curve(part, "rate"))


def _crosses_one(where: str, curve: pd.Series) -> str:
    """Say between which settings a curve of rates crosses 1."""
    known = curve[np.isfinite(curve) & (curve > 0)]
    if len(known) < 2:
        return ""
    sides = np.sign(np.log(known.to_numpy(dtype=float)))
    turns = np.flatnonzero(sides[1:] != sides[:-1])
    between = [f"{number(known.index[i])} and {number(known.index[i + 1])}" for i in turns]
    side = "below" if sides[0] < 0 else "above"
    course = f"crosses 1 between {listing(between)}" if between else f"stays {side} 1"
    return f"{where} the mean rate {course}."
