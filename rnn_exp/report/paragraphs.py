"""What the page says in sentences: what was asked, what was done, and how the runs stand."""

from typing import Final

import pandas as pd

from rnn_exp.figures.parts.axes import (
    NAMES,
    order_activations,
    setting_name,
    settings_of,
    size_of,
    varying_settings,
)
from rnn_exp.schema import RUN_STATUSES
from rnn_exp.words import counts, listing, plural, sentences

__all__ = [
    "NONE_ENDED",
    "clipped",
    "done",
    "from_elsewhere",
    "none_has_ended",
    "question",
    "standing",
    "statuses_of",
]

_NAMES: Final = {
    "task.length": "length T",
    "init.gain": "gain g",
    "training.clip_norm": "clipping by norm",
    "training.omega": "regulariser Ω",
    **NAMES,
}
"""Settings by the words of the field; any other is called as figures call it."""
_KINDS: Final = (
    ("network.cell", "cell", "cells"),
    ("network.activation", "activation", "activations"),
)
_MOST_VALUES: Final = 8
_ONE_ENDED: Final = {
    "solved": "The run solved its task.",
    "diverged": "The run diverged.",
    "failed": "The run failed.",
    "running": "The run has not ended.",
}
_RUNNING: Final = "running"
NONE_ENDED: Final = "No run has ended."
_LONG_HASH: Final = 64  # hex digits of a SHA-256
_SHORT_HASH: Final = 12


def question(declared: str | None, runs: pd.DataFrame) -> str:
    """Return the question of a page: the study's own, or one of what varies.

    Args:
        declared: what the study declares; None: nothing.
        runs: the table of runs.
    """
    if declared is not None:
        return declared
    names = [] if runs.empty else [_name(key) for key in _varying(settings_of(runs))]
    if not names:
        return "What does the gradient do, back in time?"
    few = names[:3] if len(names) <= 3 else [*names[:2], plural(len(names) - 2, "further setting")]
    return f"What does the gradient do, by {listing(few)}?"


def done(runs: pd.DataFrame) -> str:
    """Say what was done: how many runs of which networks, their training, and what varies.

    Args:
        runs: the table of runs.
    """
    if runs.empty:
        return "There is no run that can be read."
    text = settings_of(runs)
    said = {str(key): list(values.unique()) for key, values in text.items()}
    return sentences(_networks(len(runs), said), _training(said), _what_varies(runs, text))


def _networks(count: int, said: dict[str, list[str]]) -> str:
    parts = [plural(count, "run")]
    units = _one(said, "network.hidden_size")
    kinds = [
        f"{name if len(said[key]) == 1 else names} {listing(order_activations(said[key]))}"
        for key, name, names in _KINDS
        if key in said and len(said[key]) <= _MOST_VALUES
    ]
    of = f" of {plural(int(units), 'unit')}" if units and units.isdigit() else ""
    networks = "a network" if count == 1 else "networks"
    layers = _one(said, "network.num_layers")
    deep = f" in each of {layers} layers" if layers not in ("", "1") else ""
    parts.append(f"of {networks}{of}{deep}" + (f" ({'; '.join(kinds)})" if kinds else ""))
    if "task" in said:
        tasks = "task" if len(said["task"]) == 1 else "tasks"
        parts.append(f"on the {tasks} {listing(said['task'])}")
    return f"{' '.join(parts)}."


def _training(said: dict[str, list[str]]) -> str:
    updates, batch, optimizer, rate = (
        _one(said, f"training.{name}")
        for name in ("updates", "batch_size", "optimizer", "learning_rate")
    )
    if not updates:
        return ""
    if updates == "1":
        return "Gradients are looked at before training: each run makes one update."
    parts = [
        f"{updates} updates",
        f"{batch} sequences in each" if batch else "",
        f"optimiser {optimizer}" if optimizer else "",
        f"learning rate {rate}" if rate else "",
    ]
    return f"Training: {', '.join(filter(None, parts))}."


def _what_varies(runs: pd.DataFrame, text: pd.DataFrame) -> str:
    varying = [key for key in _varying(text) if key != "study"]  # the title says which
    said = [f"{_name(key)} ({_values(list(text[key].unique()))})" for key in varying]
    said += _seeds(runs, text)
    if not said:
        return "One setting, one seed."
    return f"What varies: {'; '.join(said)}."


