"""Settings that one command line has twice, and settings that it would leave out.

Hydra lets the last of several words win, and gives a setting that is deleted (``~key``) its default
again. Whoever typed that meant something else, so both are refused before Hydra has the words.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rnn_exp._hydra.grammar import bare_key
from rnn_exp.fields import allowed_of

__all__ = ["deleted", "repeated"]

_USE: Final = "use"
_ONCE: Final = ("study", _USE, "objective", "page", "tracking", "hydra", "note", "tags")
"""What is one for a whole sweep; of other settings two words may have been meant as two values."""


def repeated(words: Sequence[str]) -> str | None:
    """Return the refusal of the first setting that is typed twice; None: there is none.

    A dictionary counts as the settings that it holds, so that one for a group
    (``init={gain: 2}``) may stand beside the group's choice.

    Args:
        words: settings of a command line.

    Example:
        >>> repeated(["seed=0", "task.length=10", "+seed=1,2"])
        'seed is typed twice: seed=0 and +seed=1,2; write seed=0,1,2 with -m, or leave one out'
        >>> repeated(["init=gaussian", "init={gain: 2}", "seed=1"])
    """
    typed: dict[str, list[str]] = {}
    for word in words:
        for key in dict.fromkeys(_keys(word)):
            typed.setdefault(key, []).append(word)
    return next((_twice(key, several) for key, several in typed.items() if len(several) > 1), None)


def _keys(word: str) -> Iterator[str]:
    """Yield the settings that a word gives values to: several, if it is a dictionary."""
    key, _, value = word.partition("=")
    content: object = None
    if value.startswith("{"):
        with suppress(HydraException, RecursionError):  # Hydra refuses it, or the line of a slip
            content = OverridesParser.create().parse_override(word).value()
    yield from _below(bare_key(key), content)


def _below(key: str, content: object) -> Iterator[str]:
    if not isinstance(content, Mapping) or not content:
        yield key
        return
    for name, value in content.items():
        yield from _below(f"{key}.{name}", value)


def _twice(key: str, several: Sequence[str]) -> str:
    """Return the refusal of a setting that several words have."""
    *before, last = several
    often = "twice" if len(several) == 2 else f"{len(several)} times"
    mend = "leave one out" if len(several) == 2 else "leave all but one out"
    if together := _together(key, several):
        mend = f"write {together}, or {mend}"
    return f"{key} is typed {often}: {', '.join(before)} and {last}; {mend}"


def _together(key: str, several: Iterable[str]) -> str:
    """Return the one word that has the values of several; empty: they are none of a sweep."""
    typed = [word.partition("=")[2] for word in several]
    if key == _USE:
        typed = [value.removeprefix("[").removesuffix("]") for value in typed]
    values = list(dict.fromkeys(",".join(typed).split(",")))
    is_plain = all(value and not set(value) & set("[]{}()'\"") for value in values)
    if not is_plain or len(values) < 2:
        return ""
    if key == _USE:
        return f"use=[{','.join(values)}]"
    is_one = key.partition(".")[0].partition("/")[0] in _ONCE
    return "" if is_one else f"{key}={','.join(values)} with -m"


def deleted(word: str) -> str | None:
    """Return the refusal of a word that leaves a setting out; None: it is none, or it is Hydra's.

    Of Hydra's own settings some are lists and groups that may be left out, such as the axis of a
    study's grid: ``~hydra.sweeper.params.seed``.

    Example:
        >>> deleted("~hydra.sweeper.params.seed"), deleted("seed=1")
        (None, None)
    """
    key = bare_key(word)
    if not word.startswith("~") or key.partition(".")[0].partition("/")[0] == "hydra":
        return None
    from rnn_exp.training.keys import groups, plain_fields

    group, dot, name = key.partition(".")
    if not dot and key not in {*groups(), *plain_fields(), *_ONCE}:
        return f"{word}: there is no such setting, and none can be left out"
    what = "a group of settings" if key in (*groups(), "page") else "a setting"
    mend = f", or write {key}=null" if _allows_null(group, name or key) else ""
    return (
        f"{word}: {what} cannot be left out; without a word it has its default, or what the "
        f"study says{mend}"
    )


def _allows_null(group: str, name: str) -> bool:
    """Whether null is a value of a setting: of one choice of its group at least."""
    from rnn_exp.training.keys import groups, plain_fields

    if group == _USE or (group == "page" != name):
        return True
    kinds = groups().get(group, {}).values()
    fields = [field for kind in kinds for field in dataclasses.fields(kind)]
    fields += plain_fields().values() if group == name else ()
    allowed = [allowed_of(field) for field in fields if field.name == name]
    return any(each is not None and each.test(None) for each in allowed)
