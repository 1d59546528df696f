"""Sentences that several captions share, each computed from the plotted table."""

from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.parts.selection import KEYS, Plotted
from rnn_exp.figures.parts.words import (
    case_name,
    half_life,
    listing,
    number,
    plural,
    power,
    rate,
    sentences,
)

# Mean field holds for wide networks; at the widths of a class room 10 % is a good agreement.
CLOSE, SAME = 0.1, 0.01
_NAMES: Final = {
    "ratio": "the gradient at the first step, relative to the last,",
    "weights": "the gradient of W_hh",
}


def extreme_rates(table: pd.DataFrame, column: str) -> str:
    """Say where the gradient shrinks fastest and slowest (or grows fastest)."""
    known = table.drop_duplicates(KEYS).dropna(subset=column)
    known = known[np.isfinite(known[column]) & (known[column] > 0)].sort_values(column)
    if known.empty:
        return "No decay rate could be measured."
    first, last = known.iloc[0], known.iloc[-1]
    low, high = float(first[column]), float(last[column])
    if high / low < 1 + SAME:
        where = case_name(first) if len(known) == 1 else f"all {len(known)} cases"
        return f"The gradient ({where}) {rate(low)} ({half_life(low)})."
    fast = f"The gradient {rate(low)} with {case_name(first)} ({half_life(low)}), the lowest rate"
    return f"{fast}; with {case_name(last)}, the highest, it {rate(high)} ({half_life(high)})."


def far_end_change(table: pd.DataFrame) -> str:
    """Say how small or large the gradient is at the far end, in the most extreme finite case."""
    finite = table[np.isfinite(table["log10_median"])]
    ends = finite.groupby(KEYS, dropna=False, sort=False).agg(["first", "last"])
    if ends.empty:
        return "No gradient was finite."
    change = (ends["log10_median"]["last"] - ends["log10_median"]["first"]).reset_index(drop=True)
    at = int(change.abs().to_numpy().argmax())
    row = ends.index.to_frame(index=False).iloc[at]
    first, last = (int(ends["lag"][end].iloc[at]) for end in ("first", "last"))
    if first == last:
        return ""
    span = f"From lag {first} to lag {last}"
    factor = power(float(change[at]))
    return f"{span}, while finite, the norm changes by a factor of {factor} ({case_name(row)})."


def theory_agreement(table: pd.DataFrame, measured: str, predicted: str) -> str:
    """Say in how many cases theory is close to the measurement, and where it is farthest off."""
    known = table.drop_duplicates(KEYS)[[*KEYS, measured, predicted]]
    known = known.replace([np.inf, -np.inf], np.nan).dropna(subset=[measured, predicted])
    known = known[(known[measured] > 0) & (known[predicted] > 0)]
    if known.empty:
        return "No mean-field prediction is available for these runs."
    gap = (known[measured] / known[predicted] - 1).abs()
    worst = known.iloc[int(gap.to_numpy().argmax())]
    pair = f"measured {number(worst[measured])}, predicted {number(worst[predicted])}"
    count = f"{int((gap <= CLOSE).sum())} of {plural(len(known), 'case')}"
    if len(known) == 1:
        return f"Rate per step: {pair}."
    if gap.max() < SAME:
        return f"Measured and predicted rate agree within 1 % in {count}."
    within = f"Measured and predicted rate agree within 10 % in {count}"
    return f"{within}; the largest gap is at {case_name(worst)} ({pair})."


def lost_points(table: pd.DataFrame) -> str:
    """Say how many plotted points are at the floor or the ceiling."""
    said = []
    for column, what in (("floor", "zero or underflowed"), ("ceiling", "overflowed or NaN")):
        count = int((table[column] > 0).sum()) if column in table else 0
        if count:
            edge = "lower" if column == "floor" else "upper"
            points = plural(count, "point")
            said.append(f"At {points} a seed's value is {what} (triangles at the {edge} edge).")
    return sentences(*said)


