"""Settings as the axes of a figure: panels (activation), lengths (T) and series.

The series are the initial weights or, where these are constant, the setting with most values. A
further setting becomes panels beside those of the activations where there is room.
"""

import math
import re
from collections.abc import Collection, Iterable
from typing import Final

import pandas as pd

from rnn_exp.schema import ENGINE, engines_are_decided

__all__ = [
    "AXES",
    "KEYS",
    "NAMES",
    "axes_of",
    "by_size",
    "in_order",
    "in_panels",
    "is_determined_by",
    "order_activations",
    "series_key",
    "setting_columns",
    "setting_name",
    "setting_words",
    "settings_of",
    "size_of",
    "varying_settings",
    "without_activation",
]

AXES: Final = ["activation", "length", "series"]
"""The columns that every plotted table begins with."""
KEYS: Final = [*AXES, "value"]
"""`AXES`, and the number behind the name of a series."""
_CELL: Final = "network.cell"
_GROUPS: Final = frozenset({"task", "init", "device", "study"})
_ACTIVATIONS: Final = ("tanh", "sigmoid", "relu", "identity")
NAMES: Final = {"network.hidden_size": "units", "network.num_layers": "layers"}
"""Settings that are called otherwise than by the last part of their key."""
_BEFORE: Final = frozenset(
    {
        "init",
        "init.variant",
        "network.cell",
        "network.engine",
        "network.parametrization",
        "task",
        "task.convention",
        "training.optimizer",
        "training.schedule",
    }
)
"""Settings whose values are names of kinds, which stand before the word: 'lstm cell'."""
_NUMBERS: Final = re.compile(r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


def setting_columns(runs: pd.DataFrame) -> list[str]:
    """Return the columns that are settings, not results: dotted keys, names of groups; no seed.

    An engine that is everywhere the one that ``auto`` decides on is none: cell, activation and
    device say which.
    """
    found = [c for c in runs.columns if "." in c or c in _GROUPS]
    return [c for c in found if c != ENGINE] if engines_are_decided(runs) else found


def settings_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the settings as text: lists, None and NaN then compare like any other value."""
    return runs[setting_columns(runs)].astype(object).map(_text)


def _text(value: object) -> str:
    missing = value is None or (isinstance(value, float) and value != value)
    if missing:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_determined_by(frame: pd.DataFrame, column: str, axes: list[str]) -> bool:
    """Return whether the axes decide this column's value, so that nothing would be pooled."""
    if not axes:
        return len(frame[column].unique()) == 1
    return bool(frame.groupby(axes)[column].nunique().max() == 1)


def varying_settings(
    settings: pd.DataFrame, first: Iterable[str] = (), always: Collection[str] = ()
) -> list[str]:
    """Return the settings that vary, without those that the ones before them decide.

    Args:
        settings: as text (`settings_of`).
        first: those that come before all others, where there are any.
        always: those that count wherever they vary, whatever comes before them.
    """
    found: list[str] = []
    for name in dict.fromkeys([*(each for each in first if each in settings), *map(str, settings)]):
        varies = len(settings[name].unique()) > 1
        if varies and (name in always or not is_determined_by(settings, name, found)):
            found.append(name)
    return found


def size_of(text: str) -> tuple[bool, float]:
    """Return by what values of a setting are put in order: numbers by size, then all others.

    Example:
        >>> sorted(["none", "10", "0.5", "2"], key=size_of)
        ['0.5', '2', '10', 'none']
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return (True, 0.0) if value != value else (False, value)


def axes_of(runs: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Return the axes of each run (`KEYS`); settings that the study does not have are blank.

    Args:
        runs: the table of runs.
        settings: the same runs' settings as text (`settings_of`).
    """
    blank = pd.Series("", index=runs.index)
    lengths = runs.get("task.length", pd.Series(0, index=runs.index))
    label, value = _series(runs, settings)
    activation = settings.get("network.activation", blank)
    return pd.DataFrame(
        {
            "activation": activation.where(~without_activation(runs), runs.get(_CELL, blank)),
            "length": pd.to_numeric(lengths, errors="coerce").fillna(0).astype(int),
            "series": label,
            "value": value,
        }
    )


def without_activation(runs: pd.DataFrame) -> pd.Series:
    """Return of each run whether its cell has no φ: it is one of its own, whose step takes none.

    Args:
        runs: the table of runs.
    """
    known = runs.reindex(columns=[_CELL, "largest_slope"])
    return known[_CELL].notna() & known["largest_slope"].isna() & ("largest_slope" in runs)


def _series(runs: pd.DataFrame, settings: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    key = series_key(settings)
    if key is not None:
        return _named(key, settings[key]), pd.to_numeric(runs[key], errors="coerce").astype(float)
    blank = pd.Series("none", index=runs.index)
    init, gain = (settings.get(k, blank) for k in ("init", "init.gain"))
    label = ("g = " + gain).where(gain != "none", init.where(init != "none", ""))
    value = pd.to_numeric(gain, errors="coerce").astype(float)
    if len(init.unique()) > 1:
        # One number cannot order different kinds of weights.
        kinds = _named("init", init)
        return (kinds + ", " + label).where(gain != "none", kinds), value * float("nan")
    return label, value


def in_panels(panels: pd.Series, key: str, values: pd.Series) -> pd.Series:
    """Return the names of panels that are those of a further setting too.

    Args:
        panels: the panel of each run, before.
        key: of the setting, such as training.learning_rate.
        values: of the setting, as text.
    """
    label = _named(key, values)
    if len(panels.unique()) == 1:
        return label
    # A cell without φ is its panel's name already: 'mine cell'.
    pairs = zip(panels, label, strict=True)
    said = [each if each.startswith(f"{panel} ") else f"{panel}, {each}" for panel, each in pairs]
    return pd.Series(said, index=panels.index, dtype=object)


def _named(key: str, values: pd.Series) -> pd.Series:
    return values.map(lambda value: setting_words(key, value)).astype(object)


def setting_words(key: str, value: str) -> str:
    """Return a setting with its value as a phrase.

    Example:
        >>> setting_words("network.cell", "lstm"), setting_words("training.learning_rate", "0.1")
        ('lstm cell', 'learning rate 0.1')
        >>> setting_words("training.clip_norm", "none")
        'no clip norm'
    """
    name = setting_name(key)
    if value == "none":
        return f"no {name}"
    return f"{value} {name}" if key in _BEFORE else f"{name} {value}"


def setting_name(key: str) -> str:
    """Return what figures call a setting: by one word each, so that no two are taken for two.

    Example:
        >>> setting_name("network.hidden_size"), setting_name("training.learning_rate")
        ('units', 'learning rate')
    """
    return NAMES.get(key, key.split(".")[-1].replace("_", " "))


def series_key(settings: pd.DataFrame) -> str | None:
    """Return the setting that colours a figure, or None for the initial weights.

    Args:
        settings: as text (`settings_of`).
    """
    varying = [str(c) for c in settings.columns if len(settings[c].unique()) > 1]
    panels = [c for c in ("network.activation", "task.length") if c in settings]
    if {"init", "init.gain"} & set(varying):
        return None
    free = [c for c in varying if c not in panels and not is_determined_by(settings, c, panels)]
    return max(free, key=lambda name: settings[name].nunique()) if free else None


def order_activations(names: Iterable[str]) -> list[str]:
    """Return panels in order: activations as in textbooks, then others by name and by number.

    Neither the alphabet nor the order in which a study lists its runs gives readers the bounded
    activations first, and side by side; nor 32 units before 128.
    """
    known = {name: place for place, name in enumerate(_ACTIVATIONS)}
    return sorted(
        names, key=lambda name: (known.get(name.partition(",")[0], len(known)), by_size(name))
    )


def in_order(table: pd.DataFrame) -> list[str]:
    """Return the names of the series: by their numbers, then those without one by name.

    Args:
        table: with the columns series and value.
    """
    # What has no number, such as "no clipping", comes after all that has one.
    each = table.drop_duplicates("series")
    known, names = each["value"].astype(float), each["series"].astype(str)
    places = zip(known.isna(), known.fillna(0.0), map(by_size, names), names, strict=True)
    return [name for *_, name in sorted(places)]


def by_size(name: str) -> list[tuple[float, str]]:
    """Return by what names are put in order: their words by the alphabet, numbers by their size.

    Example:
        >>> sorted(["gaussian, g = 16", "gaussian, g = 2", "chrono"], key=by_size)
        ['chrono', 'gaussian, g = 2', 'gaussian, g = 16']
    """
    words = _NUMBERS.split(name)
    return [(float(word), "") if i % 2 else (0.0, word) for i, word in enumerate(words)]
