"""A line about work that goes on: redrawn in place on a terminal; elsewhere one now and then."""

import os
import sys
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Protocol, runtime_checkable

from tqdm import tqdm
from tqdm.utils import disp_len

from rnn_exp.program import printable

__all__ = ["AnyLine", "Line", "NotebookLine", "Stream", "fitted", "line_on"]

# Where there is no terminal: when the first line is written, and how the waits grow.
_FIRST_SECONDS, _GROWTH, _LONGEST_SECONDS = 10.0, 1.5, 60.0
_NARROW_BAR, _WIDE_BAR, _WIDE_FROM = 10, 30, 120
_SHORT_NAME = 12
_USUAL_COLUMNS = 80


@runtime_checkable
class Stream(Protocol):
    """Where lines are written: stderr, stdout, or what stands for them in a notebook."""

    def isatty(self) -> bool:
        """Say whether it is a terminal."""
        ...

    def fileno(self) -> int:
        """Return the number of its file, if it has one."""
        ...

    def write(self, text: str, /) -> object:
        """Write a text."""
        ...

    def flush(self) -> object:
        """Pass on what was written."""
        ...


class Line:
    """Shows how far work is, on one line of a stream.

    On a terminal the line is drawn in place. Elsewhere (a file, a scheduler's log) a line is
    written after ten seconds, then after ever longer waits, at last one a minute: so work that is
    soon done writes none.

    Args:
        stream: where to write; never closed here.
        name: of the work, may be empty.
        seconds: between two drawings on a terminal.
        in_place: whether it is drawn in place all the same: under a notebook's cell.
    """

    def __init__(
        self, stream: Stream, name: str, seconds: float, *, in_place: bool = False
    ) -> None:
        self.stream, self.name = stream, printable(name)
        self.is_terminal = in_place or stream.isatty()
        self.wait = seconds if self.is_terminal else _FIRST_SECONDS
        self.next_show = monotonic() + (0.0 if self.is_terminal else self.wait)
        self.print, self.is_drawn = tqdm.status_printer(stream), False
        self.lock = threading.Lock()  # a thread may redraw while the main one does

    def is_due(self) -> bool:
        """Say whether it is time to show something."""
        return monotonic() >= self.next_show

    def show(self, fraction: float | None, parts: Sequence[str]) -> None:
        """Draw the line, or write it, whether it is due or not.

        Args:
            fraction: how much of the work is done, from 0 to 1; None: no bar is drawn.
            parts: what there is to say, what is wanted most first.
        """
        with self.lock:
            if self.is_terminal:
                self._draw(fitted(self.name, fraction, parts, columns_of(self.stream)))
            else:
                before = f"{self.name}: " if self.name else ""
                self._write(f"{before}{', '.join(parts)}\n")
                self.wait = min(self.wait * _GROWTH, _LONGEST_SECONDS)
            self.next_show = monotonic() + self.wait

    def close(self) -> None:
        """End the line, so that what is written next begins on its own."""
        with self.lock:
            if self.is_drawn:
                self._write("\n")
                self.is_drawn = False

    def _draw(self, text: str) -> None:
        """Replace the line that was drawn before by another one."""
        self.print(text)
        self.is_drawn = True

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


@runtime_checkable
class AnyLine(Protocol):
    """What shows how far work is: a `Line`, or the bar of a notebook."""

    is_terminal: bool

    def is_due(self) -> bool:
        """Say whether it is time to show something."""
        ...

    def show(self, fraction: float | None, parts: Sequence[str]) -> None:
        """Show how much of the work is done, from 0 to 1, and what there is to say."""
        ...

    def close(self) -> None:
        """End it; what was shown last stays."""
        ...