def closing(plotted: Plotted) -> str:
    """Say what every caption ends with: lost points, seeds, what was left out."""
    table = plotted.table
    most = int(table["seeds"].max()) if "seeds" in table and len(table) else 0
    seeds = {0: "", 1: "One seed: no band."}.get(most, f"Up to {most} seeds.")
    return sentences(lost_points(table), seeds, *plotted.notes)


def rate_crossing(where: str, curve: pd.Series) -> str:
    """Say between which settings a curve of rates crosses 1."""
    known = curve[np.isfinite(curve) & (curve > 0)]
    if len(known) < 2:
        return ""
    sides = np.sign(np.log(known.to_numpy(dtype=float)))
    turns = np.flatnonzero(sides[1:] != sides[:-1])
    between = [f"{number(known.index[i])} and {number(known.index[i + 1])}" for i in turns]
    side = "below" if sides[0] < 0 else "above"
    course = f"crosses 1 between {listing(between)}" if between else f"stays {side} 1 throughout"
    return f"{where} the rate {course}."


def bound_kept(table: pd.DataFrame) -> str:
    """Say whether the measured medians respect the singular-value bound."""
    known = table.dropna(subset=["measured", "bound"])
    above = int((known["measured"] > known["bound"]).sum())
    if known.empty:
        return ""
    if above:
        # The bound is exact for a loss at the last step alone; a fitted slope is not exact.
        points = plural(above, "median")
        return f"{points} above the bound: by the error of the fit, or a loss at earlier steps."
    return "Every median lies below the singular-value bound (dotted), as it must."


def training_change(finite: pd.DataFrame) -> str:
    """Say where training changes the far end of the gradient most, from finite rows alone."""
    if finite.empty:
        return "No cell has a finite value."
    far = finite[finite["lag"] == finite.groupby(KEYS, dropna=False)["lag"].transform("max")]
    ends = far.groupby(KEYS, dropna=False, sort=False).agg(["first", "last"])
    change = (ends["log10_median"]["last"] - ends["log10_median"]["first"]).reset_index(drop=True)
    at = int(change.abs().to_numpy().argmax())
    row, key = ends.iloc[at], ends.index.to_frame(index=False).iloc[at]
    before, after = (power(float(row["log10_median"][end])) for end in ("first", "last"))
    first, last = (int(row["update"][end]) for end in ("first", "last"))
    lag = int(row["lag"]["first"])
    where = f"the gradient at lag {lag} is {before} of that at lag 0 at update {first}"
    return f"It changes most for {case_name(key)}: {where} and {after} at update {last}."


def quantity_changes(table: pd.DataFrame) -> str:
    """Say how far the two quantities go along the axis, for the line where they differ most."""
    finite = table[np.isfinite(table["log10_median"])].sort_values("x", kind="stable")
    where = finite["series"].where(finite["line"] == "", "T = " + finite["length"].astype(str))
    lines = finite.assign(where=where).groupby(["activation", "line", "quantity"], sort=False)
    ends = lines[["where", "log10_median"]].agg(["first", "last"])
    if "ratio" not in ends.index.get_level_values("quantity"):
        return "No ratio of state gradients was finite."
    ratios = ends.xs("ratio", level="quantity")
    line = (ratios["log10_median"]["last"] - ratios["log10_median"]["first"]).abs().idxmax()
    keys = [key for key in _NAMES if (*line, key) in ends.index]
    said = [_range(_NAMES[key], ends.loc[(*line, key)]) for key in keys]
    first, last = ratios.loc[line, "where"]
    return f"From {first} to {last} ({', '.join(filter(None, line))}) {' while '.join(said)}."


def _range(name: str, ends: pd.Series) -> str:
    low, high = (power(float(ends["log10_median"][end])) for end in ("first", "last"))
    return f"{name} goes from {low} to {high}"
