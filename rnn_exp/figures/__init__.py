"""Tables in, pictures out: one module a figure, found by its name; none draws on import.

A figure module has a `QUESTION`, `table(tables)` (exactly the numbers plotted, with what has to be
said of them), `draw(plotted)` and `caption(plotted)` (what is seen). A new file with these is a new
figure; there is no list to keep. What figures share is in `parts`.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import Protocol, cast, runtime_checkable

from matplotlib.figure import Figure

from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables
from rnn_exp.registry import Registry

__all__ = [
    "OWN",
    "CannotDraw",
    "FigureModule",
    "Plotted",
    "Tables",
    "figure",
    "names",
    "of_study",
    "study_names",
]


@runtime_checkable
class FigureModule(Protocol):
    """What a module in this package must define to be a figure."""

    QUESTION: str

    def table(self, tables: Tables) -> Plotted:
        """Return exactly the numbers that are plotted, and what has to be said of them.

        Raises:
            CannotDraw: if these tables cannot answer the question.
        """

    def draw(self, plotted: Plotted) -> Figure:
        """Draw that table."""

    def caption(self, plotted: Plotted) -> str:
        """Say in words what is seen."""


OWN: Registry[FigureModule] = Registry("figure")
"""The figures of users; those of this package are the modules here."""


def names() -> list[str]:
    """Return the names of the figures that any study may have, sorted; those of users last."""
    return [*sorted(_found(__name__, __path__)), *OWN]


def study_names() -> list[str]:
    """Return the names of the figures that belong to one study each, sorted."""
    package = importlib.import_module(f"{__name__}.studies")
    return sorted(_found(package.__name__, package.__path__))


def of_study(study: str) -> list[str]:
    """Return the figures on a study's page: its own and its general ones, or all general ones.

    Those of users are on every page.
    """
    if study not in study_names():
        return names()
    own = importlib.import_module(f"{__name__}.studies.{study}")
    return [study, *own.GENERAL_FIGURES, *OWN]


def figure(name: str) -> FigureModule:
    """Return the figure of this name.

    Raises:
        ValueError: if there is none, naming those that exist.
    """
    allowed = [*names(), *study_names()]
    if name in OWN:
        return OWN[name]
    if name not in allowed:
        raise ValueError(f"There is no figure {name!r}; choose one of {', '.join(allowed)}.")
    place = f"{__name__}.studies.{name}" if name in study_names() else f"{__name__}.{name}"
    return cast(FigureModule, importlib.import_module(place))


def _found(package: str, path: Iterable[str]) -> dict[str, ModuleType]:
    modules = {
        info.name: importlib.import_module(f"{package}.{info.name}")
        for info in pkgutil.iter_modules(path)
    }
    return {name: module for name, module in modules.items() if "QUESTION" in vars(module)}
