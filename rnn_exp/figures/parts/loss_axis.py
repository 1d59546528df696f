"""The axis of losses: as long as runs need it that did not diverge; arrows where one goes beyond.

A run that diverges may reach any finite loss before. On an axis that shows it all others are flat.
"""

import math
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.words import case_name, number, plural

__all__ = [
    "arrows",
    "entries",
    "limit",
    "markers_within",
    "needed",
    "reading",
    "scale",
    "words",
]

_MARGIN: Final = 4.0
"""The axis goes to so many times the largest loss that it is needed for."""
_ROOM: Final = 0.08
"""The part of an axis above the largest value that a marker or triangle takes."""
_WHOLE: Final = 1.5
"""A point so many times below the end of a logarithmic axis has its marker whole."""


def needed(frame: pd.DataFrame) -> pd.Series:
    """Return for each row the largest loss of its case, over the runs that did not diverge.

    Args:
        frame: a row a run and update, with `KEYS`, loss and diverged_update; NaN: it did not.
    """
    is_calm = frame["diverged_update"].isna() & np.isfinite(frame["loss"])
    calm = frame["loss"].where(is_calm)
    largest: pd.Series = calm.groupby([frame[key] for key in KEYS], dropna=False).transform("max")
    return largest


def limit(table: pd.DataFrame) -> float:
    """Return the largest loss that the axis shows; infinite where it shows all.

    Args:
        table: with median and high of the loss, needed (as `needed` says) and chance.
    """
    # Where every run diverged, nothing but their losses is there to be read.
    if table["needed"].isna().all():
        return math.inf
    most = _MARGIN * float(np.nanmax(table[["needed", "chance"]].to_numpy(dtype=float)))
    return most if most > 0 and (_reach(table) > most).any() else math.inf


def _reach(table: pd.DataFrame) -> pd.Series:
    """The largest finite loss of each row."""
    shown = table[["median", "high"]].astype(float)
    reach: pd.Series = shown.where(np.isfinite(shown)).max(axis=1)
    return reach


def _beyond(table: pd.DataFrame, most: float) -> pd.Series:
    """Which rows have a finite loss above this one, and no triangle that says more."""
    return (_reach(table) > most) & (table["ceiling"] == 0)


def arrows(axes: Axes, rows: pd.DataFrame, most: float, colour: str) -> None:
    """Draw arrows at the upper edge where the loss of a series lies beyond it.

    Args:
        axes: where to draw.
        rows: of the series, with update, median and high of the loss, and ceiling.
        most: the largest loss that the axis shows.
        colour: of the series.
    """
    marks.mark_lost(axes, rows.loc[_beyond(rows, most), "update"], marks.BEYOND, colour)


def entries(table: pd.DataFrame) -> list[Entry]:
    """Return the entry of the legend for arrows, if there are any."""
    return [marks.beyond_entry()] if _beyond(table, limit(table)).any() else []


def reading(table: pd.DataFrame) -> str:
    """Say what arrows are, if there are any."""
    said = "Arrows: losses beyond the axis, which covers those of the runs that did not diverge."
    return said if entries(table) else ""


def markers_within(values: pd.Series, every: object, most: float) -> object:
    """Return at which points a line has markers: none at the edge, where half of one is seen.

    Args:
        values: of the line.
        every: matplotlib's markevery: a step, or where to begin and a step.
        most: the largest value that the axis shows; infinite: all.
    """
    if math.isinf(most) or not isinstance(every, (int, tuple)):
        return every
    first, step = every if isinstance(every, tuple) else (0, every)
    places = np.arange(len(values))[first::step]
    return places[(values.to_numpy(dtype=float) * _WHOLE <= most)[places]].tolist()


def scale(table: pd.DataFrame, axes: Axes, most: float) -> None:
    """Set the limits of the axis of losses: logarithmic where they differ more than tenfold.

    Args:
        table: with median, low and high of the loss, chance and ceiling.
        axes: one of the panels that share the axis.
        most: the largest loss that it shows; infinite: all.
    """
    # The line of chance is to be seen as well.
    every = table[["low", "median", "high", "chance"]].to_numpy(dtype=float).ravel()
    shown = every[np.isfinite(every) & (every <= most)]
    if not len(shown):
        return
    low, high = float(shown.min()), float(shown.max())
    is_cut = math.isfinite(most)
    if low > 0 and (most if is_cut else high) / low > 10:
        # Room for what stands at the upper edge, on a long axis as on a short one.
        room = max(4 if table["ceiling"].any() else 2, (high / low) ** _ROOM)
        axes.set_ylim(low / 2, most if is_cut else high * room)
        panels.plain_log(axes, "y")
    elif low >= 0:
        axes.set_ylim(bottom=0, top=most if is_cut else None)


def words(table: pd.DataFrame) -> str:
    """Say whose loss went beyond the axis, and how far; nothing where it shows all.

    Args:
        table: as for `limit`.
    """
    reach = _reach(table)
    out = table.assign(reach=reach)[reach > limit(table)]
    if out.empty:
        return ""
    farthest = out.loc[[out["reach"].idxmax()]].iloc[0]
    how_far = f"to {number(farthest['reach'])} at update {farthest['update']}"
    cases = len(out.drop_duplicates(KEYS))
    if cases == 1:
        return f"With {case_name(farthest)} the loss goes beyond the axis: {how_far}."
    return (
        f"In {plural(cases, 'setting')} the loss goes beyond the axis, farthest with "
        f"{case_name(farthest)}: {how_far}."
    )
