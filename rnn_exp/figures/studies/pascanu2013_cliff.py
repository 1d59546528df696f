"""The wall in the error of one logistic unit, over its weight and its bias."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETDOWN, CARETLEFT, CARETRIGHT, CARETUP
from matplotlib.patheffects import withStroke

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.panels import draw_cells, refuse_further
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, at_start, required
from rnn_exp.figures.parts.style import THEORY, in_style
from rnn_exp.theory import fixed_points
from rnn_exp.words import magnitude, number, plural, sentences

QUESTION: Final = (
    "Where does the error of one unit rise like a wall, and how large is the gradient there?"
)

_PLACE: Final = {"init.weight": "weight", "init.bias": "bias", "network.initial_state": "start"}
_GRADIENT: Final = r"gradient $|\partial E/\partial w|$"
_DARKEST: Final = -6.0  # log10; lines along which ∂E/∂w changes its sign would stretch the scale
_EXACT: Final = 1e-9
# An edge, because no one colour is seen on all of a map and on the white behind the legend.
_EDGE: Final = [withStroke(linewidth=1.8, foreground="0.2")]
_START: Final = "start $x_0$ is the unstable fixed point"
_NODE: Final = "saddle-node"
_LINES: Final = {_NODE: "white", _START: "#FF7F50"}
_POINTERS: Final = {
    "left": CARETRIGHT,
    "right": CARETLEFT,
    "bottom": CARETUP,
    "top": CARETDOWN,
}
"""Triangles whose tips touch the map from this side of it."""


def table(tables: Tables) -> Plotted:
    """Return the error and log10 of |∂E/∂w| at each weight and bias, before the first update."""
    runs = required(tables.runs, ["run", "network.activation", *_PLACE], "runs")
    if set(runs["network.activation"]) != {"sigmoid"}:
        raise CannotDraw("The saddle-nodes are those of a sigmoid unit; the study has another.")
    refuse_further(tables.runs, ["init.weight", "init.bias"])
    columns = ["run", "update", "loss", "recurrent_grad_norm"]
    start = at_start(required(tables.updates, columns, "updates"), "updates")
    joined = runs.astype({"run": str}).merge(start.astype({"run": str}), on="run")
    grid = joined.rename(columns=_PLACE).drop_duplicates(["weight", "bias"])
    if min(grid["weight"].nunique(), grid["bias"].nunique()) < 2:
        raise CannotDraw("A map needs at least two weights and two biases.")
    with np.errstate(divide="ignore"):
        grid = grid.assign(log10_gradient=np.log10(grid["recurrent_grad_norm"].astype(float)))
    kept = grid[["weight", "bias", "start", "loss", "log10_gradient"]].astype(float)
    return Plotted(kept.sort_values(["weight", "bias"], ignore_index=True))


def draw(plotted: Plotted) -> Figure:
    """Draw the error and its gradient as maps; dashed the lines that theory gives."""
    table = plotted.table
    with in_style():
        figure, grid = panels.grid(1, 2, height=2.3)
        _map(figure, grid[0, 0], table, "loss", Normalize(0))
        scale = Normalize(max(float(table["log10_gradient"].min()), _DARKEST))
        _map(figure, grid[0, 1], table, "log10_gradient", scale)
        for axes, name in zip(grid[0], ("error $E$", _GRADIENT), strict=True):
            _nodes(axes)
            axes.set_title(name)
        _start(grid[0, 0], table)
        _point_at_ridge(grid[0, 1], table)
        panels.letters(grid.flat)
        panels.name_axes(figure, grid, "recurrent weight $w$", "bias $b$")
        figure.set_legend([(Line2D([], [], **_look(name)), name) for name in _LINES])
    return figure


def _map(figure: Figure, axes: Axes, table: pd.DataFrame, column: str, scale: Normalize) -> None:
    values = table.pivot_table(index="bias", columns="weight", values=column, dropna=False)
    mesh = draw_cells(axes, values, scale, "viridis")
    mesh.set_gid(column)
    low = "min" if column != "loss" and table[column].min() < _DARKEST else "neither"
    bar = figure.colorbar(mesh, ax=axes, extend=low, aspect=20, pad=0.02)
    bar.outline.set_visible(False)
    if column != "loss":
        panels.powers(bar.ax, bins=6)


def _nodes(axes: Axes) -> None:
    """Draw the lines at which fixed points come and go."""
    limits = axes.get_xlim(), axes.get_ylim()
    w = np.linspace(*limits[0], 400)
    for node in fixed_points.saddle_nodes(w):
        axes.plot(w, node, gid=_NODE, **_look(_NODE))
    axes.set(xlim=limits[0], ylim=limits[1])


def _start_line(axes: Axes, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The part of the line on which the start is a fixed point that lies in the map."""
    w = np.linspace(*axes.get_xlim(), 400)
    b = fixed_points.bias_of(w, float(table["start"].iloc[0]))
    low, high = sorted(axes.get_ylim())
    inside = (b >= low) & (b <= high)
    return w[inside], b[inside]


