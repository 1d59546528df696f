"""Event files, read back by TensorBoard's own reader."""

from pathlib import Path

import pytest

Points = list[tuple[int, float]]


def points_in(folder: Path) -> dict[str, Points]:
    """Every curve in the event files of a folder: step and value of each point, as they come."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed: pip install 'rnn-exp[tensorboard]'",
    )
    found = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    found.Reload()
    names = found.Tags()["scalars"]
    return {name: [(each.step, each.value) for each in found.Scalars(name)] for name in names}


def is_event_file(path: Path) -> bool:
    return "tfevents" in path.name
