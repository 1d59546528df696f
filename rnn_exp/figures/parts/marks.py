"""Marks that several figures draw: triangles for values no axis can hold, colours, legends.

A gradient that is exactly zero or underflowed lies at the floor, one that overflowed or is not a
number at the ceiling.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from rnn_exp.figures.parts.axes import in_order
from rnn_exp.figures.parts.panels import plain
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import MARKERS, MEASURED, categories, ordered


class End(NamedTuple):
    """The right end of a line, in data, with its name and colour."""

    x: float
    y: float
    label: str
    colour: str


Line = Literal["-", "--", "-.", ":"]
"""A style of lines; each means one thing everywhere."""
FLOOR: Final = "v"
"""The triangle of a value too small to be drawn, at the lower edge."""
CEILING: Final = "^"
"""The triangle of a value too large to be drawn, at the upper edge."""
BEYOND: Final = "$\\uparrow$"
"""The arrow at the upper edge of a value that is a number, but far beyond the end of the axis."""
UNSEEN: Final = "o"
"""The open circle on a line where its norm is lost to training: the line goes on as it truly is."""
_LABELS = {
    FLOOR: "no number: zero, cut off or lost",
    CEILING: "not finite",
    UNSEEN: "lost to training",
    BEYOND: "beyond the axis",
}
_GIDS = {FLOOR: "floor", CEILING: "ceiling", BEYOND: "beyond"}
_SIZES = {BEYOND: 6.0}
_FACES = {UNSEEN: "white"}
# So many triangles show an extent; one a lag would merge into a bar.
_MOST = 8
_TOLD_APART: Final = 0.012
"""Lines that are nearer than this part of an axis are drawn as one."""
# How far triangles lie inside the edge, as a part of the axes; points between two of one place.
_INSET, _ASIDE = 0.03, 3.6
# Points between the middles of two labels; characters of the longest label beside a line.
_LABEL_GAP, _LONGEST_LABEL = 7.5, 12


def is_beside(rows: pd.DataFrame, line: str, other: str, shown: Sequence[str]) -> bool:
    """Return whether one line can be told from another, in any place on a logarithmic axis.

    Two dashed lines on one another look like a third kind of line.

    Args:
        rows: of a panel.
        line: the column of the first one.
        other: that of the other; where it is missing the first one stands alone.
        shown: all columns that the panel shows; they decide how far its axis goes.
    """
    known = rows[line].notna()
    every = np.log(rows[list(shown)].to_numpy(dtype=float))
    span = np.nanmax(every) - np.nanmin(every) if known.any() else 0.0
    gap = np.abs(np.log((rows.loc[known, line] / rows.loc[known, other]).to_numpy(dtype=float)))
    return bool((np.isnan(gap) | (gap > _TOLD_APART * span)).any())


def mark_lost(axes: Axes, x: ArrayLike, shape: str, colour: str) -> None:
    """Draw triangles in one row along the lower or upper edge; no series covers another's.

    Args:
        axes: where to draw.
        x: places at which a value is lost; of many, some are drawn.
        shape: `FLOOR`, `CEILING` or `BEYOND`, which is also the edge.
        colour: of the series.
    """
    positions = np.sort(np.asarray(x, dtype=float))
    if positions.size == 0:
        return
    name = _GIDS[shape]
    before = [line for line in axes.lines if line.get_gid() == name]
    count = min(_MOST, positions.size)
    # Of many places each series shows other ones; of few, those that are taken move aside.
    first = 0.37 * len(before) % 1 * (positions.size - 1) / max(count - 1, 1)
    few = np.unique(np.linspace(first, positions.size - 1, count).round()).astype(int)
    few = few if positions.size > _MOST else np.arange(positions.size)
    taken = sum(bool(np.isin(positions[few], line.get_xdata()).any()) for line in before)
    aside = ScaledTranslation(_ASIDE * taken / 72, 0, axes.figure.dpi_scale_trans)
    height = _INSET if shape == FLOOR else 1 - _INSET
    [line] = axes.plot(
        positions[few],
        np.full(few.size, height),
        linestyle="none",
        marker=shape,
        markersize=_SIZES.get(shape, 3.2),
        color=colour,
        markeredgewidth=0,
        # x is data, y a fraction of the axes: the edge stays the edge whatever the limits.
        transform=axes.get_xaxis_transform(),
        clip_on=False,
        gid=name,
        zorder=5,
    )
    # After the limits: a place that has moved aside is no further value of x.
    line.set_transform(axes.get_xaxis_transform() + aside)


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


def beyond_entry() -> Entry:
    """Return the legend entry for the arrows of values beyond the axis."""
    look: dict[str, Any] = {"linestyle": "none", "color": "0.35", "markeredgewidth": 0}
    return Line2D([], [], marker=BEYOND, markersize=_SIZES[BEYOND], **look), _LABELS[BEYOND]


def colours(table: pd.DataFrame) -> dict[str, str]:
    """Return a colour for each series: by order where they are numbers, by category where not.

    The series are in the order of their numbers or names, whichever panel shows them first.
    """
    names = in_order(table)
    palette = ordered if table["value"].notna().all() else categories
    return dict(zip(names, palette(len(names)), strict=True))


def only_series(table: pd.DataFrame) -> str:
    """Return the name of the only series, for the titles, or nothing: one needs no legend."""
    names = table["series"].unique()
    return str(names[0]) if len(names) == 1 else ""


def line_entry(label: str, style: Line, colour: str = "0.2") -> Entry:
    """Return a legend entry for a line style."""
    return Line2D([], [], linestyle=style, color=colour), label


def series_entries(palette: dict[str, str], shapes: Mapping[str, str] | None = None) -> list[Entry]:
    """Return legend entries for the colours of series, where there is more than one.

    Args:
        palette: the colour of each series.
        shapes: the marker on the line of each; None: lines have none.
    """
    if len(palette) < 2:
        return []
    look: dict[str, Any] = {"linestyle": "-", "markersize": 3.5}
    return [
        (Line2D([], [], color=colour, marker=(shapes or {}).get(name, ""), **look), plain(name))
        for name, colour in palette.items()
    ]


def colour_entries(palette: dict[str, str]) -> list[Entry]:
    """Return legend entries that say what colours are, beside others that say what lines are.

    Args:
        palette: the colour of each series; a single one needs no entry.
    """
    if len(palette) < 2:
        return []
    look: dict[str, Any] = {"marker": "s", "markersize": 5, "linestyle": "none"}
    return [(Line2D([], [], color=colour, **look), plain(name)) for name, colour in palette.items()]


def shapes_of(names: Iterable[str]) -> dict[str, str]:
    """Return a marker for each series, so that colour is not all that tells it."""
    return {name: MARKERS[place % len(MARKERS)] for place, name in enumerate(names)}


def sparse(shape: str, place: int, count: int) -> dict[str, Any]:
    """Return what puts a few markers on a line, each line's at places of its own.

    Args:
        shape: the marker.
        place: the number of the line.
        count: its points.
    """
    every = max(1, count // 6)
    return {"marker": shape, "markersize": 3, "markevery": ((1 + 2 * place) % every, every)}


def end_labels(axes: Axes, ends: Sequence[End], height: float) -> bool:
    """Name lines at their right ends, if their names are short and there is room for all.

    Names that would lie on one another are moved apart; where one would be moved by more than its
    own height, none is written: the legend names them.

    Args:
        axes: whose limits are set.
        ends: of the lines.
        height: of the axes in inches, about.

    Returns:
        Whether every line has its name beside it.
    """
    low, high = axes.get_ylim()
    inside = sorted((end for end in ends if low <= end.y <= high), key=lambda end: end.y)
    if len(inside) < 2 or max(len(end.label) for end in inside) > _LONGEST_LABEL:
        return False
    scale = axes.yaxis.get_transform().transform
    bottom, top = (float(scale(value)) for value in (low, high))
    points = 72 * height / (top - bottom)
    at = np.array([(float(scale(end.y)) - bottom) * points for end in inside])
    apart = _moved_apart(at)
    if np.abs(apart - at).max() > _LABEL_GAP:
        return False
    for end, shift in zip(inside, apart - at, strict=True):
        where: dict[str, Any] = {"xytext": (4, shift), "textcoords": "offset points"}
        look: dict[str, Any] = {"color": end.colour, "fontsize": 7, "va": "center_baseline"}
        axes.annotate(
            plain(end.label), (end.x, end.y), **where, **look, annotation_clip=False, gid="end"
        )
    return len(inside) == len(ends)


def _moved_apart(at: np.ndarray) -> np.ndarray:
    """Places in ascending order, moved as little as leaves a gap between any two."""
    steps = _LABEL_GAP * np.arange(at.size)
    # Least squares under an order is the mean of what any run of places wants in common.
    wanted = [[float(value)] for value in at - steps]
    merged: list[list[float]] = []
    for block in wanted:
        merged.append(block)
        while len(merged) > 1 and np.mean(merged[-2]) > np.mean(merged[-1]):
            last = merged.pop()
            merged[-1] = merged[-1] + last
    flat = np.concatenate([np.full(len(block), np.mean(block)) for block in merged])
    return flat + steps
