"""A run that is already there, found without torch, whose import was most of what that took.

A run.json has every setting of its run. Where the composed settings are those to the last one, and
every file is as it was written, the run need not be built to know that it is done. Where anything
is unclear the answer is "not known", and it is built.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.besides import BESIDES
from rnn_exp.registry.loading import NO_PLUGINS
from rnn_exp.registry.packages import installed
from rnn_exp.schema import DONE, ENGINE, KERNEL, RUN_JSON, decided_engine, with_added
from rnn_exp.storage.hashes import is_unbroken
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.verifying import verify

__all__ = ["known_to_be_there"]

_BELOW: Final = re.compile(r"(.+)/\$\{rnn_exp\.run_name:\1\}")
_MOST_FOLDERS: Final = 1000  # are looked into: reading more takes as long as torch
_NOT_OF_A_RUN: Final = frozenset({"hydra", "study", "use", "note", "tags", *BESIDES})
_NAMED: Final = ("task", "init")


def known_to_be_there(config: DictConfig) -> Path | None:
    """Return the folder of a single run that is done and whole; None: that is not known.

    Args:
        config: the composed configuration.
    """
    if os.environ.get(NO_PLUGINS) != "0" and installed():
        return None
    content: Any = OmegaConf.to_container(config, resolve=False)
    seconds = (content["hydra"].get("launcher") or {}).get("checkpoint_seconds", 60)
    others = [content.get(key) for key in ("use", "note", "tags")]
    if others != [None] * 3 or content.get("device") != "cpu" or seconds != 60:
        return None
    wanted = _flat({key: own for key, own in content.items() if key not in _NOT_OF_A_RUN})
    engine, cell, phi = (str(wanted[f"network.{key}"]) for key in ("engine", "cell", "activation"))
    wanted[ENGINE] = decided_engine(engine, cell, phi, "cpu")
    folders = _folders(str(content["hydra"]["run"]["dir"]))
    found = [folder for folder in folders if _is_done(folder, wanted)]
    return found[0] if len(found) == 1 else None


def _flat(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by the keys that they have in a run.json."""
    flat: dict[str, Any] = {}
    for key, own in groups.items():
        if not isinstance(own, dict):
            flat[key] = own
            continue
        own = dict(own)
        if key in _NAMED:
            flat[key] = own.pop("name", None)
        flat |= {f"{key}.{name}": value for name, value in own.items()}
    return flat


def _folders(place: str) -> Iterator[Path]:
    """Yield where the run may lie: below the folder of all single runs, or in one of one's own."""
    below = _BELOW.fullmatch(place)
    if below is None:
        if "${" not in place:
            yield Path(place)
        return
    if Path(below[1]).is_dir():
        every = [Path(entry) for entry in os.scandir(below[1]) if entry.is_dir()]
        if len(every) <= _MOST_FOLDERS:
            yield from every


def _is_done(folder: Path, wanted: Mapping[str, Any]) -> bool:
    """Say whether a folder holds a run with these settings, done, every file as it was written."""
    try:
        said = read_json(folder / RUN_JSON)
    except (OSError, ValueError):
        return False
    if not isinstance(said, dict) or said.get("status") not in DONE or not is_unbroken(said):
        return False
    settings = said.get("settings")
    if not isinstance(settings, dict) or said.get("sources") or not said.get("files"):
        return False
    settings = with_added(settings)
    if settings.keys() != wanted.keys():
        return False
    if settings[ENGINE] == KERNEL.engine and _kernel_of(said) != KERNEL.version:
        return False
    if not all(_is_same(wanted[key], own) for key, own in settings.items()):
        return False
    return not any(run.bad or run.without_hashes for run in verify(folder))


def _kernel_of(said: Mapping[str, Any]) -> object:
    """Return the version of the kernels that a run.json tells."""
    network = said.get("network")
    return network.get("kernel") if isinstance(network, dict) else None


def _is_same(typed: object, stored: object) -> bool:
    """Say whether a value as it is typed is one as it is stored: a number may be typed without .0.

    Example:
        >>> _is_same(1, 1.0), _is_same(1.0, 1), _is_same(True, 1), _is_same(None, None)
        (True, False, False, True)
    """
    same_type = type(typed) is type(stored) or (type(typed) is int and type(stored) is float)
    return same_type and typed == stored
