"""Values that no axis can hold: triangles at its lower or upper edge, never left out.

A gradient that is exactly zero or underflowed lies at the floor, one that overflowed or is not a
number at the ceiling.
"""

from typing import Final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

FLOOR: Final = "v"
CEILING: Final = "^"
_LABELS = {FLOOR: "zero or underflow", CEILING: "overflow or NaN"}
# So many triangles show an extent; one a lag would merge into a bar.
_MOST = 8


def mark(axes: Axes, x: ArrayLike, edge: str, colour: str) -> None:
    """Triangles at the edge of the axes; a further series is stacked, not drawn over the last."""
    positions = np.sort(np.asarray(x, dtype=float))
    if positions.size == 0:
        return
    few = np.unique(np.linspace(0, positions.size - 1, min(_MOST, positions.size)).round())
    name = "floor" if edge == FLOOR else "ceiling"
    inset = 0.03 + 0.05 * sum(line.get_gid() == name for line in axes.lines)
    height = inset if edge == FLOOR else 1 - inset
    axes.plot(
        positions[few.astype(int)],
        np.full(few.size, height),
        linestyle="none",
        marker=edge,
        markersize=3.2,
        color=colour,
        markeredgewidth=0,
        # x is data, y a fraction of the axes: the edge stays the edge whatever the limits.
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        gid=name,
        zorder=5,
    )


def entries(floor: bool, ceiling: bool) -> list[tuple[Artist, str]]:
    """Legend entries for the triangles that occur."""
    edges = [edge for edge, used in ((FLOOR, floor), (CEILING, ceiling)) if used]
    return [
        (Line2D([], [], linestyle="none", marker=e, color="0.35", markersize=3.5), _LABELS[e])
        for e in edges
    ]
