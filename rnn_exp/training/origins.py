"""Where the parts of a run come from that are none of this package: the sources in its identity."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Final

from rnn_exp.fields import settings_of
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS, Init, Network
from rnn_exp.registry import Registry, Source
from rnn_exp.tasks import TASKS, Task
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.own_penalties import OWN_PENALTIES
from rnn_exp.training.penalties import PENALTIES
from rnn_exp.training.settings import Training

__all__ = ["defaults_of", "own_defaults", "own_kinds", "sources_of", "use_words", "usual_of"]

_PLAIN_PATH: Final = re.compile(r"[\w./+-]+")  # what the command line reads without quotes


def sources_of(task: Task, network: Network, init: Init, training: Training) -> dict[str, Source]:
    """Return the source of each part that is none of this package, by its word: ``task=mine``.

    Args:
        task: of a run.
        network: of the run.
        init: of the run.
        training: of the run.
    """
    parts: list[tuple[str, Registry[Any], str, object]] = [
        ("task", TASKS, task.name, type(task)),
        ("init", INITS, init.name, type(init)),
        ("network.cell", CELLS, network.cell, None),
        ("network.activation", ACTIVATIONS, network.activation, None),
        ("training.optimizer", OPTIMIZERS, training.optimizer, None),
    ]
    active = [name for name, penalty in PENALTIES.items() if penalty.weight(training)]
    parts += [("penalty", PENALTIES, name, None) for name in active]
    parts += [("penalty", OWN_PENALTIES, own.name, type(own)) for own in training.own_penalties]
    found = {f"{key}={name}": registry.source_of(name, kind) for key, registry, name, kind in parts}
    return {what: source for what, source in found.items() if source is not None}


def defaults_of(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the defaults of a dataclass's fields; those that have none are left out.

    A dataclass whose default is refused, as a setting has to be given, has defaults all the same.
    """
    made = dataclasses.MISSING
    return {
        field.name: field.default if field.default_factory is made else field.default_factory()
        for field in dataclasses.fields(kind)
        if field.default is not made or field.default_factory is not made
    }


def own_kinds(group: str) -> dict[str, type]:
    """Return the dataclasses of own parts whose fields are settings of a group.

    Args:
        group: ``network``, which has those of cells, or ``training``, which has those of optimisers
            and penalties.

    Returns:
        The dataclasses by what chooses them.
    """
    if group == "network":
        return {f"cell={kind.name}": kind.options for kind in CELLS.values() if kind.options}
    if group != "training":
        return {}
    optimizers = {f"optimizer={one.name}": one.options for one in OPTIMIZERS.values()}
    return {name: kind for name, kind in optimizers.items() if kind} | dict(OWN_PENALTIES)


def own_defaults(group: str) -> dict[str, Any]:
    """Return the settings that own parts bring to a group, at their defaults."""
    return _settings_of_all(own_kinds(group).values())


def usual_of(part: object) -> dict[str, Any]:
    """Return the settings that own parts bring to one that is chosen, at their defaults.

    Another part may have a setting of the same name with another default.

    Args:
        part: a dataclass of settings, such as a `Network`.
    """
    kinds: list[type | None] = []
    if isinstance(part, Network):
        kinds = [part.kind.options]
    if isinstance(part, Training):
        kinds = [OPTIMIZERS[part.optimizer].options, *OWN_PENALTIES.values()]
    return _settings_of_all(kind for kind in kinds if kind is not None)


def _settings_of_all(kinds: Iterable[type]) -> dict[str, Any]:
    return {name: value for kind in kinds for name, value in settings_of(kind()).items()}


def use_words(sources: dict[str, Source]) -> list[str]:
    """Return the word ``use=[…]`` that has the files among some sources run; none without files.

    Args:
        sources: those of a run.

    Example:
        >>> use_words({"task=mine": Source("mine.py", "0", path="mine.py")})
        ['use=[mine.py]']
    """
    files = dict.fromkeys(source.path for source in sources.values() if source.path)
    quoted = (path if _PLAIN_PATH.fullmatch(path) else f'"{path}"' for path in files)
    return [f"use=[{','.join(quoted)}]"] if files else []
