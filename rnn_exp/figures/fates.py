"""Fates: what became of the runs of a case whose gradient vanished, arrived or exploded."""

from typing import Final

import numpy as np
import pandas as pd

from rnn_exp.figures.words import number, plural, power

__all__ = ["DIVERGED", "table", "told"]

DIVERGED: Final = ("diverged_update", "diverged_time", "diverged_direction")
AT_CHANCE: Final = 0.95
"""A final loss above this part of chance counts as chance."""
RESOLUTION: Final = float(np.log10(2.0**-24))
"""Less than this part of a sum is lost in single precision."""
_LAST: Final = 10
# The loss is of one batch: the last tenth of the updates says where it ends.


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """The verdict at the start and how the runs ended, a row a case."""
    return pd.DataFrame([{"case": case, **_of(part)} for case, part in runs.groupby("case")])


def _of(runs: pd.DataFrame) -> dict[str, object]:
    bad = runs[runs["status"] == "diverged"].sort_values("diverged_update")
    where = ""
    if len(bad):
        update, time, way = bad[list(DIVERGED)].iloc[0]
        where = f"at update {update:.0f}, time step {time:.0f}, in the {way} pass"
    verdicts = runs["verdict"].mode()
    return {
        "verdict": str(verdicts.iloc[0]),
        "rate": runs["decay_rate"].astype(float).median(),
        "runs": len(runs),
        "diverged": len(bad),
        "where": where,
        "chance": runs["chance_loss"].astype(float).median(),
    }


def told(case: str, part: pd.DataFrame) -> str:
    """What is seen of one case in all panels."""
    row = part.iloc[0]
    begin = f"{case} ({row['verdict']}, rate {number(row['rate'])} per step back):"
    said = [_ended(part), _moved(part), _reached(part)]
    return f"{begin} {'; '.join(filter(None, said))}."


def _panel(part: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = part[(part["panel"] == name) & np.isfinite(part["median"])]
    return rows.sort_values("x")


def _ended(part: pd.DataFrame) -> str:
    """Where it diverged or, if no run did, the loss at the end beside chance."""
    row = part.iloc[0]
    if row["diverged"]:
        first = "first " if row["diverged"] > 1 else ""
        runs = plural(int(row["runs"]), "run")
        return f"{row['diverged']} of {runs} diverged, {first}{row['where']}"
    losses = _panel(part, "loss")["median"]
    loss = 10.0 ** losses.tail(max(1, len(losses) // _LAST)).median()
    beside = ""
    if row["chance"] > 0:
        is_chance = loss > AT_CHANCE * row["chance"]
        beside = f", which is chance ({number(row['chance'])})" if is_chance else \
            f", where chance is {number(row['chance'])}"  # fmt: skip
    return f"the loss ends at {number(loss)}{beside}"


def _moved(part: pd.DataFrame) -> str:
    moved = _panel(part, "moved")
    if moved.empty:
        return ""
    far = moved["median"].iloc[-1]
    size = f"{number(100 * 10.0**far)} % of" if far < 0 else f"{power(round(far, 2))} times"
    return f"W_hh ends {size} its norm away from where it began"


def _reached(part: pd.DataFrame) -> str:
    """What the earliest step adds to the gradient, and from where on nothing can be added."""
    rows = _panel(part, "contribution")
    if rows.empty:
        return ""
    beside = rows["median"] - rows["median"].max()
    lost = rows.loc[beside < RESOLUTION, "x"]
    said = f"at lag {rows['x'].iloc[-1]:.0f} a step adds {power(beside.iloc[-1])} of the most"
    if lost.empty:
        return said
    first = int(lost.min())
    return (f"{said}, and from lag {first} on less than single precision keeps in the sum: what "
            f"W_hh does move by comes from the last {plural(first, 'step')}")  # fmt: skip
