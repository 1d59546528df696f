"""Grids: runs from settings given by name, as one types them in Python."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from rnn_exp.fields import SettingError
from rnn_exp.registry import load_plugins
from rnn_exp.training.keys import groups, key_of, names_of
from rnn_exp.training.origins import own_defaults
from rnn_exp.training.run import Run, run_from

__all__ = ["grid", "one"]

# Whose value may be a list itself: it is one value, not several.
_LISTS = ("tags",)


def grid(settings: Mapping[str, Any] | None = None, /, **named: Any) -> list[Run]:  # noqa: ANN401
    """Return the runs of a grid: each value of each setting with each of the others.

    A setting goes by its key with ``__`` for the dot (``task__length=30``), or by its last name
    alone where no other setting has it (``length=30``). Keys as on the command line are given in a
    dictionary: ``grid({"task.length": 30})``. What is not given has its default. Grids are lists:
    ``grid(init="torch") + grid(init="gaussian", gain=[0.5, 1])`` is their union.

    Args:
        settings: values by key.
        **named: values by key or by name. A value is a single one, or several: a list, a tuple, a
            range, a numpy array. Of ``tags`` a list is a single value.

    Returns:
        The runs, the last setting varying fastest, in the order in which settings are written.

    Raises:
        SettingError: in one line, for a name that means no setting or several, a value that is not
            allowed, or settings that exclude each other.

    Example:
        >>> runs = grid(task="temporal_order", length=[10, 30], seed=range(3))
        >>> len(runs), runs[-1].task.length, runs[-1].seed
        (6, 30, 2)
        >>> grid(init="torch", gain=[0.5, 1])
        Traceback (most recent call last):
        rnn_exp.fields.SettingError: init.gain=0.5 is not possible: allowed is nothing with \
init=torch, which has no gain
    """
    load_plugins()
    values: dict[str, list[Any]] = {}
    for name, value in _given(settings, named):
        key = key_of(name, value)
        if key in values:
            raise SettingError(name, value, f"{key} once: it is given twice")
        values[key] = [_plain(value)] if key in _LISTS else _several(key, value)
    usual = _Usual()
    return [
        usual.with_values(dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]


def one(settings: Mapping[str, Any] | None = None, /, **named: Any) -> Run:  # noqa: ANN401
    """Return the run of settings that have one value each, given as for `grid`.

    Raises:
        SettingError: as `grid` does, and for a setting with several values.
    """
    load_plugins()
    for name, value in _given(settings, named):
        key = key_of(name, value)
        if key not in _LISTS and len(_several(key, value)) > 1:
            raise SettingError(name, value, "one value; rnn_exp.grid makes runs of several")
    [run] = grid(settings, **named)
    return run


def _given(settings: object, named: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return names and values, those of the dictionary first."""
    if settings is not None and not isinstance(settings, Mapping):
        allowed = 'a dictionary such as {"task.length": 30}, or names with values: length=30'
        raise SettingError("settings", settings, allowed)
    return [*(settings or {}).items(), *named.items()]


def _several(key: str, value: object) -> list[Any]:
    """Return the values of a setting, of which there is at least one."""
    plain = _plain(value)
    if isinstance(plain, (set, frozenset)):
        raise SettingError(key, value, "a list: a set has no order")
    if isinstance(plain, (str, bytes, Mapping)) or not isinstance(plain, Iterable):
        return [plain]
    values = [_plain(each) for each in plain]
    if not values:
        raise SettingError(key, value, "at least one value")
    return values


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a user gives
    """Return arrays, and the numbers in them, as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


class _Usual:
    """The settings that stand where none are given, looked up once for all runs of a grid."""

    def __init__(self) -> None:
        self.groups, self.run = groups(), Run()

    def with_values(self, settings: Mapping[str, Any]) -> Run:
        """Return the run that has these settings, given by key.

        Raises:
            SettingError: for the first that is not possible.
        """
        nested: dict[str, Any] = {"seed": self.run.seed, "device": self.run.device}
        for group, kinds in self.groups.items():
            nested[group] = {} if "" in kinds else {"name": getattr(self.run, group).name}
        for key, value in settings.items():
            group, _, name = key.rpartition(".")
            if group:
                nested[group][name] = value
            elif key in self.groups:
                nested[key]["name"] = value
            else:
                nested[key] = value
        self._refuse_of_another_choice(nested)
        return run_from(nested)

    def _refuse_of_another_choice(self, nested: Mapping[str, Any]) -> None:
        """Refuse a setting that the chosen task or init does not have.

        Raises:
            SettingError: naming the setting and the choice.
        """
        for group, kinds in self.groups.items():
            chosen = nested[group].get("name", "")
            kind = kinds.get(chosen) if isinstance(chosen, str) else None
            if kind is None:
                continue  # `run_from` says what can be chosen
            known = {"name", *names_of(kind), *own_defaults(group)}
            for name, value in nested[group].items():
                if name not in known:
                    allowed = f"nothing with {group}={chosen}, which has no {name}"
                    raise SettingError(f"{group}.{name}", value, allowed)
