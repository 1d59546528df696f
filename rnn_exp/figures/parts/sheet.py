"""A sheet: what every figure is drawn on, a matplotlib figure that a notebook shows as it is."""

import io
from collections.abc import Sequence
from typing import Final

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from rnn_exp.figures.parts.style import in_style

__all__ = ["Entry", "Sheet"]

Entry = tuple[Artist, str]
"""An entry of a legend: what is drawn, and its label."""

_DPI: Final = 150
# Characters of 7 pt text in an inch, and those that a handle and its gap take.
_PER_INCH, _HANDLE = 17, 7


class Sheet(Figure):
    """A matplotlib figure with one legend above its panels.

    It is not one of pyplot's: it is shown once in a notebook, by itself, and never kept open.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        self._entries: tuple[Entry, ...] = ()

    def set_legend(self, entries: Sequence[Entry]) -> None:
        """Set the legend, in rows above the panels; as many columns as its longest label allows.

        Args:
            entries: what it shows.
        """
        self._entries = tuple(entries)
        for before in list(self.legends):
            before.remove()
        if not entries:
            return
        labels = [entry[1] for entry in entries]
        self.legend(
            [entry[0] for entry in entries],
            labels,
            loc="outside upper left",
            ncols=_columns(labels, self.get_figwidth() * _PER_INCH),
            columnspacing=1.2,
            borderaxespad=0.2,
        )

    def set_width(self, width: float) -> None:
        """Make it narrower or wider; the legend is set anew, and text keeps its size.

        Args:
            width: in inches.
        """
        with in_style():
            self.set_size_inches(width, self.get_figheight())
            self.set_legend(self._entries)

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows where pyplot's own way is not set up."""
        buffer = io.BytesIO()
        with in_style():
            self.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()


def _columns(labels: list[str], room: float) -> int:
    """The most columns that fit: a legend fills column by column, each as wide as its widest."""
    for rows in range(1, len(labels)):
        chunks = [labels[i : i + rows] for i in range(0, len(labels), rows)]
        if sum(max(map(len, chunk)) + _HANDLE for chunk in chunks) <= room:
            return len(chunks)
    return 1
