"""Update by lag: how the reach of the gradient changes while the network trains."""

from typing import Any, Final, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.captions import training_change
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.seeds import gradient_interval, limit_updates
from rnn_exp.figures.parts.selection import (
    KEYS,
    CannotDraw,
    Plotted,
    Tables,
    required,
    select_runs,
)
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import VERMILLION, in_style
from rnn_exp.words import plural, sentences

QUESTION: Final = "Does training change how far back the gradient reaches?"

# Beyond these factors nothing is learned, or nothing stays finite, in single precision; a map that
# went on to the smallest float would show only that one panel is darker than all others.
DARKEST, BRIGHTEST = -12.0, 12.0
# Hatched, because a grey print has no colour to tell a lost gradient from a large one.
FLOOR: Final[dict[str, Any]] = {
    "facecolor": "0.92",
    "edgecolor": "0.55",
    "hatch": "/////",
    "linewidth": 0,
}
COLOURS: Final = {"ceiling": VERMILLION, "none": "white"}
KINDS: Final = ("value", "floor", "ceiling", "none")
_UPDATES = 80


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each update and lag, relative to lag 0 (median over seeds)."""
    selected = select_runs(tables.runs, lengths=1, series=4, panels=3)
    runs = selected.runs["run"]
    recorded = required(tables.updates, ["run", "update"], "updates").astype({"run": str})
    recorded = recorded[recorded["run"].isin(runs)]
    if len(recorded["update"].unique()) < 2:
        raise CannotDraw("Gradients were recorded at fewer than two updates: nothing changes.")
    kept, note = limit_updates(recorded["update"], _UPDATES)
    rows = carrier_rows(tables, runs, kept)
    frame = selected.runs.merge(_relative(rows), on="run").sort_values(["update", "lag"])
    cells = gradient_interval(frame, [*KEYS, "update", "lag"], "log10_relative")
    numbers = selected.runs[KEYS].drop_duplicates().merge(cells, on=KEYS)
    numbers = numbers.drop(columns=["log10_low", "log10_high"]).assign(kind=_kind)
    return Plotted(numbers, (*selected.notes, *note))


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Each norm divided by the norm at lag 0 (in log10), where that one is finite."""
    last = rows.loc[rows["lag"] == 0, ["run", "update", "log10_norm"]]
    last = last.rename(columns={"log10_norm": "last"}).replace([np.inf, -np.inf], np.nan)
    joined = rows.merge(last, on=["run", "update"], how="left")
    return joined.assign(log10_relative=joined["log10_norm"] - joined["last"])


def _kind(cells: pd.DataFrame) -> np.ndarray:
    """What is seen in a cell: its value, or that it has none."""
    median = cells["log10_median"]
    over = (median == np.inf) | (median.isna() & (cells["ceiling"] > 0))
    return np.select([np.isfinite(median), median == -np.inf, over], KINDS[:3], KINDS[3])


def draw(plotted: Plotted) -> Figure:
    """Draw panels by activation (rows) and series (columns), one colour scale for all."""
    table = plotted.table
    with in_style():
        pairs = table[["activation", "series"]].drop_duplicates()
        rows, columns = list(pairs["activation"].unique()), list(pairs["series"].unique())
        figure, grid = panels.grid(len(rows), len(columns), height=1.6)
        scale = _scale(table)
        for (row, column), axes in np.ndenumerate(grid):
            where = (table["activation"] == rows[row]) & (table["series"] == columns[column])
            _panel(axes, table[where], scale)
            panels.title(axes, rows[row], columns[column])
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", "update")
        _scale_bar(figure, grid, scale)
        figure.set_legend(_entries(table))
    return figure


def _scale(table: pd.DataFrame) -> ScalarMappable:
    finite = table.loc[table["kind"] == "value", "log10_median"]
    low, high = (finite.min(), finite.max()) if len(finite) else (-1.0, 0.0)
    low = max(float(np.floor(low)), DARKEST)
    high = min(max(float(np.ceil(high)), low + 1), BRIGHTEST)
    return ScalarMappable(Normalize(low, high), "viridis")


def _panel(axes: Axes, part: pd.DataFrame, scale: ScalarMappable) -> None:
    if part.empty:
        axes.text(0.5, 0.5, "not in the study", ha="center", transform=axes.transAxes, color="0.4")
        return
    lags, updates = np.sort(part["lag"].unique()), np.sort(part["update"].unique())
    every = pd.MultiIndex.from_product([updates, lags], names=["update", "lag"])
    cells = part.set_index(["update", "lag"]).reindex(every)
    shape = (len(updates), len(lags))
    x, y = panels.cell_edges(lags), panels.cell_edges(updates)
    finite = np.ma.masked_invalid(cells["log10_median"].to_numpy(dtype=float).reshape(shape))
    axes.pcolormesh(
        x, y, finite, cmap=scale.cmap, norm=cast(Normalize, scale.norm), rasterized=True
    )
    mesh = Rectangle((x[0], y[0]), x[-1] - x[0], y[-1] - y[0], zorder=0, **FLOOR)
    axes.add_patch(mesh)
    for kind, colour in COLOURS.items():
        here = (cells["kind"] == kind).to_numpy(dtype=float).reshape(shape)
        mask = np.ma.masked_equal(here, 0.0)
        axes.pcolormesh(x, y, mask, cmap=ListedColormap([colour]), rasterized=True, gid=kind)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def _scale_bar(figure: Figure, grid: np.ndarray, scale: ScalarMappable) -> None:
    ends = (scale.norm.vmin == DARKEST, scale.norm.vmax == BRIGHTEST)
    names = {(True, True): "both", (True, False): "min", (False, True): "max"}
    bar = figure.colorbar(scale, ax=grid, extend=names.get(ends, "neither"), aspect=20, pad=0.02)
    bar.set_label("gradient norm / that at lag 0")
    bar.outline.set_visible(False)
    panels.powers(bar.ax, bins=6)


def _entries(table: pd.DataFrame) -> list[Entry]:
    floor, ceiling = Patch(**FLOOR), Patch(color=COLOURS["ceiling"])
    entries = {
        "floor": (floor, "no number: zero, cut off or lost"),
        "ceiling": (ceiling, "not finite"),
    }
    return [entry for kind, entry in entries.items() if (table["kind"] == kind).any()]


def caption(plotted: Plotted) -> str:
    """Say what is seen: where training changes the reach of the gradient most."""
    table = plotted.table
    length = int(table["length"].iloc[0])
    return sentences(
        f"Longest sequences of the study (T = {length})." if length else "",
        training_change(table[table["kind"] == "value"]),
        "Colour: median over seeds, relative to lag 0 of the same update"
        + ("; white: runs had ended." if (table["kind"] == "none").any() else "."),
        _lost(table),
        *plotted.notes,
    )


def _lost(table: pd.DataFrame) -> str:
    said = []
    for kind, what in (
        ("floor", "zero, cut off or lost (hatched)"),
        ("ceiling", "not finite (red)"),
    ):
        count = int((table["kind"] == kind).sum())
        said.append(f"{plural(count, 'cell')} of {len(table)}: {what}." if count else "")
    return sentences(*said)
