"""Colours of the series and the one legend of a figure, above its panels."""

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.panels import plain
from rnn_exp.figures.style import categories, ordered

Line = Literal["-", "--", ":"]
Entry = tuple[Artist, str]

# Characters of 7 pt text in an inch, and those that a handle and its gap take.
_PER_INCH, _HANDLE = 17, 7


def colours(table: pd.DataFrame) -> dict[str, str]:
    """A colour for each series: by order where they are numbers, by category where not."""
    values = table.drop_duplicates("series")[["series", "value"]]
    palette = ordered if values["value"].notna().all() else categories
    return dict(zip(values["series"], palette(len(values)), strict=True))


def lone(table: pd.DataFrame) -> str:
    """The name of the only series, for the titles: one colour needs no legend."""
    names = table["series"].unique()
    return str(names[0]) if len(names) == 1 else ""


def line_entry(label: str, style: Line, colour: str = "0.2") -> Entry:
    """A legend entry for a line style."""
    return Line2D([], [], linestyle=style, color=colour), label


def series_entries(palette: dict[str, str]) -> list[Entry]:
    """Legend entries for the colours, where there is more than one."""
    if len(palette) < 2:
        return []
    return [line_entry(plain(name), "-", colour) for name, colour in palette.items()]


def legend(figure: Figure, entries: Sequence[Entry]) -> None:
    """One legend in rows above the panels; as many columns as its longest label allows."""
    if not entries:
        return
    columns = _columns([entry[1] for entry in entries], figure.get_figwidth() * _PER_INCH)
    figure.legend(
        [entry[0] for entry in entries],
        [entry[1] for entry in entries],
        loc="outside upper left",
        ncols=columns,
        columnspacing=1.2,
        borderaxespad=0.2,
    )


def _columns(labels: list[str], room: float) -> int:
    """The most columns that fit: a legend fills column by column, each as wide as its widest."""
    for rows in range(1, len(labels)):
        chunks = [labels[i : i + rows] for i in range(0, len(labels), rows)]
        if sum(max(map(len, chunk)) + _HANDLE for chunk in chunks) <= room:
            return len(chunks)
    return 1
