"""Fewer updates than recorded, where a picture could not show them all."""

import numpy as np
import pandas as pd


def thin(frame: pd.DataFrame, most: int) -> tuple[pd.DataFrame, list[str]]:
    """At most so many of the recorded updates, evenly spread, and the sentence that says so."""
    recorded = np.sort(frame["update"].unique())
    if len(recorded) <= most:
        return frame, []
    kept = recorded[np.unique(np.linspace(0, len(recorded) - 1, most).round().astype(int))]
    return (
        frame[frame["update"].isin(kept)],
        [f"Drawn are {len(kept)} of {len(recorded)} recorded updates, evenly spread."],
    )