class NotebookLine:
    """Shows how far work is as the bar of a notebook, which is redrawn in place.

    Args:
        name: of the work, may be empty.
        seconds: between two drawings.
    """

    is_terminal = True  # it is redrawn in place, however often

    def __init__(self, name: str, seconds: float) -> None:
        self.wait, self.next_show = seconds, monotonic()
        from tqdm import notebook

        self.name = printable(name)
        self.bar = notebook.tqdm(total=1.0, desc=self.name, bar_format="{bar} {desc}", leave=True)
        self.lock = threading.Lock()

    def is_due(self) -> bool:
        """Say whether it is time to show something."""
        return monotonic() >= self.next_show

    def show(self, fraction: float | None, parts: Sequence[str]) -> None:
        """Draw the bar.

        Args:
            fraction: how much of the work is done, from 0 to 1.
            parts: what there is to say, what is wanted most first.
        """
        with self.lock:
            self.bar.n = min(1.0, fraction or 0.0)
            self.bar.set_description_str(": ".join(filter(None, [self.name, ", ".join(parts)])))
            self.next_show = monotonic() + self.wait

    def close(self) -> None:
        """End the bar; it stays in the notebook."""
        with self.lock:
            self.bar.close()


def line_on(stream: Stream, name: str, seconds: float) -> AnyLine:
    """Return what shows how far work is: a line, or in a notebook that has widgets a bar.

    Args:
        stream: where a line is written.
        name: of the work, may be empty.
        seconds: between two drawings.
    """
    if not _is_notebook():
        return Line(stream, name, seconds)
    if _has_widgets():
        return NotebookLine(name, seconds)
    return Line(stream, name, seconds, in_place=True)


def _is_notebook() -> bool:
    """Say whether this is the kernel of a notebook."""
    asked = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return asked is not None and "IPKernelApp" in asked.config


def _has_widgets() -> bool:
    """Say whether bars can be made. Tqdm itself says so too late: a half-made one complains."""
    from tqdm import notebook  # imports IPython where that is installed

    return vars(notebook).get("IProgress") is not None


def columns_of(stream: Stream) -> int:
    """Return how many columns the stream's terminal has; 80 where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS


def fitted(name: str, fraction: float | None, parts: Sequence[str], columns: int) -> str:
    """Return a line that fits the columns: name, bar, and as many parts as there is room for.

    The first two parts are what one wants to know: before one of them goes, the name is shortened,
    and then name and bar go. No part is ever cut, unless it is wider than the terminal.

    Args:
        name: of the work, may be empty.
        fraction: how much of it is done; None: without a bar.
        parts: what there is to say, what is wanted most first.
        columns: of the terminal, of which the last one stays free.

    Example:
        >>> parts = ["4/10 done", "1:30 to go", "1 failed", "4.0/min"]
        >>> fitted("decay", 0.4, parts, 60)
        'decay |####      | 4/10 done, 1:30 to go, 1 failed, 4.0/min'
        >>> fitted("a sweep with a very long name", 0.4, parts, 50)
        'a sweep wit… |####      | 4/10 done, 1:30 to go'
        >>> fitted("decay", 0.4, parts, 30)
        '4/10 done, 1:30 to go'
        >>> fitted("decay", None, parts, 40)
        'decay: 4/10 done, 1:30 to go, 1 failed'
    """
    room, wanted = columns - 1, ", ".join(parts[:2])
    bar = "" if fraction is None else _bar(fraction, columns)
    ends = f" {bar} " if bar else ": "
    heads = [f"{short}{ends}" for short in (name, _shortened(name)) if short]
    heads += [f"{bar} ", ""] if bar else [""]
    head = next((head for head in heads if disp_len(head) + disp_len(wanted) <= room), "")
    line = head + (parts[0] if parts else "")
    for part in parts[1:]:
        if disp_len(line) + disp_len(part) + 2 > room:
            break
        line += f", {part}"
    return line if disp_len(line) <= room else line[:room]


def _bar(fraction: float, columns: int) -> str:
    width = _WIDE_BAR if columns >= _WIDE_FROM else _NARROW_BAR
    part = min(1.0, max(0.0, fraction))
    drawn = tqdm.format_meter(part, 1.0, 0.0, ncols=width + 2, ascii=" #", bar_format="|{bar}|")
    return str(drawn)


def _shortened(name: str) -> str:
    """Return a name of a few columns, with dots where it was cut."""
    if disp_len(name) <= _SHORT_NAME:
        return name
    while disp_len(name) >= _SHORT_NAME:
        name = name[:-1]
    return f"{name}…"
