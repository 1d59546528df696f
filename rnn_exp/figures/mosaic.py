"""Mosaic: a map of cells over two settings, both on logarithmic axes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from rnn_exp.figures import maps

__all__ = ["axes_of", "edges"]

_TICKS = 8


def edges(centres: np.ndarray) -> np.ndarray:
    """Cell edges half-way between two or more positive values on a logarithmic axis."""
    found: np.ndarray = np.exp(maps.edges(np.log(centres)))
    return found


def axes_of(axes: Axes, x: pd.Series, y: pd.Series) -> None:
    """Logarithmic axes with a tick at every value of a cell, or at every second where many are."""
    axes.set(xscale="log", yscale="log")
    for axis, cells in ((axes.xaxis, x), (axes.yaxis, y)):
        values = np.sort(cells.unique())
        axis.set_major_locator(FixedLocator(list(values[:: -(-len(values) // _TICKS)])))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
