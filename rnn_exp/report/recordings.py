"""A recording of one's own network as figures and a page."""

from pathlib import Path

from matplotlib.figure import Figure

from rnn_exp.figures import of_recording
from rnn_exp.figures.parts.drawing import in_width
from rnn_exp.recordings.summary import Recorded

__all__ = ["figure", "write"]


def figure(recorded: Recorded, name: str, width: float | None) -> Figure:
    """Draw what was recorded."""
    module = of_recording(name)
    return in_width(module.draw(module.table(recorded.frame)), width)


def write(recorded: Recorded, path: Path) -> Path:
    """Write the page."""
    raise NotImplementedError
