"""Settings that came after the first digests were given: at their default they leave digests alone.

A run made before such a setting was there is the run that has its default now, under the same
digest: it is "already there", and its row in the table of runs has the default. Without that a
folder with runs of two versions would seem to have two settings where it has one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ADDED_SETTINGS", "OF_TASKS", "decisive", "filled_in", "with_added"]

ADDED_SETTINGS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "evaluation.every": None,
        "evaluation.length": None,
        "evaluation.sequences": 1000,
        "init.readout_scale": 1.0,
        "network.bias": True,
        "recording.jacobian_lags": 0,
        "recording.spectrum_every": None,
        "task.label": None,
        "task.lengths": "batch",
        "task.longest": None,
        "training.momentum": 0.0,
        "training.nesterov": False,
        "training.weight_decay": 0.0,
        "training.rmsprop_alpha": 0.99,
        "training.adam_beta1": 0.9,
        "training.adam_beta2": 0.999,
        "training.schedule": "constant",
        "training.schedule_every": None,
        "training.schedule_factor": 0.1,
        "training.warm_up": 0,
    }
)
"""Each setting that was added, under its key, with its default (tested against the dataclasses)."""
_OF_EVERY_RUN: Final = (
    "network.",
    "training.",
    "recording.",
    "evaluation.",
    "init.readout_scale",
)
_RANGED: Final = frozenset(
    {"temporal_order", "adding", "multiplication", "permutation", "latch", "noise", "hold"}
)
OF_TASKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"task.label": frozenset({"series"}), "task.lengths": _RANGED, "task.longest": _RANGED}
)
"""The tasks that each added setting of some tasks belongs to (tested against the dataclasses)."""
_TAKEN_FROM: Final[Mapping[str, str]] = MappingProxyType({"init.longest": "task.length"})


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that decide a run's results, and so its digest.

    A file of data counts by its content (``task.sha256``), wherever it lies.

    Args:
        settings: every setting under its key.

    Example:
        >>> decisive({"seed": 1, "device": "cpu"})
        {'seed': 1}
    """
    besides = {"device", "task.file"} if "task.sha256" in settings else {"device"}
    return {
        key: value
        for key, value in settings.items()
        if key not in besides and not (key in ADDED_SETTINGS and ADDED_SETTINGS[key] == value)
    }


def with_added(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run.json of any version, with those that came after it.

    Args:
        settings: under their keys. A setting of some tasks is added where the task is one of them.
    """
    task = str(settings.get("task"))
    missing = {
        key: value
        for key, value in ADDED_SETTINGS.items()
        if key not in settings and (key.startswith(_OF_EVERY_RUN) or task in OF_TASKS.get(key, ()))
    }
    return dict(settings) | missing


def filled_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those that a run takes from others where they are null.

    Args:
        settings: every setting under its key, as it is typed.

    Example:
        >>> filled_in({"task.length": 30, "init.longest": None})
        {'task.length': 30, 'init.longest': 30}
    """
    return {
        key: settings[_TAKEN_FROM[key]] if value is None and key in _TAKEN_FROM else value
        for key, value in settings.items()
    }
