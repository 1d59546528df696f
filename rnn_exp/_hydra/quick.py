"""Help and completion at once: neither Hydra nor torch is imported.

A plain ``--help`` has its frame and the choices of every group from the files of settings, and what
each setting means and can be from `settings.txt`. Of a command line that is being typed, keys and
choices are completed from the files of settings, and words from `choices.json`. Both files are made
from the dataclasses and registries (scripts/help_files.py). Where own parts or other folders come
in, or Hydra's own settings, all this is left to `help` and to Hydra.
"""

import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rnn_exp.program import conf_folder
from rnn_exp.registry.loading import NO_PLUGINS
from rnn_exp.registry.packages import installed

__all__ = [
    "CATALOGUE",
    "HELP",
    "HELP_WORDS",
    "SETTINGS",
    "choices_of_groups",
    "help_text",
    "quick_lines",
    "settings_of_files",
    "words_of_keys",
]

CATALOGUE: Final = Path(__file__).parent / "choices.json"
"""The words that each setting can be: by key, and by the choice of its group (or "")."""

SETTINGS: Final = Path(__file__).parent / "settings.txt"
"""What ``--help`` says of each setting."""
HELP_WORDS: Final = frozenset({"--help", "-h"})
HELP: Final = (["--help"], ["-h"])
"""The command lines that ask for help alone."""

_COMPLETION: Final = frozenset({"-sc", "--shell-completion"})
_FOOTER: Final = (
    "Powered by Hydra (https://hydra.cc)\nUse --hydra-help to view Hydra specific help\n"
)
# A line with one of these is Hydra's: files and folders of users, studies, and what is no setting.
_NOT_HERE: Final = re.compile(r"use=|study=.*\s|--|-c[dn]\b|hydra[./@]|[\"'\[({+~\\$@]")


def quick_lines(words: Sequence[str], line: str) -> list[str] | None:
    """Return the lines that answer a command line, or None if it takes more.

    Args:
        words: the command line without the program's name.
        line: that which a shell asks to complete, up to the cursor.
    """
    words = list(words)
    completes = len(words) == 2 and words[0] in _COMPLETION and words[1].startswith("query=")
    if not (completes or words in HELP):
        return None
    if os.environ.get(NO_PLUGINS) != "0" and installed():
        return None
    return _completions(line) if completes else help_text(SETTINGS.read_text("utf-8"))


def help_text(settings: str) -> list[str]:
    """Return the lines of ``--help``: its frame, with the choices of all groups and settings.

    Args:
        settings: what is said of each setting.
    """
    own = settings_of_files({})[1]
    said = own["help"]["template"]
    for mark, stands_for in (
        ("${hydra.help.header}", own["help"]["header"]),
        ("${hydra.help.footer}", _FOOTER),
        ("$APP_CONFIG_GROUPS", _choices_text()),
        ("$CONFIG", settings),
    ):
        said = said.replace(mark, stands_for)
    return said.rstrip().splitlines()


def _choices_text() -> str:
    return "".join(
        "\n".join(textwrap.wrap(f"{group}: {', '.join(names)}", 80, subsequent_indent="  ")) + "\n"
        for group, names in choices_of_groups().items()
    )


def _completions(line: str) -> list[str] | None:
    """Return the words that complete the last one of a line; None: Hydra is to say."""
    _, *typed = line.split()
    last = "" if line != line.rstrip() or not typed else typed.pop()
    if _NOT_HERE.search(line):
        return None
    key, is_value, value = last.partition("=")
    groups = choices_of_groups()
    if is_value and key in groups:
        return None if "," in value else _beginning(last, (f"{key}={n}" for n in groups[key]))
    if is_value:
        before, comma, begun = value.rpartition(",")  # a sweep has several values
        found = words_of_keys(key, typed)
        return found and [f"{key}={before}{comma}{n}" for n in found if n.startswith(begun)]
    chosen = dict(word.split("=", 1) for word in typed if word.partition("=")[0] in groups)
    if any(name not in groups[group] for group, name in chosen.items()):
        return None
    return _keys(last, settings_of_files(chosen)[0], list(groups))


def _keys(last: str, settings: Mapping[str, Any], groups: Sequence[str]) -> list[str] | None:
    group, dot, _ = last.rpartition(".")
    if dot:
        inside = settings.get(group)
        if not isinstance(inside, dict):
            return None
        return _beginning(last, (f"{group}.{name}=" for name in sorted(inside)))
    every = [f"{name}." if isinstance(own, dict) else f"{name}=" for name, own in settings.items()]
    every += [f"{name}=" for name in groups] + ["hydra", "hydra."]
    return _beginning(last, sorted(set(every)))


def _beginning(begun: str, words: Any) -> list[str]:  # noqa: ANN401 - any words
    return [word for word in words if word.startswith(begun)]


def words_of_keys(key: str, typed: Sequence[str] = ()) -> list[str] | None:
    """Return the words that a setting can be, as `help.choices` does without own parts.

    Args:
        key: the setting's key, ``network.activation``.
        typed: other words of the command line; with ``task=copy`` only this task is asked.
    """
    of_kinds = json.loads(CATALOGUE.read_text(encoding="utf-8")).get(key)
    if of_kinds is None:
        return None
    group = key.rpartition(".")[0]
    chosen = {word.partition("=")[2] for word in typed if word.startswith(f"{group}=")}
    chosen &= {*choices_of_groups().get(group, ())}
    found = [own for kind, own in of_kinds.items() if not chosen or kind in chosen]
    return list(dict.fromkeys(word for own in found for word in own)) or None


def choices_of_groups() -> dict[str, list[str]]:
    """Return the choices of every group of settings."""
    folders = sorted(path for path in conf_folder().iterdir() if path.is_dir())
    return {
        path.name: sorted(file.stem for file in path.glob("*.yaml"))
        for path in folders
        if path.name != "hydra"
    }


def settings_of_files(chosen: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of a run with some choices of groups, and Hydra's own."""
    conf = conf_folder()
    own = _read(conf / "config.yaml")
    named: dict[str, Any] = {}
    for each in own.pop("defaults"):
        for group, name in each.items() if isinstance(each, dict) else ():
            if chosen.get(group, name) and not group.startswith("override"):
                named[group] = _read(conf / group / f"{chosen.get(group, name)}.yaml")
    hydra = own.pop("hydra")
    return named | own, hydra


def _read(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), loader)
    return found
