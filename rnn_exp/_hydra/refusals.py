"""Refusals: what Hydra, OmegaConf, YAML, the operating system or a cluster raises, as one line.

Whoever refuses a command, before or after Hydra has it, calls `refuse`; the words are made here.
"""

import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml
from hydra.errors import (
    CompactHydraException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from rnn_exp import program
from rnn_exp._hydra.brackets import left_open
from rnn_exp._hydra.command_line import (
    TEXTS,
    CommandLineError,
    can_be_read,
    likely_word,
    quoted,
    separate_words,
)
from rnn_exp._hydra.files_here import file_here
from rnn_exp.fields import SettingError, suggestion
from rnn_exp.registry import SourceError
from rnn_exp.words import from_here

__all__ = ["GO_ON", "WITH_TRACEBACK", "RunError", "line_of", "refuse"]

GO_ON: Final = "the same command goes on from there"
"""What is said to whoever stops a run or a sweep."""
WITH_TRACEBACK: ContextVar[bool] = ContextVar(
    "whether a refusal shows its traceback", default=False
)
"""Set by ``HYDRA_FULL_ERROR=1`` in the environment."""

# Hydra's plugins that a sweep can use, and what installs them.
_PLUGINS: Final = {
    ("hydra/sweeper", "optuna"): "rnn-exp[optuna]",
    ("hydra/launcher", "submitit_local"): "hydra-submitit-launcher",
    ("hydra/launcher", "submitit_slurm"): "hydra-submitit-launcher",
}
_HYDRAS_MANUAL: Final = "\nSee https://hydra.cc"
_DETAILS: Final = "\n    full_key:"


class RunError(RuntimeError):
    """A run has failed; its folder has the log."""


def refuse(error: BaseException) -> NoReturn:
    """Leave with the line of an error and exit code 1.

    Hydra makes warnings of what a callback raises, but lets this pass.

    Raises:
        SystemExit: always.
    """
    if WITH_TRACEBACK.get():
        traceback.print_exception(error)
    program.leave("rnn-exp", line_of(error))


def line_of(error: BaseException) -> str:
    """Return one line that says what came and, where it is known, what to write in its place."""
    chain = list(_causes(error))
    for kind, words in _WORDS.items():
        for cause in chain:
            if isinstance(cause, kind) and (line := words(cause)):
                return program.one_line(line)
    for cause in chain:
        if isinstance(cause, (OSError, RecursionError, MemoryError)):
            return program.line_of(cause)
    if isinstance(error, (HydraException, OmegaConfBaseException)) and _plain(error).strip():
        return program.one_line(_plain(error))
    if str(error) and _is_raised_by_hydra(error):
        if isinstance(error, (ValueError, RuntimeError)):
            return program.one_line(_plain(error))
        return program.one_line(f"this is no configuration that Hydra can compose: {error}")
    return program.line_of(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, the outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _is_raised_by_hydra(error: BaseException) -> bool:
    """Whether code of Hydra or OmegaConf raised a plain error: it speaks of the configuration."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and bool({"hydra", "omegaconf"} & {*Path(frames[-1].filename).parts})


def _plain(error: BaseException) -> str:
    """Return the message of an error of Hydra or OmegaConf without its remarks."""
    text = str(error).partition(_HYDRAS_MANUAL)[0].partition(_DETAILS)[0]
    key = getattr(error, "full_key", None)
    return f"{key}: {text}" if key and str(key) not in text else text


def _unparsable(error: OverrideParseException) -> str:
    colon = re.fullmatch(
        r"([^=]+)=(range|interval|choice|logspace)\(([^()]*:[^()]*)\)", error.override
    )
    if colon:
        return f"{error.override}: write {colon[1]}={colon[2]}({colon[3].replace(':', ',')})"
    key, _, value = error.override.partition("=")
    function = re.fullmatch(r"([A-Za-z_]\w*)\(.*\)", value)
    if function and f"Unknown function '{function[1]}'" in str(error):
        return (
            f"{_short(error.override)}: there is no {function[1]}; several values are "
            f"{key}=1,2, range(start,stop,step), logspace(first,last,count) or glob(pattern)"
        )
    if re.fullmatch(r"[\w.+-]*(,[\w.+-]*)+", value) and "" in value.split(","):
        return f"{_short(error.override)}: a value is missing between commas; write {key}=1,2"
    if open_at_the_end := _left_open(key, value):
        return f"{_short(error.override)}: {open_at_the_end}"
    words = separate_words(error.override)
    if len(words) > 1:
        return f"{_short(error.override)}: settings are separate words: {_short(' '.join(words))}"
    word = quoted(error.override)
    if word is None:
        return f"{_short(error.override)}: this is not key=value as Hydra reads it"
    return (
        f"{_short(error.override)}: a value with such signs must be quoted, and the quotes quoted "
        f"for the shell: {word}"
    )


def _left_open(key: str, value: str) -> str:
    """Return what is said of a value whose quote or bracket at its beginning is not closed."""
    signs = left_open(value)
    if not signs or value[0] not in "\"'[{(":
        return ""
    closed = "".join({"[": "]", "{": "}", "(": ")"}.get(sign, sign) for sign in reversed(signs))
    better = f'{key}="{value[1:]}"' if signs == "'" else f"{key}={value}{closed}"
    mend = f"; write {shlex.quote(better)}" if can_be_read(better) else ""
    return f"the {signs[-1]} is not closed{mend}"


def _unknown_choice(error: MissingConfigException) -> str:
    name = str(error.missing_cfg_file)
    if name in _option_values("--config-name", "-cn"):
        return f"--config-name {name}: there is no such file in the folders of configurations"
    if not error.options:
        return _plain(error).partition("\n")[0]
    group, _, name = name.partition("//") if "//" in name else name.rpartition("/")
    options = sorted(error.options)
    if (group, name) in _PLUGINS:
        bring = f"pip install '{_PLUGINS[group, name]}'"
        return f"{group}={name} is not installed: {bring} brings it"
    hint = file_here(name, group) or suggestion(name, options)
    looked = [Path(each, group, f"{name}.yaml") for each in _option_values("--config-dir", "-cd")]
    none = "".join(f"; there is no {file}" for file in looked)
    return f"{group}={name} is not there: allowed is one of {', '.join(options)}{hint}{none}"


def _not_allowed(error: SettingError) -> str:
    """Return what is said of a value, and where a file of its name is, if it is no choice."""
    said = str(error)
    is_choice = error.allowed.startswith("one of ")
    return f"{said}{file_here(error.value)}" if is_choice and "(did you" not in said else said


def _option_values(*options: str) -> list[str]:
    """Return the values that the command line gives to an option."""
    words = sys.argv[1:]
    after = [word for before, word in pairwise(words) if before in options]
    joined = (word.partition("=") for word in words if "=" in word)
    return [*after, *(value for option, _, value in joined if option in options)]


def _unknown_key(error: OmegaConfBaseException) -> str:
    if error.key is None:
        return ""
    key, parent = str(error.full_key or error.key), error.parent_node
    if not isinstance(parent, DictConfig):
        return _plain(error)
    name = key.rpartition(".")[2]
    options = sorted(str(option) for option in parent if option != "hydra")
    prefix = key.removesuffix(name)
    typed = next((word for word in sys.argv[1:] if word.lstrip("+~").startswith(key)), key)
    of_part = file_here(name) if prefix == "training." else ""  # a penalty of one's own
    hint = of_part or suggestion(name, options, prefix) or likely_word(typed)
    allowed = f"; allowed is one of {', '.join(f'{prefix}{o}' for o in options)}" if options else ""
    return f"{_short(typed)}: there is no such setting{allowed}{hint}"


def _not_merged(error: CompactHydraException) -> str:
    """Return what is said of a sweep without ``-m``, and of a value that has no place."""
    text = str(error)
    found = re.match(r"Ambiguous value for argument '(.*)'", text) or re.match(
        r"Sweep parameters '(.*)' requires --multirun", text
    )
    if found and "=interval(" in found[1]:
        return f"{_short(found[1])}: an interval is for a search: rnn-exp -m hydra/sweeper=optuna …"
    if found and (mend := _as_one_text(found[1])):
        return f"{_short(found[1])}: {mend}"
    if found:
        return f"{_short(found[1])}: several values are a sweep, which needs -m: rnn-exp -m …"
    composed = re.match(r"In '(.*?)': \w+ raised while composing config:\s*(.*)", text, re.DOTALL)
    if composed:
        return f"{composed[1]}: {composed[2].partition(_DETAILS)[0]}"
    merged = re.match(r"Error merging override (.*)", text, re.DOTALL)
    if merged and error.__cause__ is not None:
        why = _plain(error.__cause__).partition("\n")[0]
        return f"{_short(merged[1])} is not possible: {why}"
    return ""


def _as_one_text(word: str) -> str:
    """Return how a text with commas is typed; empty: several values were meant."""
    key, _, value = word.partition("=")
    name = key.lstrip("+")
    if name == "tags":
        return f"several words are a list: {shlex.quote(f'{key}=[{value}]')}"
    text = quoted(word) if name in TEXTS or name.endswith(("dir", "path")) else None
    return f"a text with a comma is quoted, and its quotes once more: {text}" if text else ""


def _not_made(error: InstantiationException) -> str:
    """Return what is said of a launcher, sweeper or callback that cannot be made."""
    place = re.search(r"full_key: (\S+)", str(error))
    key = place[1] if place else "hydra"
    unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
    if unknown:
        return f"{key}.{unknown[1]}: there is no such setting"
    text = _plain(error).partition(", set env var HYDRA_FULL_ERROR")[0]
    return f"{key} cannot be made: {text}"


def _broken_yaml(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, problem = error.problem_mark, error.problem or "no YAML"
        where = f"{from_here(Path(mark.name))}, line {mark.line + 1}, column {mark.column + 1}"
        hint = " (indent with spaces, not with tabs)" if "'\\t'" in problem else ""
        return f"{where}: {problem}{hint}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{from_here(Path(error.name))}: a sign that YAML does not allow: {error.reason}"
    return str(error)


def _short(word: str) -> str:
    return word if len(word) <= 100 else f"{word[:60]}… ({len(word)} letters)"


# In the order in which the causes are asked: the first that has a line is taken.
_WORDS: Final[dict[type[BaseException], Callable[[Any], str]]] = {
    SourceError: str,  # before what it comes from: it knows the line
    SettingError: _not_allowed,
    CommandLineError: str,
    RunError: str,
    yaml.YAMLError: _broken_yaml,
    OverrideParseException: _unparsable,
    MissingConfigException: _unknown_choice,
    ConfigKeyError: _unknown_key,
    ConfigAttributeError: _unknown_key,
    InstantiationException: _not_made,
    CompactHydraException: _not_merged,
}
