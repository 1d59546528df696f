"""Panels: grids of axes, their scales, ticks and labels, and maps with two settings as axes."""

from collections.abc import Collection, Iterable
from string import ascii_lowercase
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    Formatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from rnn_exp.figures.parts.axes import in_order, settings_of
from rnn_exp.figures.parts.selection import CannotDraw
from rnn_exp.figures.parts.sheet import Share, Sheet
from rnn_exp.figures.parts.style import COLUMN, PAGE

VANISHES_EXPLODES = "$\\leftarrow$ vanishes    explodes $\\rightarrow$"
"""Below the name of an upright axis: the arrows point down and up when it is turned."""
_TICKS = 8


def grid(
    rows: int, columns: int, *, height: float, sharex: Share = True, sharey: Share = True
) -> tuple[Sheet, np.ndarray]:
    """Return a figure of `rows` by `columns` axes: one panel fills a column, more fill the page.

    Args:
        rows: of panels.
        columns: of panels.
        height: of a row, in inches.
        sharex: as in matplotlib's `subplots`.
        sharey: as in matplotlib's `subplots`.
    """
    width = PAGE if columns > 1 else COLUMN
    figure = Sheet(width, height * rows + 0.5)
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    figure.set_grid(axes, height, (sharex, sharey))
    return figure, axes


def letters(every: Iterable[Axes]) -> None:
    """Name panels a, b, c … in the order in which they are read, where there is more than one.

    Args:
        every: the panels; those that are not shown get no letter.
    """
    shown = [axes for axes in every if axes.get_visible()]
    for axes, letter in zip(shown, ascii_lowercase, strict=False):
        if len(shown) > 1:
            at: dict[str, Any] = {"xytext": (-9, 6), "textcoords": "offset points"}
            look: dict[str, Any] = {"fontweight": "bold", "ha": "right", "gid": "letter"}
            axes.annotate(letter, (0, 1), xycoords="axes fraction", **at, **look)


def plain(text: str) -> str:
    r"""Return text from a configuration so that it is shown as it is: a dollar is no formula."""
    return text.replace("$", r"\$")


class _Exponents(MaxNLocator):
    """Ticks at whole exponents; where the axis spans few decades, at 1, 2 and 5 times each."""

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        if vmax - vmin > 2:
            return [float(tick) for tick in super().tick_values(vmin, vmax)]
        decades = np.arange(np.floor(vmin), np.ceil(vmax) + 1)
        ticks: list[float] = (decades[:, None] + np.log10([1, 2, 5])).ravel().tolist()
        return ticks


class _PowersOfTen(Formatter):
    """10ⁿ where all ticks are whole exponents, plain numbers where they are not."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        del pos
        return f"$10^{{{x:.0f}}}$"

    def format_ticks(self, values: Any) -> list[str]:  # noqa: ANN401 - matplotlib's
        """Return the labels of all ticks together, so that they agree in kind."""
        exponents = np.asarray(values, dtype=float)
        if np.allclose(exponents, exponents.round(), atol=1e-9):
            return [self(exponent) for exponent in exponents]
        return [f"{10**exponent:.3g}" for exponent in exponents]


def powers(axes: Axes, which: Literal["x", "y"] = "y", bins: int = 6) -> None:
    """Label an axis that carries log10 values with the numbers they stand for."""
    # The values are exponents already: 1e-400 is a result here, and no float could hold it.
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(_Exponents(bins, integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(_PowersOfTen())


def plain_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, over few decades with ticks written as plain numbers."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axes.get_xlim() if which == "x" else axes.get_ylim())
    if high / low > 1e4:
        return
    # Within a factor of three no power of ten need lie: evenly spaced values then.
    powers = LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,))
    axis.set_major_locator(powers if high / low > 3 else MaxNLocator(4, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Return cell edges half-way between recorded values, which need not be evenly spaced."""
    values = centres.astype(float)
    if values.size == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    # The outermost cells end where their values do: no axis then speaks of updates before 0.
    ends = values[0] - 0.5, values[-1] + 0.5
    return np.concatenate([[ends[0]], middle, [ends[1]]])


def name_axes(figure: Figure, grid: np.ndarray, x: str, y: str) -> None:
    """Set one label for all columns and one for all rows, on the panel where there is but one."""
    if grid.shape[1] == 1:
        grid[-1, 0].set_xlabel(x)
    else:
        figure.supxlabel(x)
    if grid.shape[0] == 1:
        grid[0, 0].set_ylabel(y)
    else:
        figure.supylabel(y, multialignment="center")


def title(axes: Axes, activation: str, series: str = "", length: int = 0) -> None:
    """Set the title of a panel from the parts that are known."""
    parts = filter(None, [activation, series, length_label(length)])
    axes.set_title(plain(", ".join(parts)))


