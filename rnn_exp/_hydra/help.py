"""Help made from the code: the columns of the tables, all settings, the values to complete.

Every list comes from `rnn_exp.schema`, the dataclasses and the registries, so none is written by
hand. The functions print nothing; `rnn_exp.app` does, before Hydra is imported.
"""

import dataclasses
import os
import shlex
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rnn_exp import schema
from rnn_exp._hydra.described import LAUNCHER, NOT_OF_A_RUN, Setting, chosen_sections, sections
from rnn_exp._hydra.quick import HELP, HELP_WORDS, help_text
from rnn_exp.fields import SettingError, allowed_of
from rnn_exp.registry import files_in, folders_in, load_plugins, use_files
from rnn_exp.words import versions_line

__all__ = ["catalogue", "choices", "completions", "help_lines", "plain_help", "settings_lines"]

_WIDTH = 100
_NARROW = 80  # of --help: a terminal as it opens
_COLUMN = 30  # where what a setting is begins
_MANY = 12  # words of a choice, which are then not shown in --help
_DEFAULTS = {"task": "adding", "init": "gaussian"}


def help_lines(words: Sequence[str]) -> list[str] | None:
    """Return the lines that answer a command line without Hydra, or None if Hydra is needed.

    Args:
        words: the command line without the program's name. A plain ``--help``, ``--columns``,
            ``--settings`` (with the settings that are meant, or none; ``--help WORD`` is the same)
            and ``--version`` are answered, and shell completion (``-sc query=…``) of a value that
            has choices.

    Raises:
        SettingError: if settings are asked for that there are not.
    """
    is_help = list(words) in HELP
    if _asks_of_words(words):
        words = ["--settings" if word in HELP_WORDS else word for word in words]
    if is_help or {"--settings", "-sc", "--shell-completion"} & set(words):
        load_plugins()
        every = [*words, *_words_of(os.environ.get("COMP_LINE", ""))]
        use_files(files_in(every), folders_in(every))
    if is_help:
        return help_text(plain_help())
    for alone, shown in (("--columns", "all columns"), ("--version", "all versions")):
        if alone in words and len(words) > 1:
            others = " ".join(word for word in words if word != alone)
            raise SettingError(alone, others, f"no other word: it shows {shown}")
    if "--columns" in words:
        return list(schema.column_lines())
    if "--settings" in words:
        return list(settings_lines(_asked(words)))
    if "--version" in words:
        return [versions_line()]
    if {"-sc", "--shell-completion"} & set(words) and any(w.startswith("query=") for w in words):
        return completions(os.environ.get("COMP_LINE", ""))
    return None


def _asks_of_words(words: Sequence[str]) -> bool:
    """Whether help is asked for on settings or choices, ``--help optimizer``: words of no run."""
    asked = _asked(words) if HELP_WORDS & set(words) else []
    return bool(asked) and not any("=" in word for word in asked)


def _asked(words: Sequence[str]) -> list[str]:
    """Return the words of a command line that say which settings are asked for."""
    folders = {"-cd", "--config-dir"}
    before = ["", *words[:-1]]
    return [
        word
        for word, last in zip(words, before, strict=True)
        if not word.startswith(("-", "use=")) and last not in folders
    ]


def _words_of(line: str) -> list[str]:
    """Return the words of a shell's line; a quote may still be open where it is being typed."""
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def settings_lines(words: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a text that lists settings: key, default, what is allowed, what it means.

    Args:
        words: which settings, as in `described.chosen_sections`; none: every one.

    Raises:
        SettingError: for a word that means no setting.
    """
    found = chosen_sections(words)
    if not words:
        yield "Every setting of a run: its key, its default, what is allowed."
    for number, section in enumerate(found):
        if number or not words:
            yield ""
        if section.title:
            yield from _wrapped(f"{section.title}: {section.about}", 0)
        for each in section.settings:
            line = f"  {each.key:26}  {each.default:10}  {each.allowed}"
            yield from textwrap.wrap(line, _WIDTH, subsequent_indent=" " * 30)
            if each.meaning:
                yield from _wrapped(each.meaning, 6)


def plain_help() -> str:
    """Return the settings of a run as ``--help`` shows them: `quick.SETTINGS`, made from the code.

    Of tasks and inits the ones that are the default are shown. A line has at most 80 characters.
    """
    lines = list[str]()
    for section in sections():
        group, equals, name = section.title.partition("=")
        if equals and name != _DEFAULTS[group]:
            continue
        if section.title:
            lines += ["", *_wrapped(f"{section.title}: {section.about}", 0, _NARROW)]
        if equals:
            lines += [f"  (another {group} has settings of its own: rnn-exp --settings {group})"]
        for each in section.settings:
            lines += _help_of(each)
    return "\n".join(lines) + "\n"


def _help_of(setting: Setting) -> Iterator[str]:
    """Yield the lines of a setting in two columns: as it is typed, and what it is."""
    typed, allowed = f"  {setting.key}={setting.default}", setting.allowed
    if len(setting.options) > _MANY and setting.key != "study":
        allowed = f"one of {len(setting.options)} words: rnn-exp --settings {setting.key}"
    said = f"{setting.meaning} [{allowed}]" if allowed else setting.meaning
    beside, *below = textwrap.wrap(
        said, _NARROW - _COLUMN, break_long_words=False, break_on_hyphens=False
    )
    if len(typed) > _COLUMN - 2:
        yield typed
        yield " " * _COLUMN + beside
    else:
        yield f"{typed:{_COLUMN}}{beside}"
    yield from (" " * _COLUMN + line for line in below)


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
    beside = [kind for kind in NOT_OF_A_RUN if key in _names(kind)]
    if beside:
        kinds = {"": beside[0]}
    elif group == LAUNCHER:
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

    beside = {kind.__name__: kind for kind in NOT_OF_A_RUN}
    every: dict[str, Mapping[str, type]] = {"": beside, LAUNCHER: {"": Pool}, **groups()}
    found: dict[str, dict[str, list[str]]] = {}
    for group, kinds in every.items():
        for name, kind in kinds.items():
            for field in dataclasses.fields(kind):
                allowed = allowed_of(field)
                if allowed is not None and allowed.options:
                    key = f"{group}.{field.name}" if group else field.name
                    found.setdefault(key, {})[name] = list(allowed.options)
    return found


def _names(kind: type) -> list[str]:
    """Return the keys of settings that are none of a run."""
    return [field.name for field in dataclasses.fields(kind)]


def _wrapped(text: str, indent: int, width: int = _WIDTH) -> list[str]:
    """Return a text as lines that fit the width."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * max(indent, 2),
        break_long_words=False,
        break_on_hyphens=False,
    )