def _seeds(runs: pd.DataFrame, text: pd.DataFrame) -> list[str]:
    """Say how many seeds a setting has, where any has several."""
    if "seed" not in runs:
        return []
    varying = _varying(text)
    each = runs["seed"].groupby([text[key] for key in varying]).nunique() if varying else None
    least, most = (each.min(), each.max()) if each is not None else [runs["seed"].nunique()] * 2
    if most == 1:
        return []
    many = str(most) if least == most else f"{least} to {most}"
    return [f"{many} seeds of each setting" if varying else f"{many} seeds"]


def _varying(text: pd.DataFrame) -> list[str]:
    return varying_settings(text, first=("task", *_NAMES))


def _values(values: list[str]) -> str:
    """Some values in order, those that are no numbers last; of many the ends."""
    values = sorted(values, key=size_of)
    if len(values) <= _MOST_VALUES:
        return listing(values)
    are_words, _ = size_of(values[-1])
    between = "" if are_words else f" from {values[0]} to {values[-1]}"
    return f"{len(values)} values{between}"


def _one(said: dict[str, list[str]], key: str) -> str:
    """The value of a setting that is the same in all runs; "": it is not, or not known."""
    values = said.get(key, [])
    return values[0] if len(values) == 1 else ""


def _name(key: str) -> str:
    return _NAMES.get(key) or setting_name(key)


def standing(runs: pd.DataFrame, broken: pd.DataFrame, left: str = "") -> str:
    """Say how the runs ended, and what there is to know before one believes them.

    Args:
        runs: the table of runs.
        broken: a row a folder that was left out.
        left: how the runs stand that have not ended, in a sentence.
    """
    unread = f"Left out: {plural(len(broken), 'folder')} (listed below)."
    return sentences(
        _ended(runs), clipped(runs), from_elsewhere(runs), unread if len(broken) else "", left
    )


def _ended(runs: pd.DataFrame) -> str:
    words = statuses_of(runs)
    if not words or set(words) == {"finished"}:
        return ""  # all is as one expects
    if len(words) == 1:
        return _ONE_ENDED.get(words[0], f"Status of the run: {words[0]}.")
    ended = [word for word in words if word != _RUNNING]
    if not ended:
        return NONE_ENDED
    if len(ended) == len(words):
        return f"How the runs ended: {counts(words, RUN_STATUSES)}."
    said = f"{len(ended)} of {len(words)} runs have ended"
    return f"{said}: {counts(ended, RUN_STATUSES)}."


def none_has_ended(runs: pd.DataFrame) -> bool:
    """Say whether there are runs, and none of them has ended.

    Args:
        runs: the table of runs.
    """
    return set(statuses_of(runs)) == {_RUNNING}


def statuses_of(runs: pd.DataFrame) -> list[str]:
    """Return the status of each run in a word.

    Args:
        runs: the table of runs.
    """
    found = runs.reindex(columns=["status"])["status"].astype(object).fillna("unknown")
    return [str(status) for status in found]


def clipped(runs: pd.DataFrame) -> str:
    """Say in how many runs the first gradient of the weights is clipped."""
    found = runs.reindex(columns=["clipped_at_start"])["clipped_at_start"].eq(True)
    if not found.any():
        return ""
    where = "T" if len(runs) == 1 else f"In {found.sum()} of {plural(len(runs), 'run')} t"
    return f"{where}he gradient of the weights is clipped at the first update."


def from_elsewhere(runs: pd.DataFrame) -> str:
    """Say which runs were made with parts that do not come with this program."""
    sources = runs.reindex(columns=["sources"])["sources"].dropna()
    if sources.empty:
        return ""
    parts = sorted({part for text in sources for part in str(text).split(",")})
    shown = [f"{part[:-_LONG_HASH]}{part[-_LONG_HASH:][:_SHORT_HASH]}…" for part in parts]
    of_all = "Every run" if len(sources) == len(runs) else f"{len(sources)} of {len(runs)} runs"
    was = "was" if of_all == "Every run" or len(sources) == 1 else "were"
    return f"{of_all} {was} made with code from elsewhere: {listing(shown)} (SHA-256)."
