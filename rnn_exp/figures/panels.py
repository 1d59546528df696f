"""A grid of panels, axes labelled with powers of ten, and one legend for all of them."""

from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from rnn_exp.figures.style import COLUMN, PAGE

Share = bool | Literal["none", "all", "row", "col"]


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
    # The outermost cells end where their values do: no axis then speaks of updates before 0.
    ends = values[0] - 0.5, values[-1] + 0.5
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