def lengths_of(table: pd.DataFrame) -> list[int]:
    """Return the sequence lengths of a plotted table, shortest first."""
    return sorted(int(length) for length in table["length"].unique())


def length_label(length: int) -> str:
    """Return 'T = 100', or nothing where the study has no sequence length."""
    return f"T = {length}" if length else ""


def positions(plotted: pd.DataFrame) -> pd.Series:
    """Return the value of each series or, for settings that are no numbers, a place in a row."""
    if is_numeric(plotted):
        return plotted["value"].astype(float)
    places = {name: float(i) for i, name in enumerate(in_order(plotted))}
    return plotted["series"].map(places)


def is_numeric(table: pd.DataFrame) -> bool:
    """Return whether every series has a number; names are never joined by lines."""
    return bool(table["value"].notna().all())


def is_wide(values: pd.Series) -> bool:
    """Return whether positive numbers span enough to be drawn on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() / values.min() > 3)


def shifted(x: pd.Series, places: float, every: pd.Series) -> pd.Series:
    """Return positions moved a little aside, so that marks of one place are all seen.

    Args:
        x: the positions.
        places: how far, in steps of about a marker; negative: to the left.
        every: all values of the axis, which decide its scale.
    """
    low, high = float(every.min()), float(every.max())
    if is_wide(every):
        return x.mul((high / low) ** (0.015 * places))
    return x.add(0.015 * places * ((high - low) or 1.0))


def numeric_x(axes: Axes, values: pd.Series) -> None:
    """Set up a shared axis of numbers: logarithmic where they span much, ticks at the values."""
    places = np.unique(values.to_numpy(dtype=float))
    if is_wide(values):
        plain_log(axes, "x")
    spread = np.log(places) if axes.get_xscale() == "log" else places
    if len(places) == 1 or np.diff(spread).min() >= 0.07 * np.ptp(spread):
        axes.set_xticks(places, [f"{value:g}" for value in places])
        axes.xaxis.set_minor_locator(NullLocator())


def named_x(grid: np.ndarray, table: pd.DataFrame) -> None:
    """Set up axes whose places are names: the series of the table at its `x`."""
    names = table.drop_duplicates("series")
    labels = [plain(name) for name in names["series"]]
    for axes in grid.flat:
        axes.set_xticks(names["x"], labels, rotation=30, ha="right", rotation_mode="anchor")


def set_x(grid: np.ndarray, table: pd.DataFrame) -> None:
    """Set ticks for the series of this table, as numbers or names."""
    if is_numeric(table):
        numeric_x(grid[0, 0], table["x"])
    else:
        named_x(grid, table)


def series_label(table: pd.DataFrame) -> str:
    """Return what the series are: the gain, another numeric setting, or nothing."""
    first = str(table["series"].iloc[0])
    if first.startswith("g = "):
        return r"gain $g$ (weights have standard deviation $g/\sqrt{n}$)"
    return plain(first.rsplit(" ", 1)[0]) if is_numeric(table) else ""


def refuse_further(runs: pd.DataFrame, axes: Collection[str]) -> None:
    """Refuse runs that differ in a setting beside these; seeds may differ.

    Raises:
        CannotDraw: naming the settings.
    """
    settings = settings_of(runs)
    names = [
        str(name) for name in settings if name not in axes and len(settings[name].unique()) > 1
    ]
    if names:
        raise CannotDraw(f"The map has one place for runs that differ in {', '.join(names)}.")


def draw_cells(axes: Axes, values: pd.DataFrame, scale: Normalize, colours: str) -> QuadMesh:
    """Draw a cell for each value, between the places of its columns (x) and rows (y)."""
    x, y = (even_edges(places.to_numpy(dtype=float)) for places in (values.columns, values.index))
    shown = np.ma.masked_invalid(values.to_numpy(dtype=float))
    return axes.pcolormesh(x, y, shown, cmap=colours, norm=scale, rasterized=True)


def even_edges(centres: np.ndarray) -> np.ndarray:
    """Return edges half-way between centres; outermost cells are as wide as their neighbours."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])


def log_edges(centres: np.ndarray) -> np.ndarray:
    """Return cell edges half-way between two or more positive values on a logarithmic axis."""
    found: np.ndarray = np.exp(even_edges(np.log(centres)))
    return found


def log_axes(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Make axes logarithmic, with a tick at every value of a cell, or at some where many are."""
    axes.set(xscale="log", yscale="log")
    for axis, cells in ((axes.xaxis, x), (axes.yaxis, y)):
        values = np.sort(cells.unique())
        axis.set_major_locator(FixedLocator(list(values[:: -(-len(values) // _TICKS)])))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
