"""Table -> Figure: one module a figure, found by its name; none draws anything on import.

A figure module has a `QUESTION`, `table(tables)` (exactly the numbers plotted), `draw(table)` and
`caption(table)` (what is seen). A new file with these is a new figure; there is no list to keep.
"""

import importlib
import pkgutil
from typing import Protocol, cast, runtime_checkable

import pandas as pd
from matplotlib.figure import Figure

from rnn_exp.figures.source import CannotDraw, Tables

__all__ = ["CannotDraw", "FigureModule", "Tables", "figure", "names"]


@runtime_checkable
class FigureModule(Protocol):
    """What a module in this package must define to be a figure."""

    QUESTION: str

    def table(self, tables: Tables) -> pd.DataFrame:
        """Exactly the numbers plotted."""

    def draw(self, table: pd.DataFrame) -> Figure:
        """The picture of that table."""

    def caption(self, table: pd.DataFrame) -> str:
        """What is seen, in words."""


def names() -> list[str]:
    """The names of all figures, sorted."""
    found = (info.name for info in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if "QUESTION" in vars(_module(name)))


def figure(name: str) -> FigureModule:
    """The figure of this name; an unknown name is refused with those that exist."""
    allowed = names()
    if name not in allowed:
        raise ValueError(f"There is no figure {name!r}; choose one of {', '.join(allowed)}.")
    return cast(FigureModule, _module(name))


def _module(name: str) -> object:
    return importlib.import_module(f"{__name__}.{name}")
