"""A recording of one's own network as figures and a page."""

from pathlib import Path

from matplotlib.figure import Figure

from rnn_exp.probe.summary import Recorded

__all__ = ["figure", "write"]


def figure(recorded: Recorded, name: str, width: float | None) -> Figure:
    """Draw what was recorded."""
    raise NotImplementedError


def write(recorded: Recorded, path: Path) -> Path:
    """Write the page."""
    raise NotImplementedError
