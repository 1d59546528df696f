"""Maps: two settings as axes, a number as colour."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize

from rnn_exp.figures.settings import settings_of
from rnn_exp.figures.source import CannotDraw


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


def cells(axes: Axes, values: pd.DataFrame, scale: Normalize, colours: str) -> QuadMesh:
    """A cell for each value, between the places of its columns (x) and rows (y)."""
    x, y = (edges(places.to_numpy(dtype=float)) for places in (values.columns, values.index))
    shown = np.ma.masked_invalid(values.to_numpy(dtype=float))
    return axes.pcolormesh(x, y, shown, cmap=colours, norm=scale, rasterized=True)


def edges(centres: np.ndarray) -> np.ndarray:
    """Edges half-way between the centres; the outermost cells are as wide as their neighbours."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])
