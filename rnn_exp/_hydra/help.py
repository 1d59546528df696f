"""Help made from the code: the columns of the tables, all settings, the values to complete.

Every list comes from `rnn_exp.schema`, the dataclasses and the registries, so none is written by
hand. The functions print nothing; `rnn_exp.app` does, before Hydra is imported.
"""

import dataclasses
import difflib
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rnn_exp import schema
from rnn_exp.fields import allowed_of, as_typed
from rnn_exp.registry import load_plugins, use
from rnn_exp.storage.objective import Objective
from rnn_exp.words import versions_line

__all__ = ["choices", "completions", "help_lines", "keys_like", "settings_lines"]

_WIDTH = 100
_LAUNCHER = "hydra.launcher"
_FEW = 3
_NEAR = 0.75
# What papers and other programs call a setting, where its own documentation has no symbol for it.
_OTHER_NAMES = {"length": ("T",), "updates": ("epochs", "iterations")}


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
        for path in _files_used([*words, *os.environ.get("COMP_LINE", "").split()]):
            use(path)
    if "--columns" in words:
        return list(schema.column_lines())
    if "--settings" in words:
        return list(settings_lines())
    if "--version" in words:
        return [versions_line()]
    if {"-sc", "--shell-completion"} & set(words) and any(w.startswith("query=") for w in words):
        return completions(os.environ.get("COMP_LINE", ""))
    return None


def _files_used(words: Iterable[str]) -> list[str]:
    """Return the files that the words ``use=[mine.py,other.py]`` ask for, without Hydra."""
    lists = [word.removeprefix("use=").strip("[]'\"") for word in words if word.startswith("use=")]
    return [path.strip("'\" ") for each in lists for path in each.split(",") if path]


def settings_lines() -> Iterator[str]:
    """Yield the lines of a text that lists every setting of a run.

    A setting has its key, its default, what is allowed and, if the dataclass documents it, what it
    means.
    """
    from rnn_exp.training.origins import own_kinds
    from rnn_exp.training.run import Run

    yield "Every setting of a run: its key, its default, what is allowed."
    yield ""
    plain = {field.name: field for field in dataclasses.fields(Run) if _is_plain(field)}
    yield from _field_lines(Run, plain)
    yield from _field_lines(Objective, _objective())
    for group, kinds in _groups().items():
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
    if key in _objective():
        kinds = {"": Objective}
    elif group == _LAUNCHER:
        from rnn_exp.sweeps.pool import Pool

        kinds = {"": Pool}
    elif group:
        kinds = _groups().get(group, {})
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


def _objective() -> dict[str, "dataclasses.Field[Any]"]:
    """Return the field of a setting that is none of a run, under its key."""
    return {field.name: field for field in dataclasses.fields(Objective)}


def keys_like(name: str) -> list[str]:
    """Return the settings that a name may mean, if these are few: ``length`` is ``task.length``.

    A setting is meant by its own last name, by its symbol in the documentation, by a word or the
    initials of its name, or by its name with a slip. The first of these that is so counts.

    Args:
        name: what was typed in the place of a key.
    """
    from rnn_exp.training.run import Run

    plain = [field.name for field in dataclasses.fields(Run) if _is_plain(field)]
    symbols: dict[str, set[str]] = {key: set() for key in plain}
    for group, kinds in _groups().items():
        for kind in kinds.values():
            for field in dataclasses.fields(kind):
                known = symbols.setdefault(f"{group}.{field.name}", set())
                known.add(re.split(r"[ ,.]", _meaning(kind, field.name))[0])
    last, names = name.rpartition(".")[2], {key: key.rpartition(".")[2] for key in symbols}
    near = difflib.get_close_matches(last, set(names.values()), n=1, cutoff=_NEAR)
    rules: tuple[Callable[[str], bool], ...] = (
        lambda key: names[key] == last or name in _OTHER_NAMES.get(names[key], ()),
        lambda key: last in symbols[key],
        lambda key: last in names[key].split("_"),
        lambda key: last == "".join(word[0] for word in names[key].split("_")),
        lambda key: names[key] in near,
    )
    found = ([key for key in symbols if rule(key)] for rule in rules)
    first = next((keys for keys in found if keys), [])
    return first if len(first) <= _FEW else []


def _groups() -> dict[str, Mapping[str, type]]:
    """Return the dataclasses of each group of settings, by the names that choose them.

    A group without a choice has one dataclass, named "". This imports torch.
    """
    from rnn_exp.networks.inits import INITS
    from rnn_exp.tasks import TASKS
    from rnn_exp.training.run import Run

    default = Run()
    groups: dict[str, Mapping[str, type]] = {"task": TASKS, "init": INITS}
    return {
        field.name: groups.get(field.name, {"": type(getattr(default, field.name))})
        for field in dataclasses.fields(Run)
        if not _is_plain(field)
    }


def _is_plain(field: "dataclasses.Field[Any]") -> bool:
    """Whether a field of a run is a setting by itself, and not a group of settings."""
    return field.default is not dataclasses.MISSING


def _field_lines(kind: type, fields: Mapping[str, "dataclasses.Field[Any]"]) -> Iterator[str]:
    """Yield the lines of fields that are given under their keys."""
    defaults = {key: as_typed(field.default) for key, field in fields.items()}
    for key, field in fields.items():
        allowed = allowed_of(field)
        line = f"  {key:26}  {defaults[key]:10}  {allowed.words if allowed else ''}"
        yield from textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 30)
        meaning = _meaning(kind, field.name)
        if meaning:
            yield from _wrapped(meaning, 6)


def _summary(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return (kind.__doc__ or "").partition("\n")[0].replace("``", "")


def _meaning(kind: type, name: str) -> str:
    """Return the sentence about a field in the docstring of its class, or "".

    The docstring has it as ``name``: …, or as a line ``name: …`` of Args or Attributes.
    """
    for owner in kind.__mro__:
        text = " ".join((owner.__doc__ or "").split())
        found = re.search(rf"``{name}``(?:, ``\w+``)*: (.+)", text) or re.search(
            rf"^ +{name}: (.+(?:\n {{9,}}.+)*)", owner.__doc__ or "", re.MULTILINE
        )
        if found:
            rest = " ".join(found[1].split())
            # The sentence ends at a full stop, or where the next field is described.
            sentence = re.split(r"\.(?= [A-Z`(]|$)|[.;,] (?=``\w+``(?:, ``\w+``)*: )", rest)[0]
            return sentence.replace("``", "")
    return ""


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
