"""Settings of runs as text, and the axes of a figure made from them."""

from typing import Final

import pandas as pd

AXES: Final = ["activation", "length", "series"]
"""The columns that every plotted table begins with."""
KEYS: Final = [*AXES, "value"]
_PLAIN: Final = frozenset({"task", "init", "device"})


def setting_columns(runs: pd.DataFrame) -> list[str]:
    """Columns that are settings, not results: dotted keys and the names of groups; not the seed."""
    return [c for c in runs.columns if "." in c or c in _PLAIN]


def settings_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Settings as text: lists, None and NaN then compare like any other value."""
    return runs[setting_columns(runs)].astype(object).map(_text)


def _text(value: object) -> str:
    missing = value is None or (isinstance(value, float) and value != value)
    if missing:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def axes_of(runs: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """The axes of each run; settings that the study does not have are blank."""
    blank = pd.Series("", index=runs.index)
    lengths = runs.get("task.length", pd.Series(0, index=runs.index))
    label, value = _series(runs, settings)
    return pd.DataFrame(
        {
            "activation": settings.get("network.activation", blank),
            "length": pd.to_numeric(lengths, errors="coerce").fillna(0).astype(int),
            "series": label,
            "value": value,
        }
    )


def _series(runs: pd.DataFrame, settings: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    key = _series_key(settings)
    if key is not None:
        name = key.split(".")[-1].replace("_", " ")
        return f"{name} " + settings[key], pd.to_numeric(runs[key], errors="coerce").astype(float)
    blank = pd.Series("none", index=runs.index)
    init, gain = (settings.get(k, blank) for k in ("init", "init.gain"))
    label = ("g = " + gain).where(gain != "none", init.where(init != "none", ""))
    value = pd.to_numeric(gain, errors="coerce").astype(float)
    if len(init.unique()) > 1:
        # One number cannot order different kinds of weights.
        return (init + ", " + label).where(gain != "none", init), value * float("nan")
    return label, value


def _series_key(settings: pd.DataFrame) -> str | None:
    """The setting that colours a figure, or None for the initial weights."""
    varying = [c for c in settings.columns if len(settings[c].unique()) > 1]
    panels = [c for c in ("network.activation", "task.length") if c in settings]
    if {"init", "init.gain"} & set(varying):
        return None
    free = [c for c in varying if c not in panels and not follows(settings, c, panels)]
    return free[0] if free else None


def follows(frame: pd.DataFrame, column: str, axes: list[str]) -> bool:
    """Whether the axes already tell this setting's value, so that nothing would be pooled."""
    if not axes:
        return len(frame[column].unique()) == 1
    return bool(frame.groupby(axes)[column].nunique().max() == 1)
