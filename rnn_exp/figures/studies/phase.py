"""A map of weight scale and sequence length: where the gradient survives, and what is learned."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.selection import (
    CannotDraw,
    Plotted,
    Tables,
    at_start,
    required,
    select_runs,
)
from rnn_exp.figures.parts.style import MEASURED, in_style
from rnn_exp.words import magnitude, plural, power, sentences

QUESTION: Final = "Is learning possible only where the gradient survives?"

FARTHEST: Final = 12.0
"""Beyond this power of ten, either way, colours do not change: nothing arrives in float32."""
TENFOLD: Final = 1.0
_CELL: Final = ["activation", "length", "gain"]
_SIDES: Final = {
    -1: "where it is more than ten times smaller",
    0: "where it keeps within a factor of ten",
    1: "where it is more than ten times larger",
}
_SCALES: Final = {
    "ratio": ScalarMappable(Normalize(-FARTHEST, FARTHEST), "RdBu_r"),
    # No darker than a line on it can be seen.
    "solved": ScalarMappable(Normalize(0, 1.4), "Greens"),
}


def table(tables: Tables) -> Plotted:
    """Return for each gain and length log10 of the first over the last norm, and who solves."""
    selected = select_runs(tables.runs, lengths=12, series=40, panels=3)
    asked, most = "training.stop_when_solved", "training.updates"
    known = required(tables.runs, ["run", "status", asked, most], "runs")
    if not known[asked].astype(bool).all():
        raise CannotDraw("Whether a task was solved is known with training.stop_when_solved=true.")
    frame = selected.runs.rename(columns={"value": "gain"}).merge(
        known.astype({"run": str}), on="run"
    )
    sizes = frame[["gain", "length"]].dropna().nunique()
    if (sizes < 2).any():
        raise CannotDraw("A map takes two gains and two sequence lengths at least.")
    frame = frame.merge(_ratios(tables, frame["run"]), on="run")
    cells = frame.assign(solved=frame["status"] == "solved").groupby(_CELL, sort=False)
    # The lower of two middle ones: a half of minus infinity would be no number.
    numbers = cells["log10_ratio"].quantile(0.5, interpolation="lower").to_frame()
    numbers = numbers.assign(solved=cells["solved"].sum(), seeds=cells.size())
    numbers = numbers.assign(updates=cells[most].max()).reset_index()
    return Plotted(numbers, selected.notes, selected.left_out)


def _ratios(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    """log10 of the norm at the first time step over that at the last, of each run at update 0."""
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients").set_index("run")
    last = rows.loc[rows["lag"] == 0, "log10_norm"]
    first = rows.loc[rows["time"] == 1, "log10_norm"]
    return (first - last).rename("log10_ratio").reset_index()


def draw(plotted: Plotted) -> Figure:
    """Draw above the ratio of norms, below the share of seeds that solve; lines: tenfold."""
    table = plotted.table
    with in_style():
        activations = list(table["activation"].unique())
        figure, grid = panels.grid(2, max(len(activations), 2), height=1.55)
        for axes in grid[:, len(activations) :].flat:
            axes.set_visible(False)
        for column, activation in enumerate(activations):
            part = table[table["activation"] == activation]
            for axes, name in zip(grid[:, column], _SCALES, strict=True):
                _panel(axes, part, name)
            panels.title(grid[0, column], activation)
        panels.letters(grid.flat)
        panels.log_axes(grid[0, 0], table["gain"], table["length"])
        gain = r"gain $g$ (weights have standard deviation $g/\sqrt{n}$)"
        panels.name_axes(figure, grid, gain, "sequence length $T$")
        _bars(figure, grid)
        line = marks.line_entry("smaller or larger by a factor of ten", MEASURED, "0")
        figure.set_legend([line])
    return figure


def _panel(axes: Axes, part: pd.DataFrame, name: str) -> None:
    ratio, solved, seeds = (
        part.pivot_table(index="length", columns="gain", values=value, dropna=False)
        for value in ("log10_ratio", "solved", "seeds")
    )
    ratio = ratio.clip(-FARTHEST, FARTHEST)
    shown = {"ratio": ratio, "solved": solved / seeds}[name]
    gains, lengths = shown.columns.to_numpy(dtype=float), shown.index.to_numpy(dtype=float)
    look: dict[str, Any] = {"cmap": _SCALES[name].cmap, "norm": _SCALES[name].norm, "gid": name}
    axes.pcolormesh(
        panels.log_edges(gains), panels.log_edges(lengths), np.ma.masked_invalid(shown), **look
    )
    if name == "solved":
        _write_counts(axes, solved, seeds)
    known = ratio.to_numpy(dtype=float)
    levels = [level for level in (-TENFOLD, TENFOLD) if known.min() < level < known.max()]
    if levels and np.isfinite(known).all():
        lines: dict[str, Any] = {"colors": "black", "linewidths": 1, "linestyles": "-"}
        axes.contour(gains, lengths, known, levels=levels, **lines)


def _write_counts(axes: Axes, solved: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """Write how many seeds solve it into the cells of some, so that a grey print says it too."""
    # Below the middle of its cell, through which lines go; where one does it ends at the number.
    at: dict[str, Any] = {"xytext": (0, -6.5), "textcoords": "offset points"}
    look: dict[str, Any] = {"fontsize": 6, "ha": "center", "va": "center", "gid": "count"}
    shares = solved / seeds
    for (length, row), (_, parts) in zip(solved.iterrows(), shares.iterrows(), strict=True):
        for (gain, count), share in zip(row.items(), parts, strict=True):
            if count > 0:
                place = float(str(gain)), float(str(length))
                colour = _SCALES["solved"].to_rgba(share)
                box = {"facecolor": colour, "edgecolor": "none", "pad": 0.3}
                axes.annotate(f"{count:.0f}", place, bbox=box, **at, **look)


def _bars(figure: Figure, grid: np.ndarray) -> None:
    ratio = r"$\|\partial L/\partial h_1\|\,/\,\|\partial L/\partial h_T\|$"
    bar = figure.colorbar(_SCALES["ratio"], ax=grid[0], extend="both", aspect=12, pad=0.02)
    bar.set_label(ratio)
    panels.powers(bar.ax, bins=5)
    share = figure.colorbar(_SCALES["solved"], ax=grid[1], aspect=12, pad=0.02)
    share.set_label("seeds that solve the task")
    share.ax.set_ylim(0, 1)
    share.set_ticks([0, 0.5, 1], labels=["none", "half", "all"])
    for one in (bar, share):
        one.outline.set_visible(False)


def caption(plotted: Plotted) -> str:
    """Say what is seen, length by length: how many runs solve the task where the gradient stays."""
    table = plotted.table
    lengths = sorted(table["length"].unique())
    return sentences(
        _answer(table[table["length"] == lengths[-1]]),
        f"At most {table['updates'].max():.0f} updates. By the gradient at the first time step "
        "beside that at the last, at initialisation:",
        *(_solved_at(int(length), table[table["length"] == length]) for length in lengths),
        _every_seed(table),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    seeds = int(plotted.table["seeds"].max())
    colour = f"median over {seeds} seeds" if seeds > 1 else "one seed"
    return (
        f"Colour above: {colour}, as dark at {power(-FARTHEST)} and {power(FARTHEST)} as beyond "
        "these; lines, in both rows: a factor of ten. Numbers below: seeds that solve the task."
    )


def _answer(part: pd.DataFrame) -> str:
    """Whether the longest sequences are learned only where the gradient keeps its size.

    Args:
        part: the cells of the longest sequences.
    """
    kept = _side(part) == 0
    inside, outside = (
        (int(cells["solved"].sum()), int(cells["seeds"].sum()))
        for cells in (part[kept], part[~kept])
    )
    length = int(part["length"].iloc[0])
    if not inside[0] + outside[0]:
        return f"At T = {length} no run solves the task."
    return (
        f"{'No' if outside[0] else 'Yes'}: at T = {length}, {inside[0]} of "
        f"{plural(inside[1], 'run')} solve the task where the gradient keeps its size within a "
        f"factor of ten, and {outside[0]} of {outside[1]} elsewhere."
    )


def _side(part: pd.DataFrame) -> pd.Series:
    """By which side of the lines a cell lies: -1 smaller, 0 between them, 1 larger."""
    return np.sign(part["log10_ratio"]).where(part["log10_ratio"].abs() > TENFOLD, 0)


def _solved_at(length: int, part: pd.DataFrame) -> str:
    """Who solves the task at one length, by the side of the lines: lengths are not added up."""
    side = _side(part)
    said = [_solved(words, part[side == which]) for which, words in _SIDES.items()]
    return f"T = {length}: {'; '.join(filter(None, said))}."


def _solved(where: str, cells: pd.DataFrame) -> str:
    runs = int(cells["seeds"].sum())
    return (
        f"{where}, {int(cells['solved'].sum())} of {plural(runs, 'run')} solve it" if runs else ""
    )


def _every_seed(table: pd.DataFrame) -> str:
    """The smallest and the largest gradient with which every seed still learns."""
    sure = table[(table["solved"] == table["seeds"]) & np.isfinite(table["log10_ratio"])]
    if sure.empty:
        return "Nowhere is it solved by every seed."
    ends = [sure.loc[sure["log10_ratio"].idxmin()], sure.loc[sure["log10_ratio"].idxmax()]]
    small, large = (
        f"{magnitude(float(row['log10_ratio']))} ({row['activation']}, g = {row['gain']:g}, "
        f"T = {row['length']})"
        for row in ends
    )
    if len(sure) == 1:
        return f"Every seed solves it in one cell, with a ratio of {small}."
    return (
        f"The {len(sure)} cells in which every seed solves it have ratios from {small} to {large}."
    )
