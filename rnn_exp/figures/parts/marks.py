"""Marks that several figures draw: triangles for values no axis can hold, colours, legends.

A gradient that is exactly zero or underflowed lies at the floor, one that overflowed or is not a
number at the ceiling.
"""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from rnn_exp.figures.parts.panels import plain
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import MEASURED, categories, ordered

Line = Literal["-", "--", "-.", ":"]
"""A style of lines; each means one thing everywhere."""
FLOOR: Final = "v"
"""The triangle of a value too small to be drawn, at the lower edge."""
CEILING: Final = "^"
"""The triangle of a value too large to be drawn, at the upper edge."""
UNSEEN: Final = "o"
"""The open circle on a line where its norm is lost to training: the line goes on as it truly is."""
_LABELS = {
    FLOOR: "no number: zero, cut off or lost",
    CEILING: "not finite",
    UNSEEN: "lost to training",
}
_FACES = {UNSEEN: "white"}
# So many triangles show an extent; one a lag would merge into a bar.
_MOST = 8


def mark_lost(axes: Axes, x: ArrayLike, shape: str, colour: str) -> None:
    """Draw triangles at the lower or upper edge; a further series is stacked, not drawn over.

    Args:
        axes: where to draw.
        x: places at which a value is lost; of many, some are drawn.
        shape: `FLOOR` or `CEILING`, which is also the edge.
        colour: of the series.
    """
    positions = np.sort(np.asarray(x, dtype=float))
    if positions.size == 0:
        return
    few = np.unique(np.linspace(0, positions.size - 1, min(_MOST, positions.size)).round())
    name = "floor" if shape == FLOOR else "ceiling"
    inset = 0.03 + 0.05 * sum(line.get_gid() == name for line in axes.lines)
    height = inset if shape == FLOOR else 1 - inset
    axes.plot(
        positions[few.astype(int)],
        np.full(few.size, height),
        linestyle="none",
        marker=shape,
        markersize=3.2,
        color=colour,
        markeredgewidth=0,
        # x is data, y a fraction of the axes: the edge stays the edge whatever the limits.
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        gid=name,
        zorder=5,
    )


def band(
    axes: Axes,
    rows: pd.DataFrame,
    x: str,
    colour: str,
    *,
    log10: bool = False,
    joined: bool = True,
    **line: Any,  # noqa: ANN401 - matplotlib's
) -> None:
    """Draw the median of one series as a line, the range over seeds, and triangles for lost values.

    A value that is not finite leaves a gap in the line. The range ends at the median where its own
    end is not finite.

    Args:
        axes: where to draw.
        rows: of one series, in order of ``x``, with `median`, `low` and `high` over seeds. Where
            columns `floor` and `ceiling` count the seeds whose value is lost, each such place gets
            a triangle at the lower or the upper edge.
        x: the column with the places.
        colour: of everything drawn.
        log10: whether the columns are `log10_median`, `log10_low` and `log10_high`.
        joined: whether the places have an order that a line may show; if not, points and bars.
        line: what else the median's line has: its style, marker or group id.
    """
    names = [f"log10_{name}" if log10 else name for name in ("median", "low", "high")]
    median, low, high = (rows[name].where(np.isfinite(rows[name])) for name in names)
    low, high = low.fillna(median), high.fillna(median)
    line = {"linestyle": MEASURED if joined else "none", **line}
    axes.plot(rows[x], median, color=colour, **line)
    if joined:
        axes.fill_between(rows[x], low, high, color=colour, alpha=0.22, linewidth=0)
    else:
        axes.vlines(rows[x], low, high, color=colour, linewidth=0.8)
    for name, shape in (("floor", FLOOR), ("ceiling", CEILING)):
        if name in rows:
            mark_lost(axes, rows.loc[rows[name] > 0, x], shape, colour)
    if "unseen" in rows and (rows["unseen"] > 0).any():
        _mark_unseen(axes, rows.assign(median=median)[rows["unseen"] > 0].iloc[0], x, colour)


def _mark_unseen(axes: Axes, first: pd.Series, x: str, colour: str) -> None:
    """Draw an open circle where training begins to lose the norms of a line."""
    look: dict[str, Any] = {"color": colour, "markerfacecolor": "white", "markersize": 4.5}
    axes.plot([first[x]], [first["median"]], UNSEEN, gid="unseen", zorder=5, **look)


def lost_entries(table: pd.DataFrame) -> list[Entry]:
    """Return legend entries for the triangles and circles that occur.

    Args:
        table: what is plotted; its columns floor, ceiling and unseen count lost values.
    """
    shapes = {"floor": FLOOR, "ceiling": CEILING, "unseen": UNSEEN}
    look: dict[str, Any] = {"linestyle": "none", "color": "0.35", "markersize": 3.5}
    return [
        (
            Line2D([], [], marker=shape, markerfacecolor=_FACES.get(shape), **look),
            _LABELS[shape],
        )
        for name, shape in shapes.items()
        if name in table and (table[name] > 0).any()
    ]


def colours(table: pd.DataFrame) -> dict[str, str]:
    """Return a colour for each series: by order where they are numbers, by category where not."""
    values = table.drop_duplicates("series")[["series", "value"]]
    palette = ordered if values["value"].notna().all() else categories
    return dict(zip(values["series"], palette(len(values)), strict=True))


def only_series(table: pd.DataFrame) -> str:
    """Return the name of the only series, for the titles, or nothing: one needs no legend."""
    names = table["series"].unique()
    return str(names[0]) if len(names) == 1 else ""


def line_entry(label: str, style: Line, colour: str = "0.2") -> Entry:
    """Return a legend entry for a line style."""
    return Line2D([], [], linestyle=style, color=colour), label


def series_entries(palette: dict[str, str]) -> list[Entry]:
    """Return legend entries for the colours of series, where there is more than one."""
    if len(palette) < 2:
        return []
    return [line_entry(plain(name), "-", colour) for name, colour in palette.items()]
