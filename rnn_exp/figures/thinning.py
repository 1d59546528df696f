"""Fewer updates than recorded, where a picture could not show them all."""

import numpy as np
import pandas as pd


def thin(updates: pd.Series, most: int) -> tuple[list[int], list[str]]:
    """At most so many of the recorded updates, evenly spread, and the sentence that says so."""
    recorded = np.sort(updates.unique())
    if len(recorded) <= most:
        return recorded.tolist(), []
    kept = recorded[np.unique(np.linspace(0, len(recorded) - 1, most).round().astype(int))]
    return (
        kept.tolist(),
        [f"Drawn are {len(kept)} of {len(recorded)} recorded updates, evenly spread."],
    )
