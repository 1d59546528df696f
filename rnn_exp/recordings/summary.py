"""What a recording says: of each layer's profile, and of clipping."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnn_exp.profiles import Summary, summarize
from rnn_exp.schema import CARRIERS, status_of

__all__ = [
    "CASE",
    "NO_VALUE",
    "Recorded",
    "carrier_of",
    "case_names",
    "clipping",
    "gradient_name",
    "longest_calls",
    "summary",
    "summary_of",
]


class Recorded(NamedTuple):
    """What was recorded, as tables alone.

    Args:
        frame: a row an update, call, module, layer, direction and time step.
        updates: a row a recorded update, where an optimizer was given.
        cuts: a row a call that does not depend on the one before it.
        bad: where the first value is that is not finite, in words; None: all were finite.
        modules: the class of each recorded module, by the module's name.
        every: the first update of so many was recorded.
    """

    frame: pd.DataFrame
    updates: pd.DataFrame
    cuts: pd.DataFrame
    bad: str | None
    modules: Mapping[str, str]
    every: int


CASE = ["module", "layer", "direction"]
"""The columns that name a layer and a direction of a module."""
NO_VALUE = ("inf", "nan")
"""The statuses of a gradient that is not finite."""


def carrier_of(rows: pd.DataFrame | Mapping[str, np.ndarray]) -> str:
    """Return the column that shows how far back a gradient reaches: ∂L/∂c_t where there is a c.

    Its status says whether there is one: a norm may be NaN at every time step.
    """
    there = (name for name in CARRIERS if name in rows and _has_status(rows, status_of(name)))
    return next(there, "log10_total")


def _has_status(rows: pd.DataFrame | Mapping[str, np.ndarray], status: str) -> bool:
    return status in rows and not np.all(pd.isna(rows[status]))


def gradient_name(column: str) -> str:
    """Return what a carrier is the norm of.

    Example:
        >>> gradient_name("log10_memory"), gradient_name("log10_total")
        ('∂L/∂c_t', '∂L/∂h_t')
    """
    return "∂L/∂c_t" if column.endswith("memory") else "∂L/∂h_t"


def longest_calls(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one call an update and module: the last of those with most time steps.

    A call that no gradient has reached counts only where none has been.
    """
    if frame.empty:
        return frame
    keys = ["update", "module", "call"]
    reached = frame.assign(is_reached=frame["log10_total"] > -math.inf)
    calls = reached.groupby(keys, sort=False)[["is_reached", "lag"]].max().reset_index()
    ordered = calls.sort_values(["update", "module", "is_reached", "lag", "call"], kind="stable")
    kept = ordered.drop_duplicates(["update", "module"], keep="last")[keys]
    return frame.merge(kept, on=keys)


def case_names(rows: pd.DataFrame) -> pd.Series:
    """Return of each row the name of its module, with layer and direction where it has several.

    Args:
        rows: with the columns of `CASE`.
    """
    of_module = rows.groupby("module", sort=False)
    names = rows["module"].map(lambda name: " ".join(str(name).split()) or "the model")
    for column, word in (("layer", ", layer "), ("direction", ", ")):
        several = of_module[column].transform("nunique") > 1
        names = names.where(~several, names + word + rows[column].astype(str))
    return names.astype(object)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarize the profiles of the first and the last recorded update (`profiles.RULE`).

    Args:
        frame: the rows of a recording.

    Returns:
        A row an update, module, layer and direction, of each the first and the last that it has.
    """
    rows = longest_calls(frame)
    tops = rows.groupby("module", sort=False)["layer"].max().to_dict()
    found = []
    for case, part in rows.groupby(CASE, sort=False):
        for update in sorted({part["update"].min(), part["update"].max()}):
            here = part[part["update"] == update]
            said = _said(here, is_top=case[1] == tops[case[0]])
            found.append({"update": update, **dict(zip(CASE, case, strict=True)), **said})
    table = pd.DataFrame(found, columns=["update", *CASE, *_SAID])
    return table.sort_values("update", kind="stable", ignore_index=True)


_SAID = [
    "gradient",
    "steps",
    "verdict",
    "rate",
    "rate_low",
    "rate_high",
    "log10_change",
    "half_life",
    "horizon",
    "steps_with_loss",
    "reason",
    "lost",
]


def summary_of(part: pd.DataFrame) -> Summary:
    """Summarize the profile of one layer and direction at one update.

    Args:
        part: a row a time step.
    """
    column = carrier_of(part)
    ordered = part.sort_values("lag", ascending=False, kind="stable")
    return summarize(ordered[column].to_numpy(), ordered[status_of(column)].to_numpy())


def _said(part: pd.DataFrame, *, is_top: bool) -> dict[str, Any]:
    """Say of one profile what there is to say."""
    found, direct = summary_of(part), part["log10_direct"]
    # What a lower layer receives at a time step comes from the layer above, not from a loss.
    is_known = is_top and bool(direct.notna().all())
    values = (
        gradient_name(carrier_of(part)),
        len(part),
        found.verdict,
        found.rate,
        found.rate_low,
        found.rate_high,
        found.log10_change,
        found.half_life,
        found.horizon,
        int((direct > -math.inf).sum()) if is_known else None,
        found.reason,
        found.lost,
    )
    return dict(zip(_SAID, values, strict=True))


def clipping(updates: pd.DataFrame) -> dict[str, Any]:
    """Say how often an optimiser's gradient was clipped, of all recorded updates.

    Args:
        updates: a row a recorded update: grad_norm (before clipping), clipped.

    Returns:
        ``updates``, ``clipped`` (share of those of which it is known), ``not_finite`` (a number),
        ``P50``, ``P90`` and ``P99`` of the norm before clipping (of those that are finite), and
        ``binds_at_start``: whether update 0 was clipped; None: that is not known.
    """
    if updates.empty:
        return {"updates": 0}
    norms = updates["grad_norm"].to_numpy(dtype=float)
    fine = np.isfinite(norms)
    known = fine & updates["clipped"].notna().to_numpy()
    said: dict[str, Any] = {
        "updates": len(updates),
        "clipped": float(updates["clipped"][known].astype(bool).mean())
        if known.any()
        else math.nan,
        "not_finite": int((~fine).sum()),
    }
    for percent in (50, 90, 99):
        said[f"P{percent}"] = float(np.percentile(norms[fine], percent)) if fine.any() else math.nan
    first = updates[known & (updates["update"] == 0)]
    said["binds_at_start"] = bool(first["clipped"].iloc[0]) if len(first) else None
    return said
