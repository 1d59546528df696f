"""A grid of panels, axes labelled with powers of ten, and one legend for all of them."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from rnn_exp.figures.style import COLUMN, PAGE

Share = bool | Literal["none", "all", "row", "col"]
Entry = tuple[Artist, str]


def grid(
    rows: int, columns: int, *, height: float, sharex: Share = True, sharey: Share = True
) -> tuple[Figure, np.ndarray]:
    """A figure of `rows` by `columns` axes: one panel fills a column, more fill the page."""
    width = PAGE if columns > 1 else COLUMN
    figure = Figure(figsize=(width, height * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return figure, axes


def plain(text: str) -> str:
    r"""Text from a configuration, shown as it is: a dollar sign starts no formula."""
    return text.replace("$", r"\$")


def powers(axes: Axes, which: Literal["x", "y"] = "y", bins: int = 6) -> None:
    """Label an axis that carries log10 values with powers of ten, whole exponents only."""
    # The values are exponents already: 1e-400 is a result here, and no float could hold it.
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(bins, integer=True, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(power_label))


def power_label(exponent: float, _position: object = None) -> str:
    """The tick label of a log10 value."""
    return f"$10^{{{exponent:.0f}}}$"


def plain_log(axes: Axes, which: Literal["x", "y"]) -> None:
    """A logarithmic axis over few decades, with ticks written as plain numbers."""
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
    """Cell edges half-way between recorded values, which need not be evenly spaced."""
    values = centres.astype(float)
    if values.size == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middle = (values[1:] + values[:-1]) / 2
    ends = 2 * values[0] - middle[0], 2 * values[-1] - middle[-1]
    return np.concatenate([[ends[0]], middle, [ends[1]]])


def name_axes(figure: Figure, grid: np.ndarray, x: str, y: str) -> None:
    """One label for all columns and one for all rows, on the panel itself where there is one."""
    if grid.shape[1] == 1:
        grid[-1, 0].set_xlabel(x)
    else:
        figure.supxlabel(x)
    if grid.shape[0] == 1:
        grid[0, 0].set_ylabel(y)
    else:
        figure.supylabel(y)


def title(axes: Axes, activation: str, series: str = "", length: int = 0) -> None:
    """The title of a panel, from the parts that are known."""
    parts = filter(None, [activation, series, length_label(length)])
    axes.set_title(plain(", ".join(parts)))


def lengths_of(table: pd.DataFrame) -> list[int]:
    """The sequence lengths of a plotted table, shortest first."""
    return sorted(int(length) for length in table["length"].unique())


def length_label(length: int) -> str:
    """'T = 100', or nothing where the study has no sequence length."""
    return f"T = {length}" if length else ""
