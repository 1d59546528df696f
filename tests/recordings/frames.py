"""Rows of recordings with known answers: every norm is an exact power of the rate."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rnn_exp.recordings.summary import Recorded


def rows(
    rate: float = 0.5,
    steps: int = 20,
    *,
    update: int = 0,
    module: str = "core",
    layer: int = 0,
    direction: str = "forward",
    call: int = 0,
    has_memory: bool = False,
    losses: int = 1,
    lost: Mapping[int, tuple[float, str]] | None = None,
) -> pd.DataFrame:
    """The rows of one layer and direction; ``lost``: log10 of the norm and its status, by lag.

    Of a layer with a memory ∂L/∂c_t has the rate, and ∂L/∂h_t stays as it is.
    """
    lag = np.arange(steps)[::-1]
    norms, status = lag * np.log10(rate), np.full(steps, "ok", dtype=object)
    for place, (norm, word) in (lost or {}).items():
        norms[steps - 1 - place], status[steps - 1 - place] = norm, word
    fine = np.full(steps, "ok", dtype=object)
    columns: dict[str, Any] = {
        "update": update,
        "call": call,
        "module": module,
        "layer": layer,
        "direction": direction,
        "time": lag + 1 if direction == "backward" else steps - lag,
        "lag": lag,
        "log10_total": np.zeros(steps) if has_memory else norms,
        "log10_direct": np.where(lag < losses, 0.0, -np.inf),
        "state_rms": 1.0,
        "status": fine if has_memory else status,
        "log10_memory": norms if has_memory else np.full(steps, np.nan),
        "status_memory": status if has_memory else np.full(steps, None),
    }
    return pd.DataFrame(columns)


def together(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def recorded(frame: pd.DataFrame, **others: Any) -> Recorded:
    """A recording of these rows, of modules of class LSTM."""
    updates = pd.DataFrame(columns=["update", "grad_norm", "clipped"])
    cuts = pd.DataFrame(columns=["update", "module", "call", "why"])
    modules = dict.fromkeys(frame["module"], "LSTM")
    plain = Recorded(frame, updates, cuts, None, modules, 1)
    return plain._replace(**others)


NOTHING = rows().iloc[:0]
"""The rows of a recording that has seen nothing."""
