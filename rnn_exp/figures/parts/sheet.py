"""A sheet: what every figure is drawn on, a matplotlib figure that a notebook shows as it is."""

import io
import re
import textwrap
from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from rnn_exp.figures.parts.style import in_style

__all__ = ["Entry", "Share", "Sheet"]

Entry = tuple[Artist, str]
"""An entry of a legend: what is drawn, and its label."""
Share = bool | Literal["none", "all", "row", "col"]
"""Which panels share an axis, as matplotlib says it."""

_Place = Literal["left", "center", "right"]
_PLACES: Final = get_args(_Place)
_LITTLE: Final = 1.2
_WORDS: Final = re.compile(r"(?:\$[^$]*\$|[^ $])+")
_FORMULA: Final = re.compile(r"\\[a-z]+|[${}\\]")
_UNBROKEN: Final = "\N{NO-BREAK SPACE}"
_DPI: Final = 150
# Characters of 7 pt text in an inch, and those that a handle and its gap take.
_PER_INCH, _HANDLE = 17, 7
# Inches: the narrowest panel that can be read, what labels and the first row of the legend need,
# and each further row of it.
_NARROWEST, _AROUND, _ROW = 1.6, 0.5, 0.16
# Inches: what is beside a panel and beside its title, the gap between two written ticks, and what a
# sign of a title takes, about.
_BESIDE, _BESIDE_TITLE, _GAP, _SIGN = 0.45, 0.5, 0.02, 0.061
_TALLEST: Final = 9.5
"""Inches: a sheet that would be higher than the text of a page has more panels side by side."""


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
        self._grid: np.ndarray | None = None
        self._row = 0.0
        self._share: tuple[Share, Share] = (False, False)
        self._named_again: list[Axes] = []
        self._ticks: dict[Axes, list[str]] = {}
        self._broken: dict[Text, tuple[str, str]] = {}  # labels as given, and in lines

    def set_grid(self, grid: np.ndarray, row: float, share: tuple[Share, Share]) -> None:
        """Say which panels there are: of a narrow sheet they stand below one another.

        Args:
            grid: the axes, in rows and columns.
            row: the height of a row, in inches.
            share: what the panels share of x and of y.
        """
        self._grid, self._row, self._share = grid, row, share

    def set_legend(self, entries: Sequence[Entry]) -> None:
        """Set the legend, in rows above the panels; as many columns as its labels allow.

        Args:
            entries: what it shows, in the order in which it is read: row by row.
        """
        self._entries = tuple(entries)
        self._wrap_titles()
        lines = self._wrap_labels()
        for before in list(self.legends):
            before.remove()
        columns = _columns([label for _, label in entries], self.get_figwidth() * _PER_INCH)
        self._set_height(-(-len(entries) // columns) + lines)
        if not entries:
            return
        # Matplotlib fills columns from top to bottom; people read rows.
        in_columns = [entry for first in range(columns) for entry in entries[first::columns]]
        self.legend(
            [handle for handle, _ in in_columns],
            [label for _, label in in_columns],
            loc="outside upper left",
            ncols=columns,
            columnspacing=1.2,
            borderaxespad=0.2,
        )

    def _wrap_titles(self) -> None:
        """Break titles into lines: one that is wider than its panel runs into the next one."""
        for axes in self.axes:
            position = axes.get_subplotspec()
            if position is None:
                continue
            room = self.get_figwidth() / position.get_gridspec().ncols - _BESIDE_TITLE
            for place in _PLACES:
                # Lines end where a space was: joined, they are the title as it was given.
                whole = axes.get_title(place).replace("\n", " ")
                axes.set_title(_in_lines(whole, max(10, int(room / _SIGN))), loc=place)

    def _wrap_labels(self) -> int:
        """Break labels of x that are wider than their place; return how many lines that adds."""
        found = list[tuple[Text, float]]()
        for axes in self.axes:
            if (place := axes.get_subplotspec()) is not None:
                beside = place.get_gridspec().ncols
                found.append((axes.xaxis.label, self.get_figwidth() / beside - _BESIDE))
        common = self.get_supxlabel()
        found += [(text, self.get_figwidth()) for text in self.texts if text.get_text() == common]
        for label, room in found:
            now = label.get_text()
            given, broken = self._broken.get(label, (now, now))
            given = given if now == broken else now
            lines = [_label_in_lines(line, int(room * _PER_INCH)) for line in given.split("\n")]
            self._broken[label] = given, "\n".join(lines)
            label.set_text("\n".join(lines))
        return max((label.get_text().count("\n") for label, _ in found), default=0)

    def set_width(self, width: float) -> None:
        """Make it narrower or wider; panels and legend are set anew, and text keeps its size.

        Args:
            width: in inches.
        """
        with in_style():
            self.set_size_inches(width, self.get_figheight())
            if self._grid is not None:
                self._arrange(self._grid)
            self.set_legend(self._entries)

    def _arrange(self, grid: np.ndarray) -> None:
        """Set as many panels beside one another as can be read in this width."""
        columns = self._columns_of(grid)
        places = GridSpec(-(-grid.size // columns), columns, figure=self)
        for axes in self._named_again:
            axes.set_ylabel("")
        self._named_again = []
        for axes in self.axes:
            write = axes.xaxis.get_major_formatter().format_ticks
            self._ticks.setdefault(axes, write(list(axes.get_xticks())))
        same_x, same_y = (share in (True, "all") for share in self._share)
        # Panels of several rows side by side have scales of their own: each has its numbers.
        is_whole = grid.shape[1] % columns == 0
        rows_share, columns_share = self._share[1] == "row" and is_whole, self._share[0] == "col"
        for place, axes in enumerate(grid.flat):
            if axes not in self.axes:
                continue
            axes.set_subplotspec(places[place // columns, place % columns])
            is_first = place % columns == 0
            is_last = not any(
                self._is_shown(below) for below in grid.flat[place + columns :: columns]
            )
            whole = columns == grid.shape[1]
            hides_x = (same_x or (columns_share and whole)) and not is_last
            axes.tick_params(
                labelleft=is_first or not (same_y or rows_share), labelbottom=not hides_x
            )
            name = grid[place // grid.shape[1], 0].get_ylabel()
            if is_first and name and not axes.get_ylabel():
                axes.set_ylabel(name)
                self._named_again.append(axes)
            self._thin_ticks(axes, self.get_figwidth() / columns - _BESIDE)

    def _thin_ticks(self, axes: Axes, width: float) -> None:
        """Leave out those written ticks of x that would lie on the one before."""
        if not isinstance(axes.xaxis.get_major_locator(), FixedLocator):
            return
        every = self._ticks[axes]
        if any(tick.get_rotation() for tick in axes.get_xticklabels()):
            return
        to_part = axes.transScale + axes.transLimits
        at = [width * to_part.transform((tick, 1.0))[0] for tick in axes.get_xticks()]
        kept, end = list[str](), -np.inf
        for place, label in zip(at, every, strict=True):
            half = len(label) / _PER_INCH / 2
            is_free = place - half > end
            kept.append(label if is_free else "")
            end = place + half + _GAP if is_free else end
        axes.set_xticks(axes.get_xticks(), kept)

    def _is_shown(self, axes: Axes) -> bool:
        return axes in self.axes and axes.get_visible()

    def _columns_of(self, grid: np.ndarray) -> int:
        most, every = max(1, int(self.get_figwidth() / _NARROWEST)), grid.shape[1]
        found = max(n for n in range(1, every + 1) if every % n == 0 and n <= most)
        if self._row * (grid.size // found) > _TALLEST:
            return min(most, every)
        return found

    def _set_height(self, legend_rows: int) -> None:
        """As high as its rows of panels and of the legend need, where its panels are known."""
        if self._grid is None:
            return
        rows = -(-self._grid.size // self._columns_of(self._grid))
        further = _ROW * max(0, legend_rows - 1)
        self.set_figheight(self._row * rows + _AROUND + further)

    def _repr_png_(self) -> bytes:
        """Return the picture that a notebook shows where pyplot's own way is not set up."""
        buffer = io.BytesIO()
        with in_style():
            self.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()


def _in_lines(title: str, signs: int) -> str:
    """A title in lines of so many signs, broken after commas where its parts are short enough."""
    if "$" in title or not title:
        # A formula is no text: broken within, it would not be one any more.
        return title
    parts = re.split(r"(?<=[,:]) ", title)
    joined = [part.replace(" ", _UNBROKEN) if len(part) <= signs else part for part in parts]
    # A word that is a little too long is not broken: the signs' width is known only about.
    longest = max(map(len, title.split()), default=0)
    room = longest if longest <= _LITTLE * signs else signs
    lines = textwrap.wrap(" ".join(joined), max(room, signs), break_on_hyphens=False)
    return "\n".join(lines).replace(_UNBROKEN, " ")


def _label_in_lines(label: str, signs: int) -> str:
    """A label of an axis in lines of so many signs; formulas are kept whole."""
    if len(_FORMULA.sub("", label)) <= signs or label.count("$") % 2:
        return label
    words = _WORDS.findall(label)
    lines = words[:1]
    for word in words[1:]:
        longer = f"{lines[-1]} {word}"
        lines[-1:] = [longer] if len(_FORMULA.sub("", longer)) <= signs else [lines[-1], word]
    return "\n".join(lines)


def _columns(labels: list[str], room: float) -> int:
    """The most columns that fit, each as wide as its widest label."""
    for count in range(len(labels), 1, -1):
        chunks = [labels[first::count] for first in range(count)]
        if sum(max(map(len, chunk)) + _HANDLE for chunk in chunks) <= room:
            return count
    return 1
