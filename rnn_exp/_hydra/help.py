"""Help made from the code: the columns of the tables, all settings, the values to complete.

Every list comes from `rnn_exp.schema`, the dataclasses and the registries, so none is written by
hand. The functions print nothing; `rnn_exp.app` does, before Hydra is imported.
"""

import dataclasses
import os
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnn_exp import schema
from rnn_exp._hydra.besides import PAGE
from rnn_exp.fields import allowed_of, as_typed
from rnn_exp.recordings.trackers import Tracking
from rnn_exp.registry import files_in, folders_in, load_plugins, use_files
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.study import StudyPage
from rnn_exp.words import versions_line

__all__ = ["catalogue", "choices", "completions", "help_lines", "settings_lines"]

_WIDTH = 100
_LAUNCHER = "hydra.launcher"
_NOT_OF_A_RUN: tuple[type, ...] = (Objective, Tracking)


def help_lines(words: Sequence[str]) -> list[str] | None:
    """Return the lines that answer a command line without Hydra, or None if Hydra is needed.

    Args:
        words: the command line without the program's name. ``--columns``, ``--settings`` and
            ``--version`` are answered, and shell completion (``-sc query=…``) of a value that has
            choices.
    """
    asks = {"--settings", "-sc", "--shell-completion"} & set(words)
    if asks:
        load_plugins()
        every = [*words, *_words_of(os.environ.get("COMP_LINE", ""))]
        use_files(files_in(every), folders_in(every))
    if "--columns" in words:
        return list(schema.column_lines())
    if "--settings" in words:
        return list(settings_lines())
    if "--version" in words:
        return [versions_line()]
    if {"-sc", "--shell-completion"} & set(words) and any(w.startswith("query=") for w in words):
        return completions(os.environ.get("COMP_LINE", ""))
    return None


def _words_of(line: str) -> list[str]:
    """Return the words of a shell's line; a quote may still be open where it is being typed."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def settings_lines() -> Iterator[str]:
    """Yield the lines of a text that lists every setting of a run.

    A setting has its key, its default, what is allowed and, if the dataclass documents it, what it
    means.
    """
    from rnn_exp.training.keys import groups, plain_fields
    from rnn_exp.training.origins import own_kinds
    from rnn_exp.training.run import Run

    yield "Every setting of a run: its key, its default, what is allowed."
    yield ""
    yield from _field_lines(Run, plain_fields())
    for kind in _NOT_OF_A_RUN:
        yield from _field_lines(kind, _fields(kind))
    page = {f"{PAGE}.{name}": field for name, field in _fields(StudyPage).items()}
    yield from _field_lines(StudyPage, page)
    for group, kinds in groups().items():
        for name, kind in kinds.items():
            yield ""
            title = f"{group}={name}" if name else group
            yield from _wrapped(f"{title}: {_summary(kind)}", 0)
            fields = dataclasses.fields(kind)
            plain = {f"{group}.{field.name}": field for field in fields if field.name != "more"}
            yield from _field_lines(kind, plain)
        for name, kind in own_kinds(group).items():
            yield ""
            yield from _wrapped(f"{group}, {name}: {_summary(kind)}", 0)
            fields = dataclasses.fields(kind)
            yield from _field_lines(kind, {f"{group}.{field.name}": field for field in fields})


def completions(line: str) -> list[str] | None:
    """Return the words that complete the last word of a command line, if it is ``key=``.

    Args:
        line: the command line up to the cursor, as the shell has it.

    Returns:
        Words such as ``network.activation=tanh``; None if the key has no choices.
    """
    words = line.split()
    if line != line.rstrip() or not words or "=" not in words[-1]:
        return None
    key, _, typed = words[-1].partition("=")
    options = choices(key.lstrip("+"), words[:-1])
    if options is None:
        return None
    before, comma, begun = typed.rpartition(",")  # a sweep has several values
    return [f"{key}={before}{comma}{each}" for each in options if each.startswith(begun)]


def choices(key: str, words: Iterable[str] = ()) -> list[str] | None:
    """Return the words that a setting can be, or None if it is not a choice of words.

    Args:
        key: the setting's key, ``network.activation``.
        words: other words of the command line; with ``task=copy`` only this task is asked.
    """
    group, _, name = key.rpartition(".")
    kinds: Mapping[str, type] = {}
    beside = [kind for kind in _NOT_OF_A_RUN if key in _fields(kind)]
    if beside:
        kinds = {"": beside[0]}
    elif group == _LAUNCHER:
        from rnn_exp.sweeps.pool import Pool

        kinds = {"": Pool}
    elif group:
        from rnn_exp.training.keys import groups
        from rnn_exp.training.origins import own_kinds

        kinds = {**groups().get(group, {}), **own_kinds(group)}
    chosen = {word.partition("=")[2] for word in words if word.startswith(f"{group}=")}
    allowed = [
        allowed_of(field)
        for kind_name, kind in kinds.items()
        if kind_name in chosen or not chosen & set(kinds)
        for field in dataclasses.fields(kind)
        if field.name == name
    ]
    options = [option for each in allowed if each is not None for option in each.options or ()]
    return list(dict.fromkeys(options)) or None


def catalogue() -> dict[str, dict[str, list[str]]]:
    """Return the words that each setting can be, by the choice of its group: `quick.CATALOGUE`."""
    from rnn_exp.sweeps.pool import Pool
    from rnn_exp.training.keys import groups

    beside = {kind.__name__: kind for kind in _NOT_OF_A_RUN}
    every: dict[str, Mapping[str, type]] = {"": beside, _LAUNCHER: {"": Pool}, **groups()}
    found: dict[str, dict[str, list[str]]] = {}
    for group, kinds in every.items():
        for name, kind in kinds.items():
            for field in dataclasses.fields(kind):
                allowed = allowed_of(field)
                if allowed is not None and allowed.options:
                    key = f"{group}.{field.name}" if group else field.name
                    found.setdefault(key, {})[name] = list(allowed.options)
    return found


def _fields(kind: type) -> dict[str, "dataclasses.Field[Any]"]:
    """Return the field of a setting that is none of a run, under its key."""
    return {field.name: field for field in dataclasses.fields(kind)}


def _field_lines(kind: type, fields: Mapping[str, "dataclasses.Field[Any]"]) -> Iterator[str]:
    """Yield the lines of fields that are given under their keys."""
    from rnn_exp.training.keys import meaning

    defaults = {key: as_typed(field.default) for key, field in fields.items()}
    for key, field in fields.items():
        allowed = allowed_of(field)
        line = f"  {key:26}  {defaults[key]:10}  {allowed.words if allowed else ''}"
        yield from textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 30)
        meant = meaning(kind, field.name)
        if meant:
            yield from _wrapped(meant, 6)


def _summary(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return (kind.__doc__ or "").partition("\n")[0].replace("``", "")


def _wrapped(text: str, indent: int) -> list[str]:
    """Return a text as lines that fit the width."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * max(indent, 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
