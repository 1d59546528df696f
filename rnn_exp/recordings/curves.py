"""Curves: the few numbers of a recorded update that are worth a line over the updates each."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from rnn_exp.profiles import summarize
from rnn_exp.recordings.summary import CASE, carrier_of, longest_calls
from rnn_exp.schema import TABLES, status_of

__all__ = ["curves_of"]

_VERDICTS: Final = {"vanishing": -1.0, "stable": 0.0, "exploding": 1.0}
_AS_THEY_ARE: Final = ("loss", "error", "grad_norm")
_OF_UPDATES: Final = tuple(
    name for name in TABLES["updates"].names if name not in ("update", "length")
)


def curves_of(rows: pd.DataFrame, of_update: Mapping[str, Any]) -> dict[str, float]:
    """Return what a tracker gets of one recorded update.

    Of each layer, under ``MODULE/layer_N/`` (or ``MODULE/layer_N/backward/``): ``decay_rate``,
    ``log10_change``, ``horizon`` and ``verdict`` (−1 vanishing, 0 stable, 1 exploding) of the
    gradient that shows its reach; ``log10_last`` and ``log10_first``, log10 of that gradient's norm
    at the last and the first time step; ``share_not_ok``, the share of time steps whose status is
    not ok; the means of ``saturation`` and ``state_rms`` over the time steps. Under ``updates/``
    the columns of the table of updates. What is not known is left out.

    Args:
        rows: of the table of gradients, of this update; with or without module, direction and call.
        of_update: columns of the table of updates, as many as are known.
    """
    found = {
        f"updates/{name}": float(of_update[name])
        for name in _OF_UPDATES
        if name in of_update and (name in _AS_THEY_ARE or not math.isnan(of_update[name]))
    }
    for place, part in _layers(rows):
        for name, value in _of_layer(part).items():
            if not math.isnan(value):
                found[f"{place}/{name}"] = value
    return found


def _layers(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each layer and direction, and what these are called."""
    if "module" not in rows:  # of a run
        for number, part in rows.groupby("layer", sort=False):
            yield f"layer_{number}", part
        return
    longest = longest_calls(rows)
    several = longest.groupby("module")["direction"].transform("nunique") > 1
    for is_one_of_two, named in longest.groupby(several, sort=False):
        for case, part in named.groupby(CASE, sort=False):
            module, number, direction = map(str, case)
            place = [module, f"layer_{number}", direction if is_one_of_two else ""]
            yield "/".join(filter(None, place)), part


def _of_layer(part: pd.DataFrame) -> dict[str, float]:
    """Return the curves of one layer and direction; NaN: not known."""
    column, back = carrier_of(part), np.argsort(-part["lag"].to_numpy(), kind="stable")
    norms = part[column].to_numpy(dtype=float)[back]
    status = part[status_of(column)].to_numpy()[back]
    said = summarize(norms, status)
    return {
        "decay_rate": said.rate,
        "log10_change": said.log10_change,
        "horizon": said.horizon if math.isfinite(said.horizon) else math.nan,
        "verdict": _VERDICTS.get(said.verdict, math.nan),
        "log10_last": float(norms[-1]),
        "log10_first": float(norms[0]),
        "share_not_ok": float(np.mean(status != "ok")),
        "saturation": _mean(part, "saturation"),
        "state_rms": _mean(part, "state_rms"),
    }


def _mean(part: pd.DataFrame, column: str) -> float:
    values = part[column].to_numpy(dtype=float) if column in part else np.array([])
    return float(values.mean()) if len(values) else math.nan
