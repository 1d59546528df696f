"""Which parts are checked: those that are named, those of a file, or all that are built in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rnn_exp import figures
from rnn_exp.fields import SettingError, choice_error
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS
from rnn_exp.registry import Registry, load_plugins, use, why_of
from rnn_exp.tasks import TASKS
from rnn_exp.tasks.files import FileTask
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.own_penalties import OWN_PENALTIES
from rnn_exp.training.trials import Wrong, try_task
from rnn_exp.verification.figures import check_figure
from rnn_exp.verification.finding import Finding, truth
from rnn_exp.verification.networks import check_activation, check_kind
from rnn_exp.verification.optimizers import check_optimizer
from rnn_exp.verification.tasks import check_task
from rnn_exp.verification.weights import check_init, check_penalties

__all__ = ["verify"]


class _Kind(NamedTuple):
    """A registry, how one of its things is made, and what checks it."""

    registry: Registry[Any]
    check: Callable[[str, Any], Iterator[Finding]]


def _tried_task(part: str, kind: Any) -> Iterator[Finding]:  # noqa: ANN401 - the class of a task
    task = kind()
    try_task(task.name, task)
    yield from check_task(part, task)


_KINDS: Final = {
    "task": _Kind(TASKS, _tried_task),
    "init": _Kind(INITS, lambda part, kind: check_init(part, kind())),
    "network.activation": _Kind(ACTIVATIONS, check_activation),
    "network.cell": _Kind(CELLS, check_kind),
    "training.optimizer": _Kind(OPTIMIZERS, check_optimizer),
    "penalty": _Kind(OWN_PENALTIES, lambda part, kind: check_penalties(part, kind())),
    "figure": _Kind(figures.OWN, check_figure),
}


def verify(
    words: Sequence[str] = (),
    use: Iterable[str | Path] = (),
) -> Iterator[Finding]:
    """Check parts against slow, obvious computations.

    Args:
        words: what to check, such as ``task=mine``; empty: all that the files register, or, without
            files, all that is built in.
        use: files to run before.

    Yields:
        What was compared, part by part.

    Raises:
        SettingError: for a word that names nothing that can be checked.

    Example:
        >>> all(finding.holds for finding in verify(["task=adding"]))
        True
    """
    load_plugins()
    sources = [_use(path) for path in use]
    for word in words or _words(sources):
        key, is_choice, name = word.partition("=")
        if not is_choice:
            ways = ", ".join(f"{key}=NAME" for key in _KINDS)
            raise SettingError("word", word, f"use=[mine.py], or one of {ways}")
        if key not in _KINDS:
            raise choice_error(key, name, list(_KINDS), typed=key)
        kind = _KINDS[key]
        if name not in kind.registry:
            raise choice_error(key, name, list(kind.registry))
        yield from _found(word, kind, name)


_use = use


def _found(word: str, kind: _Kind, name: str) -> Iterator[Finding]:
    """Yield what is found of a part; also that it does not do what it must, or raises an error."""
    try:
        yield from kind.check(word, kind.registry[name])
    except Wrong as wrong:
        yield truth(word, f"it is one {wrong}", False)
    except SettingError:
        raise
    except Exception as error:
        source = kind.registry.source_of(name)
        if source is None:
            raise
        yield truth(word, f"it can be computed: {source.name}, {why_of(error, source)}", False)


def _words(sources: Sequence[object]) -> list[str]:
    """Return the words of all parts that come from some sources; of none: of all that is ours."""
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
