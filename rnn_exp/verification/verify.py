"""Which parts are checked: those that are named, those of a file, or all that are built in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rnn_exp import figures
from rnn_exp.fields import SettingError, choice_error
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS, CellKind, Network
from rnn_exp.registry import Registry, load_plugins, use_files, why_of
from rnn_exp.sweeps import process
from rnn_exp.tasks import TASKS
from rnn_exp.tasks.files import FileTask
from rnn_exp.training.attempts import PartError, try_activation, try_cell, try_penalty, try_task
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.own_penalties import OWN_PENALTIES
from rnn_exp.verification.figures import check_figure
from rnn_exp.verification.finding import Finding, truth
from rnn_exp.verification.networks import check_activation, check_kind
from rnn_exp.verification.optimizers import check_optimizer
from rnn_exp.verification.recorder import RECORDED, check_recorder
from rnn_exp.verification.tasks import check_task
from rnn_exp.verification.weights import check_init, check_penalties

__all__ = ["verify"]


class _Kind(NamedTuple):
    """A registry, what checks one of its things, and the small call that is made before."""

    registry: Registry[Any]
    check: Callable[[str, Any], Iterator[Finding]]
    attempt: Callable[[Any], None] = lambda thing: None


_UNITS: Final = 6
_INPUTS: Final = 2


def _network_of(kind: CellKind) -> Network:
    """Return a small network with a cell."""
    leak = 0.4 if kind.has_leak else None
    return Network(kind.only_activation or "tanh", _UNITS, cell=kind.name, leak=leak)


_KINDS: Final = {
    "task": _Kind(
        TASKS, lambda part, kind: check_task(part, kind()), lambda kind: try_task(kind())
    ),
    "init": _Kind(INITS, lambda part, kind: check_init(part, kind())),
    "network.activation": _Kind(
        ACTIVATIONS, check_activation, lambda phi: try_activation(Network(phi.name, _UNITS))
    ),
    "network.cell": _Kind(CELLS, check_kind, lambda kind: try_cell(_network_of(kind), _INPUTS)),
    "training.optimizer": _Kind(OPTIMIZERS, check_optimizer),
    "penalty": _Kind(
        OWN_PENALTIES,
        lambda part, kind: check_penalties(part, kind()),
        lambda kind: try_penalty(kind(), Network(hidden_size=_UNITS)),
    ),
    "figure": _Kind(figures.OWN, check_figure),
    "recorder": _Kind(RECORDED, check_recorder),
}


def verify(
    words: Sequence[str] = (),
    use: Iterable[str | Path] = (),
    folders: Sequence[Path] = (),
) -> Iterator[Finding]:
    """Check parts against slow, obvious computations, in a process settled as for training.

    Args:
        words: what to check, such as ``task=mine``; empty: all that the files register, or, without
            files, all that is built in.
        use: files to run before.
        folders: where these are looked for, after the current folder.

    Yields:
        What was compared, part by part.

    Raises:
        SettingError: for a word that names nothing that can be checked.
        ValueError: for one that is not written key=name.

    Example:
        >>> all(finding.holds for finding in verify(["task=adding"]))
        True
    """
    load_plugins()
    sources = use_files(map(str, use), folders)
    asked = list(words or _words(sources))
    for word, (kind, name) in zip(asked, [*map(_meant, asked)], strict=True):
        with process.settled():
            found = list(_found(word, kind, name))
        yield from found


def _meant(word: str) -> tuple[_Kind, str]:
    """Return the kind of part that a word means, and the part's name.

    Raises:
        SettingError: if it means none.
        ValueError: if it is not written key=name.
    """
    key, is_choice, name = word.partition("=")
    if not is_choice:
        ways = ", ".join(f"{key}=NAME" for key in _KINDS)
        meant = [f"{key}={word}" for key, kind in _KINDS.items() if word in kind.registry]
        hint = f" (did you mean {' or '.join(meant)}?)" if meant else ""
        raise ValueError(f"{word}: what to check is written use=[mine.py], or one of {ways}{hint}")
    if key not in _KINDS:
        raise choice_error(key, name, list(_KINDS), typed=key)
    if name not in _KINDS[key].registry:
        raise choice_error(key, name, list(_KINDS[key].registry))
    return _KINDS[key], name


def _found(word: str, kind: _Kind, name: str) -> Iterator[Finding]:
    """Yield what is found of a part; also that it does not do what it must, or raises an error."""
    try:
        kind.attempt(kind.registry[name])
        yield from kind.check(word, kind.registry[name])
    except PartError as wrong:
        yield truth(word, f"it is one {wrong}", False)
    except SettingError:
        raise
    except Exception as error:
        source = kind.registry.source_of(name)
        if source is None:
            raise
        yield truth(word, f"it can be computed: {source.name}, {why_of(error, source)}", False)


def _words(sources: Sequence[object]) -> list[str]:
    """Return the words of all parts of some sources; without any, of all that are built in."""
    found = []
    for key, kind in _KINDS.items():
        for name in kind.registry:
            source = kind.registry.source_of(name)
            thing = kind.registry[name]
            if isinstance(thing, type) and issubclass(thing, FileTask):
                continue  # nothing can be said of it without its user's file
            if source in sources if sources else source is None:
                found.append(f"{key}={name}")
    if sources and not found:
        allowed = f"a file with something that can be checked: {', '.join(_KINDS)}"
        raise SettingError("use", ", ".join(map(str, sources)), allowed)
    return found
