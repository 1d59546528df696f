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


def _layers(rows: pd.DataFrame) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield the columns of each layer and direction, and what these are called."""
    has_modules = "module" in rows
    if has_modules and rows["call"].min() < rows["call"].max():
        rows = longest_calls(rows)
    columns = {str(name): rows[name].to_numpy() for name in rows}
    if not has_modules:  # of a run
        for number, own in rows.groupby("layer", sort=False).indices.items():
            yield f"layer_{number}", {name: values[own] for name, values in columns.items()}
        return
    places: dict[Any, Any] = dict(rows.groupby(CASE, sort=False).indices)
    read = [*dict.fromkeys((module, direction) for module, _, direction in places)]
    modules = [module for module, _ in read]
    for (module, number, direction), own in places.items():
        named = [module, f"layer_{number}", direction if modules.count(module) > 1 else ""]
        yield (
            "/".join(filter(None, named)),
            {name: values[own] for name, values in columns.items()},
        )


def _of_layer(part: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the curves of one layer and direction; NaN: not known."""
    column, back = carrier_of(part), np.argsort(-part["lag"], kind="stable")
    norms, status = part[column].astype(float)[back], part[status_of(column)][back]
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


def _mean(part: Mapping[str, np.ndarray], column: str) -> float:
    return float(part[column].astype(float).mean()) if column in part else math.nan
