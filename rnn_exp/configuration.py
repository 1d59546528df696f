"""Configuration: nested plain values, as composed from conf/, turned into a `Run`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from rnn_exp.inits import INITS
from rnn_exp.network import Network
from rnn_exp.recording import Recording
from rnn_exp.run import Run
from rnn_exp.settings import SettingError, refuse_choice
from rnn_exp.tasks import TASKS
from rnn_exp.training import Training

__all__ = ["run_from"]

_NAMED: dict[str, Mapping[str, type]] = {"task": TASKS, "init": INITS}
_FIXED: dict[str, type] = {"network": Network, "training": Training, "recording": Recording}


def run_from(config: Mapping[str, Any]) -> Run:
    """Return the run a configuration describes.

    Raises:
        SettingError: naming the first key that is unknown, missing or has a value not allowed.
    """
    groups = [*_NAMED, *_FIXED]
    _refuse_unknown("", config, [*groups, "seed", "device"])
    parts: dict[str, Any] = {}
    for group in groups:
        given = config.get(group)
        if not isinstance(given, Mapping):
            raise SettingError(group, given, "a group of settings")
        parts[group] = _part(group, dict(given))
    return Run(**parts, seed=config.get("seed"), device=_device(config.get("device")))  # type: ignore[arg-type]


def _part(group: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the dataclasses
    if group in _NAMED:
        name = given.pop("name", None)
        if name not in _NAMED[group]:
            raise refuse_choice(f"{group}.name", name, list(_NAMED[group]))
        kind = _NAMED[group][name]
    else:
        kind = _FIXED[group]
    _refuse_unknown(f"{group}.", given, [field.name for field in dataclasses.fields(kind)])
    try:
        return kind(**given)
    except SettingError as error:
        raise error.under(group) from None


def _refuse_unknown(prefix: str, given: Mapping[str, Any], known: list[str]) -> None:
    for key, value in given.items():
        if key not in known:
            full, options = f"{prefix}{key}", [f"{prefix}{name}" for name in known]
            raise refuse_choice(full, value, options, typed=full)


def _device(name: object) -> str:
    """Return the device's name, with auto decided."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(name)
