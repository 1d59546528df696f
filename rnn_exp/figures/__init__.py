"""Tables in, pictures out: one module a figure, found by its name; none draws on import.

Each figure is a function of this package's: ``figures.decay(results)`` draws it (`Drawing`), and
`names` and `study_names` say which there are; `of_page` says which are on a study's page.

A figure module has a `QUESTION`, `table(tables)` (exactly the numbers plotted, with what has to be
said of them), `draw(plotted)` and `caption(plotted)` (what is seen). A new file with these, in
`general` or `studies`, is a new figure; there is no list to keep. What figures share is in `parts`.
Figures of a recording of somebody's network (`recordings`) are made of its rows in the same way.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import cast

from rnn_exp.fields import SettingError, choice_error, suggestion
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
    "of_page",
    "of_recording",
    "recording_names",
    "refuse_unknown",
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


def of_page(declared: Sequence[str] | None) -> list[str]:
    """Return the figures on a study's page: those that it declares, or all general ones.

    Those of users are on every page.

    Args:
        declared: by the study, in order; None: it declares none.

    Raises:
        SettingError: for a figure that there is not.
    """
    refuse_unknown(declared, None)
    return names() if declared is None else list(dict.fromkeys([*declared, *OWN]))


def refuse_unknown(declared: Sequence[str] | None, answer: Sequence[str] | None) -> None:
    """Refuse a figure that there is not, in what a study declares.

    Args:
        declared: the figures of its page; None: it declares none.
        answer: those that it says answer its question; None: none.

    Raises:
        SettingError: for the first figure that there is not.
    """
    known = [*names(), *study_names()]
    for key, figures in (("page.figures", declared), ("page.answer", answer)):
        for name in figures or ():
            if name not in known:
                raise choice_error(key, name, known, typed=name)


def figure(name: str) -> FigureModule:
    """Return the figure of this name.

    Raises:
        ValueError: if there is none, naming those that exist.
    """
    allowed = [*names(), *study_names()]
    if name in OWN:
        return OWN[name]
    if name not in allowed:
        near = suggestion(name, allowed)
        raise ValueError(f"there is no figure {name}; choose one of {', '.join(allowed)}{near}")
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
    known = [] if name.startswith("_") else [*names(), *study_names()]
    if name not in known:
        near = suggestion(name, known)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{near}")
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
