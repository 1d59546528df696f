"""A recording of somebody's own network, as figures and as a page."""

import math
import os
from pathlib import Path
from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from rnn_exp.fields import SettingError
from rnn_exp.figures import CannotDraw, of_recording, recording_names
from rnn_exp.figures.parts.drawing import in_width
from rnn_exp.profiles import RULE
from rnn_exp.recordings.sentences import answers_of, many_losses, text_of
from rnn_exp.recordings.summary import Recorded, clipping, summary
from rnn_exp.report.glossary import word
from rnn_exp.report.page import Picture, rendered, template
from rnn_exp.report.tables import RunTable, narrow_style
from rnn_exp.storage.files import replace_bytes
from rnn_exp.words import listing, number, plural, sentences

__all__ = ["figure", "render", "write"]

_TEMPLATE: Final = "recording.html.jinja"
_TITLE: Final = "Recorded gradients"
_LAG_WORDS: Final = ("lag", "gradient norm", "change", "rate", "half-life, doubling time")


def figure(recorded: Recorded, name: str, width: float | None) -> Figure:
    """Draw what was recorded.

    Args:
        recorded: the tables of a recording.
        name: of a figure (`figures.recording_names`).
        width: in inches; None: a column or a page of a paper.

    Raises:
        SettingError: for another name, or a width that is none.
        CannotDraw: if what was recorded cannot answer the figure's question.
    """
    module = of_recording(name)
    return in_width(module.draw(module.table(recorded.frame)), width)


def write(recorded: Recorded, path: object) -> Path:
    """Write a recording as a page, whole or not at all.

    Args:
        recorded: the tables of a recording.
        path: of the HTML file, in a folder that is there.

    Returns:
        The path.

    Raises:
        SettingError: for what is no path.
        IsADirectoryError: if there is a folder of that name.
        FileNotFoundError: if the folder for it is not there.
    """
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise SettingError("path", path, "the path of an HTML file")
    place = Path(path).expanduser()
    if place.is_dir():
        raise IsADirectoryError(f"{place} is a folder: name a file, such as {place}/gradients.html")
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{place}: there is no folder {place.parent}; make it first")
    replace_bytes(place, render(recorded).encode())
    return place


def render(recorded: Recorded) -> str:
    """Return the page as text. Names of modules, as all else, are escaped.

    Args:
        recorded: the tables of a recording.
    """
    said = summary(recorded.frame)
    table = _table(said) if len(said) else None
    return template(_TEMPLATE).render(
        title=_TITLE,
        recorded=_recorded(recorded),
        answers=answers_of(said),
        notes=many_losses(said),
        styles=[narrow_style({"layers": table})],
        table=table,
        pictures=[_picture(name, recorded.frame) for name in recording_names()],
        finite=_finite(recorded),
        clipping=_clipping(recorded.updates),
        cuts=_cuts(recorded.cuts),
        rule=RULE,
        total_words=[word("total gradient")],
        lag_words=list(map(word, _LAG_WORDS)),
    )


def _recorded(recorded: Recorded) -> str:
    """Say in a paragraph what was recorded: modules, updates, how often."""
    frame, updates = recorded.frame, sorted(recorded.frame["update"].unique())
    names = {name: f"{name or 'the model'} ({kind})" for name, kind in recorded.modules.items()}
    seen = list(frame["module"].unique())
    unseen = [words for name, words in names.items() if name not in seen]
    if not updates:
        return sentences(
            f"Nothing was recorded of {listing(names.values()) or 'the model'}:",
            "no call that a gradient has gone back through was seen.",
        )
    every = recorded.every
    often = "each of them" if every == 1 else f"the first of every {every}"
    of = listing(names.get(name, name or "the model") for name in seen)
    which = f"Update {updates[0]} of {of} was recorded."
    if len(updates) > 1:
        span = f"from {updates[0]} to {updates[-1]}, {often}"
        which = f"{plural(len(updates), 'update')} of {of} were recorded: {span}."
    return sentences(
        which,
        f"Nothing was recorded of {listing(unseen)}." if unseen else "",
    )


def _table(said: pd.DataFrame) -> RunTable:
    text = text_of(said)
    return RunTable(list(text.columns), text.to_numpy().tolist(), [])


def _picture(name: str, frame: pd.DataFrame) -> Picture:
    module = of_recording(name)
    try:
        plotted = module.table(frame)
    except CannotDraw as reason:
        return Picture(name, module.QUESTION, refusal=str(reason))
    svg = rendered(module.draw(plotted), formats=["svg"])["svg"]
    return Picture(name, module.QUESTION, module.caption(plotted), svg=svg)


def _finite(recorded: Recorded) -> str:
    if recorded.bad is not None:
        return f"The first value that is not finite: {recorded.bad}."
    return "No value that was recorded was infinite or NaN." if len(recorded.frame) else ""


def _clipping(updates: pd.DataFrame) -> str:
    """Say how often the gradient of all weights was clipped, and how large it was before."""
    said = clipping(updates)
    if not said["updates"]:
        return (
            "Nothing is known of clipping: the recording was given no optimizer, or saw none of "
            "its steps."
        )
    seen, bad = said["updates"], said["not_finite"]
    if bad == seen:
        return (
            f"At none of {plural(seen, 'recorded update')} is the norm of the gradient of all "
            "weights a finite number."
        )
    norms = ", ".join(f"{name} {number(said[name])}" for name in ("P50", "P90", "P99"))
    start = {True: "Clipping binds from update 0 on.", False: "Update 0 was not clipped."}
    share = said["clipped"]
    return sentences(
        f"The norm of the gradient of all weights, before clipping, at "
        f"{plural(seen - bad, 'recorded update')}: {norms} (percentiles).",
        "Whether it was clipped is not known."
        if math.isnan(share)
        else f"It was clipped at {100 * share:.3g} % of them.",
        f"At {bad} more it is no finite number." if bad else "",
        start.get(said["binds_at_start"], ""),
    )


def _cuts(cuts: pd.DataFrame) -> list[str]:
    """Say where chains of calls are cut, those of several updates in one line."""
    return [
        f"{module or 'the model'}, call {call} (from 0): {why} (at {plural(len(part), 'update')}, "
        f"first at update {part['update'].min()})"
        for (module, call, why), part in cuts.groupby(["module", "call", "why"], sort=False)
    ]
