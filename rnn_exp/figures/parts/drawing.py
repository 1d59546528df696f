"""Drawing: a figure as a function of results, as one calls it in Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd
from matplotlib.figure import Figure

from rnn_exp.fields import SettingError
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables
from rnn_exp.figures.parts.sheet import Sheet
from rnn_exp.schema import WITHOUT_RESULTS
from rnn_exp.words import plural, sentences

__all__ = [
    "Drawing",
    "FigureModule",
    "RecordingFigure",
    "SomeResults",
    "in_width",
    "plotted_of",
    "reading_of",
    "whole_caption",
]

_Where = Mapping[str, Any] | None
# Inches: of less, labels do not fit, however they are broken into lines.
_NARROWEST, _WIDEST = 2.5, 50.0


@runtime_checkable
class FigureModule(Protocol):
    """What a module of `general` or `studies` must define to be a figure."""

    QUESTION: str

    def table(self, tables: Tables) -> Plotted:
        """Return exactly the numbers that are plotted, and what has to be said of them.

        Raises:
            CannotDraw: if these tables cannot answer the question.
        """

    def draw(self, plotted: Plotted) -> Figure:
        """Draw that table."""

    def caption(self, plotted: Plotted) -> str:
        """Say in words what is seen, the most important sentence first."""


def reading_of(module: FigureModule, plotted: Plotted) -> str:
    """Say how to read a figure: what its lines, bands and colours are.

    Args:
        module: the figure; one that has no function ``reading`` says nothing of that.
        plotted: its numbers.
    """
    reading = getattr(module, "reading", None)
    return "" if reading is None else str(reading(plotted))


def plotted_of(module: FigureModule, tables: Tables) -> Plotted:
    """Return what a figure shows of these tables.

    Args:
        module: the figure.
        tables: of some runs.

    Raises:
        CannotDraw: if they cannot answer its question; where no run has ended, saying so.
    """
    try:
        return module.table(tables)
    except CannotDraw as why:
        if waiting := _waiting(tables.runs):
            raise CannotDraw(waiting) from why
        raise


def _waiting(runs: pd.DataFrame) -> str:
    """Say that no run has results, and how to go on; nothing where one has."""
    statuses = [str(status) for status in runs.get("status", pd.Series(dtype=object))]
    if not statuses or not set(statuses) <= set(WITHOUT_RESULTS):
        return ""
    failed = statuses.count("failed")
    if failed == len(statuses):
        return f"Every run failed ({failed} of {failed}): rnn-exp-status FOLDER says why."
    left = plural(len(statuses) - failed, "run")
    besides = f", {failed} failed" if failed else ""
    return (
        f"No run has ended ({left} stopped or still training{besides}): wait, or type the command "
        "that began them once more, which goes on; rnn-exp-status FOLDER says how they stand."
    )


def whole_caption(module: FigureModule, plotted: Plotted) -> str:
    """Say in words what is seen, what is left out, and how to read it.

    Args:
        module: the figure.
        plotted: its numbers.
    """
    return sentences(module.caption(plotted), *plotted.left_out, reading_of(module, plotted))


@runtime_checkable
class RecordingFigure(Protocol):
    """What a module of `recordings` must define to be a figure of somebody's own network."""

    QUESTION: str

    def table(self, frame: pd.DataFrame) -> Plotted:
        """Return exactly the numbers that are plotted, and what has to be said of them.

        Raises:
            CannotDraw: if these rows cannot answer the question.
        """

    def draw(self, plotted: Plotted) -> Figure:
        """Draw that table."""

    def caption(self, plotted: Plotted) -> str:
        """Say in words what is seen."""


@runtime_checkable
class SomeResults(Tables, Protocol):
    """Tables from which some runs can be chosen (`rnn_exp.Results`)."""

    def where(self, settings: Mapping[str, Any] | None = None, /, **named: Any) -> "SomeResults":  # noqa: ANN401
        """Return the tables of the runs that have these settings."""


def in_width(figure: Figure, width: float | None) -> Figure:
    """Return a figure in a width.

    Args:
        figure: as it was drawn.
        width: in inches; None: as it is.

    Raises:
        SettingError: for a width that is no number from 2.5 to 50.
    """
    if width is None:
        return figure
    is_number = isinstance(width, (int, float)) and not isinstance(width, bool)
    if not is_number or not _NARROWEST <= width <= _WIDEST:
        raise SettingError("width", width, f"inches from {_NARROWEST:g} to {_WIDEST:g}")
    if isinstance(figure, Sheet):
        figure.set_width(width)
    else:
        figure.set_figwidth(width)
    return figure


class Drawing:
    """A figure as a function of results: ``rnn_exp.figures.decay(results)``.

    Args:
        name: of the figure.
        module: what draws it.
    """

    def __init__(self, name: str, module: FigureModule) -> None:
        self.name, self._module = name, module
        self.__doc__ = f"{module.__doc__}\n\n{type(self).__call__.__doc__}"

    @property
    def question(self) -> str:
        """The question that the figure answers."""
        return self._module.QUESTION

    def __call__(
        self,
        results: SomeResults,
        *,
        where: _Where = None,
        width: float | None = None,
    ) -> Figure:
        """Draw the figure; a notebook shows it once, and pyplot keeps nothing of it.

        Args:
            results: of `load`, `train` or `run`.
            where: draw only the runs that have these settings, as for `Results.where`.
            width: in inches; None: one column of a paper (3.4) for one panel, two (7) for more.

        Returns:
            A matplotlib figure, to be shown or saved (``.savefig("decay.pdf")``).

        Raises:
            SettingError: for a setting that there is not, if no run is left, or for a width that is
                no number from 2.5 to 50.
            CannotDraw: if these runs cannot answer the question.
        """
        return in_width(self._module.draw(self._plotted(results, where)), width)

    def table(
        self, results: SomeResults, *, where: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return exactly the numbers that are plotted.

        Args:
            results: of `load`, `train` or `run`.
            where: only the runs that have these settings.
        """
        return self._plotted(results, where).table

    def caption(self, results: SomeResults, *, where: _Where = None) -> str:
        """Return what is seen in the figure, and how to read it, in words.

        Args:
            results: of `load`, `train` or `run`.
            where: only the runs that have these settings.
        """
        return whole_caption(self._module, self._plotted(results, where))

    def __repr__(self) -> str:
        return f"<figure {self.name}: {self.question}>"

    def _plotted(self, results: SomeResults, where: _Where) -> Plotted:
        if isinstance(results, str | Path):
            raise TypeError(f"{str(results)!r} is no results; rnn_exp.load reads those of a folder")
        return plotted_of(self._module, results.where(where) if where else results)
