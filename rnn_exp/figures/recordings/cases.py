"""What the figures of a recording share: a panel a layer and direction of a module."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.seeds import gradient_interval
from rnn_exp.figures.parts.selection import CannotDraw
from rnn_exp.figures.parts.sheet import Sheet
from rnn_exp.recordings.summary import (
    CASE,
    carrier_of,
    case_names,
    gradient_name,
    longest_calls,
)
from rnn_exp.schema import status_of
from rnn_exp.words import listing, plural, sentences

__all__ = ["LAG", "carrier_norms", "gradients_drawn", "grid_of", "lost_words", "titles"]

LAG: Final = "lag $T-t$ (steps back from the last)"
_MOST: Final = 6
_IN_A_ROW: Final = {1: 1, 2: 2, 4: 2}
"""How many panels are side by side; of another number three are."""
_TITLE: Final = {1: 46, 2: 48, 3: 33}
"""How many characters a title has room for, by how many panels are side by side."""


def carrier_norms(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the norms that show how far back the gradient reaches, and what is not shown of them.

    Args:
        frame: the rows of a recording.

    Returns:
        Columns: panel (a name), those of `CASE`, gradient (what it is the norm of), update, lag,
        log10_norm (true at any magnitude), status (what training saw of it), and floor, ceiling
        and unseen: whether there is nothing to draw, or training lost it.

    Raises:
        CannotDraw: if nothing was recorded.
    """
    if frame.empty:
        raise CannotDraw("Nothing was recorded.")
    rows = longest_calls(frame)
    rows = rows.assign(panel=case_names(rows))
    order = rows.drop_duplicates(CASE).sort_values(["layer", "direction"], ascending=False)
    modules = list(rows["module"].unique())
    order = order.sort_values("module", key=lambda names: names.map(modules.index), kind="stable")
    shown, others = order[CASE].iloc[:_MOST], order["panel"].iloc[_MOST:]
    parts, of_cases = [], rows.groupby(CASE, sort=False)
    for case in shown.itertuples(index=False):
        part = of_cases.get_group(tuple(case))
        column = carrier_of(part)
        kept = part[["panel", *CASE, "update", "lag"]].assign(
            log10_norm=part[column].astype(float), status=part[status_of(column)]
        )
        parts.append(kept.assign(gradient=gradient_name(column)))
    every = pd.concat(parts, ignore_index=True).sort_values("lag", kind="stable")
    by = ["panel", *CASE, "gradient", "update", "lag"]
    norms = gradient_interval(every, [*by, "status"], "log10_norm")
    norms = norms.rename(columns={"log10_median": "log10_norm"})
    norms = norms.drop(columns=["log10_low", "log10_high", "seeds"])
    places = {name: place for place, name in enumerate(order["panel"])}
    norms = norms.assign(place=norms["panel"].map(places))
    norms = norms.sort_values(["place", "update", "lag"], kind="stable", ignore_index=True)
    return norms.drop(columns="place"), [*_left_out(others), *_calls(frame)]


def _left_out(names: Iterable[str]) -> list[str]:
    told = list(names)
    return [f"Left out to keep the figure readable: {listing(told)}."] if told else []


def _calls(frame: pd.DataFrame) -> list[str]:
    several = frame.groupby(["update", "module"])["call"].nunique().max() > 1
    return (
        ["Of the calls of a module in an update the longest is drawn, of equals the last."]
        if several
        else []
    )


def gradients_drawn(table: pd.DataFrame) -> str:
    """Say which gradients the norms of a table are of."""
    kinds = table.drop_duplicates("panel").groupby("gradient", sort=False)["panel"].agg(list)
    if len(kinds) == 1:
        return f"Norm of {kinds.index[0]}."
    return f"Norm of {listing(f'{kind} ({listing(names)})' for kind, names in kinds.items())}."


def grid_of(table: pd.DataFrame, height: float) -> tuple[Sheet, np.ndarray, list[tuple[Axes, str]]]:
    """Return a figure with a panel a case, and the panels with their names.

    Args:
        table: with the column panel.
        height: of a row of panels, in inches.
    """
    names = [str(name) for name in table["panel"].unique()]
    columns = _IN_A_ROW.get(len(names), 3)
    rows = -(-len(names) // columns)
    same_lags = len(table.groupby("panel")["lag"].max().unique()) == 1
    figure, grid = panels.grid(rows, columns, height=height, sharex=same_lags)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    for axes in grid[-2:-1, :].flat[len(names) - (rows - 1) * columns :]:
        axes.tick_params(labelbottom=True)  # the panel below, which had the labels, is not there
    shown = dict(zip(names, titles(names, columns), strict=True))
    for axes, name in zip(grid.flat, names, strict=False):
        axes.set_title(panels.plain(shown[name]))
    return figure, grid, list(zip(grid.flat, names, strict=False))


def titles(names: list[str], columns: int) -> list[str]:
    """Return names that fit above panels: where one is too long, what it begins with is left out.

    Args:
        names: of the panels.
        columns: how many panels are side by side.
    """
    room = _TITLE[columns]
    return [name if len(name) <= room else f"…{name[1 - room :]}" for name in names]


def lost_words(table: pd.DataFrame) -> str:
    """Say at how many plotted points there is nothing to draw, or training lost the norm."""
    said = []
    for column, what in (
        ("floor", "there is no number: zero, cut off or lost (triangles below)"),
        ("ceiling", "the norm is not finite (triangles above)"),
        ("unseen", "training lost the norm; the line shows the true one (from the circle)"),
    ):
        count = int((table[column] > 0).sum())
        said.append(f"At {plural(count, 'point')} {what}." if count else "")
    return sentences(*said)
