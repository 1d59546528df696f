"""Which parts are checked: those that are named, those of a file, or all that are built in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from rnn_exp.fields import SettingError, choice_error
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS
from rnn_exp.registry import Registry, load_plugins, use_files
from rnn_exp.sweeps import process
from rnn_exp.tasks import TASKS
from rnn_exp.tasks.files import FileTask
from rnn_exp.training.own_penalties import OWN_PENALTIES
from rnn_exp.verification.finding import Finding
from rnn_exp.verification.networks import check_activation, check_kind
from rnn_exp.verification.tasks import check_task
from rnn_exp.verification.weights import check_init, check_penalty

__all__ = ["verify"]


class _Kind(NamedTuple):
    """A registry, how one of its things is made, and what checks it."""

    registry: Registry[Any]
    check: Callable[[str, Any], Iterator[Finding]]


_KINDS: Final = {
    "task": _Kind(TASKS, lambda part, kind: check_task(part, kind())),
    "init": _Kind(INITS, lambda part, kind: check_init(part, kind())),
    "network.activation": _Kind(ACTIVATIONS, check_activation),
    "network.cell": _Kind(CELLS, check_kind),
    "penalty": _Kind(OWN_PENALTIES, lambda part, kind: check_penalty(part, kind())),
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

    Example:
        >>> all(finding.holds for finding in verify(["task=adding"]))
        True
    """
    load_plugins()
    sources = use_files(map(str, use), folders)
    for word in words or _words(sources):
        key, _, name = word.partition("=")
        if key not in _KINDS:
            raise choice_error(key, name, list(_KINDS), typed=key)
        kind = _KINDS[key]
        if name not in kind.registry:
            raise choice_error(key, name, list(kind.registry))
        with process.settled():
            found = list(kind.check(word, kind.registry[name]))
        yield from found


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
