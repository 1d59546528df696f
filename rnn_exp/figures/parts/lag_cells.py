"""Cells of lag by update: norms relative to lag 0, and marks for those that have no number."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize, SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.words import plural, sentences

__all__ = [
    "MOST_UPDATES",
    "Lost",
    "diverging_scale",
    "draw_by_lag",
    "kinds",
    "scale_bar",
]

MOST_UPDATES: Final = 80
"""So many updates are drawn at most."""
_KINDS: Final = ("value", "floor", "ceiling", "none")
# Hatched, because a grey print has no colour to tell a lost gradient from a large one.
_FLOOR: Final[Mapping[str, Any]] = {
    "facecolor": "0.92",
    "edgecolor": "0.55",
    "hatch": "/////",
    "linewidth": 0,
}


class Lost(NamedTuple):
    """How cells without a number look.

    Args:
        ceiling: the colour of what is not finite.
        ceiling_name: that colour in a word.
        none: the colour of cells of which nothing was recorded.
        none_name: what the legend calls these; empty: nothing.
    """

    ceiling: str
    ceiling_name: str
    none: str
    none_name: str = ""

    def entries(self, table: pd.DataFrame) -> list[Entry]:
        """Return legend entries for the kinds of cells that occur."""
        entries = {
            "floor": (Patch(**_FLOOR), "no number: zero, cut off or lost"),
            "ceiling": (Patch(color=self.ceiling), "not finite"),
            "none": (Patch(color=self.none), self.none_name),
        }
        there = [entry for kind, entry in entries.items() if (table["kind"] == kind).any()]
        return [entry for entry in there if entry[1]]

    def words(self, table: pd.DataFrame) -> str:
        """Say how many cells have no number, and why."""
        said = []
        for kind, what in (
            ("floor", "zero, cut off or lost (hatched)"),
            ("ceiling", f"not finite ({self.ceiling_name})"),
        ):
            count = int((table["kind"] == kind).sum())
            said.append(f"{plural(count, 'cell')} of {len(table)}: {what}." if count else "")
        return sentences(*said)


def kinds(log10: pd.Series, ceiling: pd.Series) -> np.ndarray:
    """Say what is seen in each cell: its value, or that it has none.

    Args:
        log10: the value of each cell.
        ceiling: how many of its norms are not finite.
    """
    over = (log10 == np.inf) | (log10.isna() & (ceiling > 0))
    return np.select([np.isfinite(log10), log10 == -np.inf, over], _KINDS[:3], _KINDS[3])


def diverging_scale(log10: pd.Series) -> ScalarMappable:
    """Return colours of log10 values: white at a factor of 1, blue below, red above, to the ends.

    A decade is seen beside a hundred: colours go with the decades up to one, and with their
    logarithm beyond, so that no panel is of one colour where its values are not.

    Args:
        log10: the values; those that are not finite have no colour.
    """
    finite = log10[np.isfinite(log10)].abs()
    farthest = max(1.0, float(np.ceil(finite.max()))) if len(finite) else 1.0
    norm = SymLogNorm(linthresh=1.0, linscale=0.6, vmin=-farthest, vmax=farthest, base=10)
    return ScalarMappable(norm, "RdBu_r")


def draw_by_lag(
    axes: Axes, part: pd.DataFrame, column: str, scale: ScalarMappable, lost: Lost
) -> None:
    """Draw a cell for each lag (x) and update (y).

    Args:
        axes: where to draw.
        part: a row a cell: lag, update, kind (`kinds`) and its value.
        column: of the values.
        scale: their colours.
        lost: how cells without a number look.
    """
    lags, updates = np.sort(part["lag"].unique()), np.sort(part["update"].unique())
    every = pd.MultiIndex.from_product([updates, lags], names=["update", "lag"])
    cells = part.set_index(["update", "lag"]).reindex(every)
    shape = (len(updates), len(lags))
    x, y = panels.cell_edges(lags), panels.cell_edges(updates)
    finite = np.ma.masked_invalid(cells[column].to_numpy(dtype=float).reshape(shape))
    axes.pcolormesh(
        x, y, finite, cmap=scale.cmap, norm=cast(Normalize, scale.norm), rasterized=True
    )
    mesh = Rectangle((x[0], y[0]), x[-1] - x[0], y[-1] - y[0], zorder=0, **_FLOOR)
    axes.add_patch(mesh)
    for kind, colour in (("ceiling", lost.ceiling), ("none", lost.none)):
        here = (cells["kind"] == kind).to_numpy(dtype=float).reshape(shape)
        mask = np.ma.masked_equal(here, 0.0)
        axes.pcolormesh(x, y, mask, cmap=ListedColormap([colour]), rasterized=True, gid=kind)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))


def scale_bar(
    figure: Figure, grid: np.ndarray | list[Axes], scale: ScalarMappable, label: str
) -> None:
    """Draw the scale of the colours above all panels: narrow ones keep their width.

    Args:
        figure: of the panels.
        grid: their axes.
        scale: of log10 values.
        label: what they are.
    """
    bar = figure.colorbar(scale, ax=grid, location="top", aspect=45, pad=0.02, shrink=0.9)
    bar.set_label(label)
    bar.outline.set_visible(False)
    # Powers of ten whose exponents are evenly spaced to the eye: 1, then 10, 100, … decades.
    farthest = cast(float, scale.norm.vmax)
    tens = [10.0**n for n in range(4) if 10.0**n <= farthest]
    tens += [end for end in (np.floor(farthest),) if end > 1.4 * tens[-1]]
    exponents = sorted({0.0, *tens, *(-ten for ten in tens)})
    bar.set_ticks(exponents, labels=[f"$10^{{{exponent:.0f}}}$" for exponent in exponents])
    bar.ax.minorticks_off()
