"""What a recording says: of each layer's profile, and of clipping."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rnn_exp.profiles import summarize
from rnn_exp.schema import CARRIERS, status_of

__all__ = [
    "CASE",
    "Recorded",
    "carrier_of",
    "clipping",
    "longest_calls",
    "sentences_of",
    "summary",
]


class Recorded(NamedTuple):
    """What was recorded, as tables alone.

    Args:
        frame: a row an update, call, module, layer, direction and time step.
        updates: a row a recorded update, where an optimizer was given.
        cuts: a row a call that does not depend on the one before it.
        bad: where the first value is that is not finite, in words; None: all were finite.
    """

    frame: pd.DataFrame
    updates: pd.DataFrame
    cuts: pd.DataFrame
    bad: str | None


CASE = ["module", "layer", "direction"]
"""The columns that name a layer and a direction of a module."""


def carrier_of(rows: pd.DataFrame) -> str:
    """Return the column that shows how far back a gradient reaches: ∂L/∂c_t where there is a c."""
    there = (name for name in CARRIERS if name in rows and rows[name].notna().any())
    return next(there, "log10_total")


def longest_calls(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one call an update and module: the last of those with most time steps."""
    if frame.empty:
        return frame
    calls = frame.groupby(["update", "module", "call"], sort=False)["lag"].max().reset_index()
    ordered = calls.sort_values(["update", "module", "lag", "call"], kind="stable")
    kept = ordered.drop_duplicates(["update", "module"], keep="last").drop(columns="lag")
    return frame.merge(kept, on=["update", "module", "call"])


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Summarize the profiles of the first and the last recorded update (`profiles.RULE`).

    Args:
        frame: the rows of a recording.

    Returns:
        A row an update, module, layer and direction.
    """
    rows = longest_calls(frame)
    found = []
    for update in sorted({rows["update"].min(), rows["update"].max()} if len(rows) else ()):
        for case, part in rows[rows["update"] == update].groupby(CASE, sort=False):
            found.append({"update": update, **dict(zip(CASE, case, strict=True)), **_said(part)})
    return pd.DataFrame(found, columns=["update", *CASE, *_SAID])


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
]


def _said(part: pd.DataFrame) -> dict[str, Any]:
    """Say of one profile what there is to say."""
    column = carrier_of(part)
    ordered = part.sort_values("lag", ascending=False, kind="stable")
    found = summarize(ordered[column].to_numpy(), ordered[status_of(column)].to_numpy())
    direct = ordered["log10_direct"]
    values = (
        "∂L/∂c_t" if column == "log10_memory" else "∂L/∂h_t",
        len(part),
        found.verdict,
        found.rate,
        found.rate_low,
        found.rate_high,
        found.log10_change,
        found.half_life,
        found.horizon,
        int((direct > -math.inf).sum()) if direct.notna().any() else None,
        found.reason,
    )
    return dict(zip(_SAID, values, strict=True))


def clipping(updates: pd.DataFrame) -> dict[str, Any]:
    """Say how often an optimiser's gradient was clipped, of all recorded updates.

    Args:
        updates: a row a recorded update: grad_norm (before clipping), clipped.

    Returns:
        ``updates``, ``clipped`` (share of those with a finite norm), ``not_finite`` (a number),
        ``P50``, ``P90`` and ``P99`` of the norm before clipping (of those that are finite), and
        ``binds_at_start``: whether update 0 was clipped.
    """
    if updates.empty:
        return {"updates": 0}
    norms = updates["grad_norm"].to_numpy(dtype=float)
    fine, known = np.isfinite(norms), updates["clipped"].notna().to_numpy()
    said: dict[str, Any] = {
        "updates": len(updates),
        "clipped": float(updates["clipped"][known].astype(bool).mean()),
        "not_finite": int((~fine).sum()),
    }
    for percent in (50, 90, 99):
        said[f"P{percent}"] = float(np.percentile(norms[fine], percent)) if fine.any() else math.nan
    first = updates[(updates["update"] == 0) & known]
    said["binds_at_start"] = bool(first["clipped"].iloc[0]) if len(first) else None
    return said


def sentences_of(summary: pd.DataFrame) -> list[str]:
    """Say in a line each what is said of a layer at an update.

    Args:
        summary: as `summary` returns it.
    """
    return [_sentence(row) for row in summary.to_dict("records")]


def _sentence(row: dict[Any, Any]) -> str:
    rate = "no rate"
    if not math.isnan(row["rate"]):
        rate = f"rate {row['rate']:.3g} ({row['rate_low']:.3g} to {row['rate_high']:.3g})"
    where = f"{row['module'] or 'the model'}, layer {row['layer']}, {row['direction']}"
    what = f"{row['gradient']} over {row['steps']} steps"
    return f"update {row['update']}: {where}: {what}: {row['verdict']}, {rate}"
