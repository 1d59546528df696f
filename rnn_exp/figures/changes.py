"""Sentences about how a quantity changes along an axis, computed from the plotted table."""

from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.choice import KEYS
from rnn_exp.figures.words import listing, number, place, plural, power

_NAMES: Final = {
    "ratio": "the gradient at the first step, relative to the last,",
    "weights": "the gradient of W_hh",
}


def crossing(where: str, curve: pd.Series) -> str:
    """Between which settings a curve of rates crosses 1."""
    known = curve[np.isfinite(curve) & (curve > 0)]
    if len(known) < 2:
        return ""
    sides = np.sign(np.log(known.to_numpy(dtype=float)))
    turns = np.flatnonzero(sides[1:] != sides[:-1])
    between = [f"{number(known.index[i])} and {number(known.index[i + 1])}" for i in turns]
    side = "below" if sides[0] < 0 else "above"
    course = f"crosses 1 between {listing(between)}" if between else f"stays {side} 1 throughout"
    return f"{where} the rate {course}."


def bounded(table: pd.DataFrame) -> str:
    """Whether the measured medians respect the singular-value bound."""
    known = table.dropna(subset=["measured", "bound"])
    above = int((known["measured"] > known["bound"]).sum())
    if known.empty:
        return ""
    if above:
        # The bound is exact for a loss at the last step alone; a fitted slope is not exact.
        points = plural(above, "median")
        return f"{points} above the bound: by the error of the fit, or a loss at earlier steps."
    return "Every median lies below the singular-value bound (dotted), as it must."


def change(finite: pd.DataFrame) -> str:
    """Where training changes the far end of the gradient most, from finite rows alone."""
    if finite.empty:
        return "No cell has a finite value."
    far = finite[finite["lag"] == finite.groupby(KEYS, dropna=False)["lag"].transform("max")]
    ends = far.groupby(KEYS, dropna=False, sort=False).agg(["first", "last"])
    moved = (ends["median"]["last"] - ends["median"]["first"]).reset_index(drop=True)
    at = int(moved.abs().to_numpy().argmax())
    row, key = ends.iloc[at], ends.index.to_frame(index=False).iloc[at]
    before, after = (power(float(row["median"][end])) for end in ("first", "last"))
    first, last = (int(row["update"][end]) for end in ("first", "last"))
    lag = int(row["lag"]["first"])
    where = f"the gradient at lag {lag} is {before} of that at lag 0 at update {first}"
    return f"It changes most for {place(key)}: {where} and {after} at update {last}."


def contrast(table: pd.DataFrame) -> str:
    """How far the two quantities go along the axis, for the line where they differ most."""
    finite = table[np.isfinite(table["median"])].sort_values("x", kind="stable")
    where = finite["series"].where(finite["line"] == "", "T = " + finite["length"].astype(str))
    lines = finite.assign(where=where).groupby(["activation", "line", "quantity"], sort=False)
    ends = lines[["where", "median"]].agg(["first", "last"])
    if "ratio" not in ends.index.get_level_values("quantity"):
        return "No ratio of state gradients was finite."
    ratios = ends.xs("ratio", level="quantity")
    line = (ratios["median"]["last"] - ratios["median"]["first"]).abs().idxmax()
    keys = [key for key in _NAMES if (*line, key) in ends.index]
    said = [_course(_NAMES[key], ends.loc[(*line, key)]) for key in keys]
    first, last = ratios.loc[line, "where"]
    return f"From {first} to {last} ({', '.join(filter(None, line))}) {' while '.join(said)}."


def _course(name: str, ends: pd.Series) -> str:
    low, high = (power(float(ends["median"][end])) for end in ("first", "last"))
    return f"{name} goes from {low} to {high}"
