"""The horizontal axis of figures that are drawn against a setting: numbers or names."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from rnn_exp.figures.panels import plain, plain_log


def positions(plotted: pd.DataFrame) -> pd.Series:
    """The value of the series or, for settings that are no numbers, a place in their row."""
    if is_numeric(plotted):
        return plotted["value"].astype(float)
    places = {name: float(i) for i, name in enumerate(plotted["series"].unique())}
    return plotted["series"].map(places)


def is_numeric(table: pd.DataFrame) -> bool:
    """Whether every series has a number; names are never joined by lines."""
    return bool(table["value"].notna().all())


def is_wide(values: pd.Series) -> bool:
    """Whether positive numbers span enough to be drawn on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() / values.min() > 3)


def beside(x: pd.Series, places: float, every: pd.Series) -> pd.Series:
    """Positions moved a little aside, by so many places, on an axis that holds `every` value."""
    low, high = float(every.min()), float(every.max())
    if is_wide(every):
        return x.mul((high / low) ** (0.015 * places))
    return x.add(0.015 * places * ((high - low) or 1.0))


def numeric_x(axes: Axes, values: pd.Series) -> None:
    """A shared axis of numbers: logarithmic where they span much, ticks at the values."""
    places = np.unique(values.to_numpy(dtype=float))
    if is_wide(values):
        plain_log(axes, "x")
    spread = np.log(places) if axes.get_xscale() == "log" else places
    if len(places) == 1 or np.diff(spread).min() >= 0.07 * np.ptp(spread):
        axes.set_xticks(places, [f"{value:g}" for value in places])
        axes.xaxis.set_minor_locator(NullLocator())


def named_x(grid: np.ndarray, table: pd.DataFrame) -> None:
    """Axes whose places are names: the series of the table at its `x`."""
    names = table.drop_duplicates("series")
    labels = [plain(name) for name in names["series"]]
    for axes in grid.flat:
        axes.set_xticks(names["x"], labels, rotation=30, ha="right", rotation_mode="anchor")


def set_x(grid: np.ndarray, table: pd.DataFrame) -> None:
    """Ticks for the series of this table, as numbers or names."""
    if is_numeric(table):
        numeric_x(grid[0, 0], table["x"])
    else:
        named_x(grid, table)


def series_label(table: pd.DataFrame) -> str:
    """What the series are: the gain, another numeric setting, or nothing that one word names."""
    first = str(table["series"].iloc[0])
    if first.startswith("g = "):
        return r"gain $g$ (weights have standard deviation $g/\sqrt{n}$)"
    return plain(first.rsplit(" ", 1)[0]) if is_numeric(table) else ""