def _start(axes: Axes, table: pd.DataFrame) -> None:
    axes.plot(*_start_line(axes, table), gid=_START, **_look(_START))


def _point_at_ridge(axes: Axes, table: pd.DataFrame) -> None:
    """Point at both ends of that line from outside: drawn, it would hide the ridge on it."""
    w, b = _start_line(axes, table)
    if w.size == 0:
        return
    low, high = sorted(axes.get_ylim())
    for x, y in ((w[0], b[0]), (w[-1], b[-1])):
        # On the side of the map at which the line ends, outside it.
        left, right = axes.get_xlim()
        nearest = {"left": x - left, "right": right - x, "bottom": y - low, "top": high - y}
        side = min(nearest, key=lambda name: nearest[name])
        look: dict[str, Any] = {"markersize": 4.5, "gid": _START, "clip_on": False}
        look |= {"marker": _POINTERS[side], "color": _LINES[_START], "markeredgecolor": "0.2"}
        axes.plot([x], [y], linestyle="none", markeredgewidth=0.6, **look)


def _look(name: str) -> dict[str, Any]:
    return {"linestyle": THEORY, "color": _LINES[name], "linewidth": 1, "path_effects": _EDGE}


def caption(plotted: Plotted) -> str:
    """Say what is seen: how much steeper the wall is than the rest, and where it stands."""
    table = plotted.table
    gradient = table["log10_gradient"]
    top, steep = (
        table.iloc[int(gradient.argmax())],
        table.groupby("weight")["log10_gradient"].idxmax(),
    )
    largest, middle = float(gradient.max()), float(gradient.median())
    return sentences(
        _wall(table.loc[steep], middle),
        f"In this map the gradient is at most {magnitude(largest)}, at w = {top['weight']:g}, "
        f"b = {top['bias']:g}.",
        _behind(table.loc[steep]),
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "White: where theory has two fixed points merge; between these lines the unit has two "
        "stable states. Orange: where the start is its unstable fixed point; in the map of the "
        "gradient triangles point at the ends of that line.",
        f"{plural(len(plotted.table), 'grid point')}, one run each; the gradient before the first "
        "update. The wall is thinner than a cell: only grid points on the line show it.",
    )


def _on_the_line(steepest: pd.DataFrame) -> tuple[np.ndarray, float]:
    """Where the line of the unstable fixed point is in the map, and how far the wall is from it."""
    w, b, x = (steepest[name].to_numpy(dtype=float) for name in ("weight", "bias", "start"))
    line = fixed_points.bias_of(w, x)
    # Where its slope is above 1 the fixed point is unstable: the start lies between two basins.
    crossed = (w * x * (1 - x) > 1) & (line >= b.min()) & (line <= b.max())
    return crossed, float(np.abs(b - line)[crossed].max()) if crossed.any() else np.nan


def _wall(steepest: pd.DataFrame, middle: float) -> str:
    """Where the wall stands, beside the line of the unstable fixed point, and how steep it is."""
    crossed, off = _on_the_line(steepest)
    if not crossed.any():
        return "There is no wall: nowhere in the map is the start an unstable fixed point."
    where = "" if off < _EXACT else f"within {number(off)} (in b) of "
    height = magnitude(float(steepest["log10_gradient"][crossed].max()))
    return (
        f"The wall stands {where}where the start is the unstable fixed point: the gradient reaches "
        f"{height} there (median of the map: {magnitude(middle)}); behind it is the other stable "
        "state."
    )


def _behind(steepest: pd.DataFrame) -> str:
    """What parts at the wall."""
    crossed, off = _on_the_line(steepest)
    if not crossed.any():
        return ""
    where = "on" if off < _EXACT else f"within {number(off)} (in b) of"
    return (
        f"At the {plural(int(crossed.sum()), 'weight')} whose line of the unstable fixed point "
        f"is in the map, the gradient is largest {where} that line: there the two stable "
        "states part, at neither saddle-node."
    )
