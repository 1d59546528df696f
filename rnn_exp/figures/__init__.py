"""Tables in, pictures out: one module a figure, found by its name; none draws on import.

Each figure is a function of this package's: ``figures.decay(results)`` draws it (`Drawing`), and
`names` and `study_names` say which there are.

A figure module has a `QUESTION`, `table(tables)` (exactly the numbers plotted, with what has to be
said of them), `draw(plotted)` and `caption(plotted)` (what is seen). A new file with these, in
`general` or `studies`, is a new figure; there is no list to keep. What figures share is in `parts`.
Figures of a recording of somebody's network (`recordings`) are made of its rows in the same way.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import cast

from rnn_exp.fields import SettingError
from rnn_exp.figures.parts.drawing import Drawing, FigureModule, RecordingFigure
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables
from rnn_exp.registry import Registry, load_plugins

__all__ = [
    "OWN",
    "CannotDraw",
    "Drawing",
    "FigureModule",
    "Plotted",
    "RecordingFigure",
    "Tables",
    "figure",
    "names",
    "of_recording",
    "of_study",
    "recording_names",
    "study_names",
]


OWN: Registry[FigureModule] = Registry("figure")
"""The figures of users; those of this package are the modules of `general` and `studies`."""


def names() -> list[str]:
    """Return the names of the figures that any study may have, sorted; those of users last."""
    load_plugins()
    return [*sorted(_found("general")), *OWN]


def study_names() -> list[str]:
    """Return the names of the figures that belong to one study each, sorted."""
    return sorted(_found("studies"))


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
    room = "studies" if name in study_names() else "general"
    return cast(FigureModule, importlib.import_module(f"{__name__}.{room}.{name}"))


def recording_names() -> list[str]:
    """Return the names of the figures of a recording: the profile, then the others, sorted."""
    return sorted(_found("recordings"), key=lambda name: (name != "profile", name))


def of_recording(name: str) -> RecordingFigure:
    """Return the figure of a recording of this name.

    Raises:
        SettingError: if there is none, naming those that exist.
    """
    if name not in recording_names():
        raise SettingError("name", name, f"one of {', '.join(recording_names())}")
    return cast(RecordingFigure, importlib.import_module(f"{__name__}.recordings.{name}"))


def __getattr__(name: str) -> Drawing:
    """Return what draws the figure of this name."""
    if name.startswith("_") or name not in [*names(), *study_names()]:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return Drawing(name, figure(name))


def __dir__() -> list[str]:
    return sorted({*globals(), *names(), *study_names()})


def _found(room: str) -> dict[str, ModuleType]:
    package = importlib.import_module(f"{__name__}.{room}")
    modules = {
        info.name: importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
    }
    return {name: module for name, module in modules.items() if "QUESTION" in vars(module)}
