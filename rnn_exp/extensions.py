"""Own parts: one word registers a task, activation, cell, init, penalty, optimiser or figure.

A file that does so is used by ``rnn-exp use=[mine.py] …``, or from Python by `use`. A package names
its modules in the group of entry points ``rnn_exp``.
"""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from rnn_exp import figures
from rnn_exp.fields import SettingError, allowed_of
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS, Activation, CellKind, Init, Network
from rnn_exp.registry import Registry, SourceError, module_of_caller, source_of_caller, use
from rnn_exp.tasks import TASKS, Task
from rnn_exp.training.optimizers import OPTIMIZERS, Optimizer
from rnn_exp.training.own_penalties import OWN_PENALTIES, OwnPenalty
from rnn_exp.training.penalties import PENALTIES, Penalty
from rnn_exp.training.settings import Training

__all__ = ["register", "use"]

Thing = TypeVar("Thing")


class _Kind(NamedTuple):
    """A registry, and how what belongs there is known."""

    registry: Registry[Any]
    fits: Callable[[Any], bool]


def _members(protocol: type) -> set[str]:
    """Return the names that a class needs to be what a protocol describes."""
    names = {name for name in vars(protocol) if not name.startswith("_")}
    return names | set(vars(protocol).get("__annotations__", {}))


def _has(protocol: type, thing: object) -> bool:
    """Say whether a class or an object has all names of a protocol."""
    # The fields of a dataclass that has no defaults are no attributes of the class.
    fields = {f.name for f in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else ()
    return all(hasattr(thing, name) or name in fields for name in _members(protocol))


_KINDS: Final = (
    _Kind(TASKS, lambda thing: isinstance(thing, type) and _has(Task, thing)),
    _Kind(INITS, lambda thing: isinstance(thing, type) and issubclass(thing, Init)),
    _Kind(ACTIVATIONS, lambda thing: isinstance(thing, Activation)),
    _Kind(CELLS, lambda thing: isinstance(thing, CellKind)),
    _Kind(OPTIMIZERS, lambda thing: isinstance(thing, Optimizer)),
    _Kind(PENALTIES, lambda thing: not isinstance(thing, type) and _has(Penalty, thing)),
    _Kind(OWN_PENALTIES, lambda thing: isinstance(thing, type) and issubclass(thing, OwnPenalty)),
    _Kind(figures.OWN, lambda thing: _has(figures.FigureModule, thing)),
)


def register(thing: Thing) -> Thing:
    """Make something of your own a word that can be chosen, under its ``name``.

    Args:
        thing: the class of a task, an init or an `OwnPenalty` (frozen dataclasses), an
            `Activation`, a `CellKind`, an `Optimizer`, a `Penalty` or a figure; works as a
            decorator of classes as well.

    Returns:
        The thing itself.

    Raises:
        SettingError: if it is none of these, its name is taken, or a setting has no default.

    Example:
        >>> from rnn_exp.networks import ACTIVATIONS
        >>> "cube" in ACTIVATIONS  # what is to be registered needs a name that is free
        False
    """
    caller = module_of_caller(inspect.currentframe())
    name = getattr(thing, "name", None)
    if not isinstance(name, str) or not name.isidentifier():
        allowed = "something whose name is a word of letters, digits and _"
        raise SettingError("register", f"{thing!r}", f"{allowed}; this name is {name!r}")
    found = [kind for kind in _KINDS if kind.fits(thing)]
    if not found:
        kinds = ", ".join(kind.registry.kind for kind in _KINDS)
        looks = hasattr(thing, "draw") and not hasattr(thing, "QUESTION")
        missing = sorted(n for n in _members(Task) if looks and not hasattr(thing, n))
        hint = f" (it has draw, but a task also needs {', '.join(missing)})" if missing else ""
        raise SettingError("register", name, f"one of {kinds}{hint}")
    _refuse_fields(thing, name)
    _refuse_taken_settings(thing)
    registry = found[0].registry
    try:
        registry.register(thing, source_of_caller(thing, caller))
    except SourceError:
        raise
    except ValueError:
        allowed = f"a name of its own; there is another {registry.kind} with this name"
        raise SettingError("register", name, allowed) from None
    return thing


def _refuse_fields(thing: object, name: str) -> None:
    """Refuse a class with a field that has no default, or does not say what it accepts."""
    without = _without_default(thing) or _without_default(getattr(thing, "options", None))
    if without:
        allowed = f"a class whose fields all have a default; without one: {', '.join(without)}"
        raise SettingError("register", name, allowed)
    if vague := _says_nothing(thing) or _says_nothing(getattr(thing, "options", None)):
        how = "whole, number, flag or choice of rnn_exp.fields"
        allowed = (
            f"a class whose fields say what they accept, by {how}; {', '.join(vague)} does not"
        )
        raise SettingError("register", name, allowed)


def _refuse_taken_settings(thing: object) -> None:
    """Refuse a part with a setting whose name is taken among its neighbours.

    Cells may share one, and so may optimisers: a run has one of each.
    """
    own, neighbours = getattr(thing, "options", None), list[Any]()
    group: type = Training
    penalties = [one for one in OWN_PENALTIES.values() if one.name != getattr(thing, "name", "")]
    if isinstance(thing, CellKind):
        group = Network
    elif isinstance(thing, Optimizer):
        neighbours = penalties
    elif isinstance(thing, type) and issubclass(thing, OwnPenalty):
        own, neighbours = thing, [*penalties, *(one.options for one in OPTIMIZERS.values())]
    else:
        return
    taken = {field.name for kind in (group, *neighbours) for field in _fields_of(kind)}
    for field in _fields_of(own):
        if field.name in taken:
            taken_key = f"{group.__name__.lower()}.{field.name}"
            allowed = f"another name: there is a setting {taken_key} already"
            raise SettingError("register", field.name, allowed)


def _fields_of(thing: object) -> Sequence["dataclasses.Field[Any]"]:
    """Return the fields of a dataclass that is a class; none of anything else."""
    is_class = isinstance(thing, type) and dataclasses.is_dataclass(thing)
    return dataclasses.fields(thing) if is_class else ()  # type: ignore[arg-type]


def _says_nothing(thing: object) -> list[str]:
    """Return the fields of a class that do not say what they accept: any value would do."""
    return [field.name for field in _fields_of(thing) if allowed_of(field) is None]


def _without_default(thing: object) -> list[str]:
    nothing = dataclasses.MISSING
    return [
        field.name
        for field in _fields_of(thing)
        if field.default is nothing and field.default_factory is nothing
    ]
