"""The words of a command line before Hydra has them: put in its order, with hints for slips.

Hydra reads ``key=value``, and options before or after all of these. Here options may stand
anywhere, and a word that Hydra could not read is refused with the one that was meant.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rnn_exp._hydra.quick import settings_of_files
from rnn_exp._hydra.repeated import deleted, repeated
from rnn_exp.fields import suggestion
from rnn_exp.program import Options

__all__ = [
    "TEXTS",
    "CommandLineError",
    "can_be_read",
    "in_hydras_order",
    "likely_word",
    "quoted",
    "separate_words",
]

_EXAMPLE: Final = "a setting is written key=value, such as task.length=100"
_ONE_RUN: Final = "hydra.mode=RUN"
_LONGEST: Final = 100_000
_LONGEST_QUOTED: Final = 200
_MOST_DIGITS: Final = 4300  # of a whole number that Python reads
_OPTIONS: Final = ("help", "settings", "columns", "version", "multirun")
TEXTS: Final = ("note", "tags", "page.question")
"""Settings that are text in words."""
_WITH_A_VALUE: Final = {"-cd": "--config-dir", "-cn": "--config-name", "-cp": "--config-path"}
_SECTIONS: Final = ("study", "use", "objective", "page", "tracking", "hydra")  # beside a run's
_KEY: Final = re.compile(r"[\w.]+")


class CommandLineError(ValueError):
    """A word of the command line that is neither an option nor ``key=value``."""


def in_hydras_order(words: Sequence[str], conf: Path) -> list[str]:
    """Return the words of a command line in Hydra's order: settings, then options.

    Args:
        words: without the program's name.
        conf: the folder of configurations, whose groups have the names of studies and tasks.

    Raises:
        CommandLineError: for a word that Hydra could not read.
        SystemExit: for an option without its value, and after help.
    """
    parser = Options("rnn-exp", parents=[get_args_parser()], add_help=False)
    given, unknown = parser.parse_known_intermixed_args(list(words))
    settings: list[str] = given.overrides
    dashed = next((word for word in [*unknown, *settings] if word.startswith("-")), None)
    if dashed is not None:
        raise CommandLineError(_about_option(dashed, words, _options(parser)))
    if given.config_dir is not None and not Path(given.config_dir).is_dir():
        raise CommandLineError(f"--config-dir {given.config_dir}: there is no such folder")
    if given.experimental_rerun is not None:
        raise CommandLineError(
            "--experimental-rerun: a run is made again by the command in its run.json"
        )
    if given.config_path is not None:
        _refuse_no_path(given.config_path)
    _refuse_contradictions(given)
    _refuse_options_twice(words)
    if not given.shell_completion:
        _refuse_slips(settings, conf)
        if twice := repeated(settings):
            raise CommandLineError(twice)
    left = list(settings)
    options = [word for word in words if word != "--" and not _taken(word, left)]
    # Where there is a grid, Hydra would take --run for nothing; its mode is refused by name.
    mode = [_ONE_RUN] if given.run and _ONE_RUN not in settings else []
    if given.help:  # it shows one run: several values are none of it
        settings = [word for word in settings if not _has_several(word)]
    return [*settings, *mode, *options]


def _has_several(word: str) -> bool:
    """Whether a setting has several values, as in a sweep; what Hydra cannot read has not."""
    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:
        return False


def _refuse_no_path(path: str) -> None:
    """Refuse a folder of the settings of whole runs that Hydra would look for elsewhere.

    Raises:
        CommandLineError: with what was meant.
    """
    folder = Path(path)
    if not folder.is_dir():
        mend = "a folder with studies and files of your own is --config-dir"
        raise CommandLineError(f"--config-path {path}: there is no such folder; {mend}")
    if not folder.is_absolute():
        mend = f"write its whole path, --config-path {shlex.quote(str(folder.resolve()))}"
        raise CommandLineError(f"--config-path {path}: {mend}, or --config-dir for studies")


def _refuse_contradictions(given: Any) -> None:  # noqa: ANN401 - argparse's
    """Refuse an option that would be passed over beside the other words.

    Raises:
        CommandLineError: naming both.
    """
    if given.package is not None and not given.cfg:
        raise CommandLineError(f"--package {given.package}: that is for --cfg, which prints it")
    for word in given.overrides:
        key, _, mode = word.partition("=")
        if key.lstrip("+") != "hydra.mode":
            continue
        if given.multirun and mode != "MULTIRUN":
            raise CommandLineError(f"{word}: -m asks for a sweep; leave one of the two out")
        if given.run and mode != "RUN":
            raise CommandLineError(f"{word}: --run asks for one run; leave one of the two out")


def _refuse_options_twice(words: Sequence[str]) -> None:
    """Refuse an option with a value that stands there twice: the last one would win.

    Raises:
        CommandLineError: with its name.
    """
    for short, option in _WITH_A_VALUE.items():
        if sum(word.partition("=")[0] in (short, option) for word in words) > 1:
            raise CommandLineError(f"{option} is typed twice; leave one out")


def likely_word(typed: str) -> str:
    """Return " (did you mean task.length=10?)" for ``length=10`` or ``T=10``, else "".

    Args:
        typed: a word of the command line whose key is not known.
    """
    from rnn_exp.training.keys import keys_like

    key, equals, value = typed.lstrip("+~").partition("=")
    meant = [likely for likely in keys_like(key) if likely != key]
    return f" (did you mean {' or '.join(f'{k}{equals}{value}' for k in meant)}?)" if meant else ""


def separate_words(word: str) -> list[str]:
    """Return the settings that stand in one word, as quotes around several make it; else the word.

    What follows a blank is a setting only if it is called as one; texts and paths are left whole.

    Example:
        >>> separate_words("task.length=10 init.gain=2"), separate_words("note=with a=1")
        (['task.length=10', 'init.gain=2'], ['note=with a=1'])
    """
    from rnn_exp.training.keys import groups, plain_fields

    parts = re.split(r"\s+(?=[A-Za-z_][\w.]*=)", word.strip())
    keys = [part.partition("=")[0] for part in parts]
    if keys[0] in TEXTS or keys[0].endswith("dir"):
        return [word]
    sections = {*groups(), *plain_fields(), *_SECTIONS}
    return parts if all(key.partition(".")[0] in sections for key in keys[1:]) else [word]


def quoted(word: str) -> str | None:
    r"""Return a word with its value in quotes, as it is typed in a shell; None: that is no help.

    Example:
        >>> quoted("hydra.run.dir=my runs/梯度")
        '\'hydra.run.dir="my runs/梯度"\''
    """
    key, equals, value = word.partition("=")
    if not equals or not value.isprintable() or len(value) > _LONGEST_QUOTED:
        return None
    if value[:1] in set("[{('\"") or not value:
        return None  # a list, a dictionary or a quote that was meant, with a slip
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    better = f'{key}="{text}"'
    return shlex.quote(better) if can_be_read(better) else None


def can_be_read(word: str) -> bool:
    """Say whether Hydra can read a setting."""
    try:
        OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    return True


def _taken(word: str, left: list[str]) -> bool:
    """Whether a word is the next setting, which is then taken off."""
    if not left or word != left[0]:
        return False
    del left[0]
    return True


def _options(parser: Options) -> list[str]:
    """Return the long options that there are."""
    return [o for o in parser._option_string_actions if o.startswith("--")]


def _about_option(word: str, words: Sequence[str], options: Sequence[str]) -> str:
    """Say what to write in the place of an unknown option: ``--task.length=10`` is a setting."""
    bare = word.lstrip("-")
    name = bare.partition("=")[0]
    known = suggestion(word.partition("=")[0], options)
    after = words[words.index(word) + 1 :] if word in words else []
    if not known and _KEY.fullmatch(name) and not name.isdigit():
        meant = bare
        if "=" not in bare and after and "=" not in after[0] and not after[0].startswith("-"):
            meant = f"{bare}={after[0]}"
        if "=" in meant:
            return f"{word}: a setting has no dashes; write {meant}{likely_word(meant)}"
    return f"there is no option {word}{known}; rnn-exp --help shows what there is"


def _refuse_slips(settings: Sequence[str], conf: Path) -> None:
    """Refuse the first word that is not ``key=value``.

    Raises:
        CommandLineError: with the word that was meant, where that can be seen.
    """
    for place, word in enumerate(settings):
        if len(word) > _LONGEST:
            raise CommandLineError(f"{word[:60]}… has {len(word)} letters; at most {_LONGEST}")
        if re.search(rf"\d{{{_MOST_DIGITS + 1}}}", word):
            raise CommandLineError(f"{word[:60]}…: a number of more than {_MOST_DIGITS} digits")
        if left_out := deleted(word):
            raise CommandLineError(left_out)
        key, equals, value = word.partition("=")
        if unknown := _unknown_section(key):
            raise CommandLineError(f"{word}: {unknown}{likely_word(word)}")
        if chosen := _choice(key, value, conf):
            raise CommandLineError(f"{word}: write {chosen}")
        after = settings[place + 1] if place + 1 < len(settings) else ""
        if equals and key and not (value == "" and after and "=" not in after):
            continue
        if word.startswith("~") and len(word) > 1:
            continue
        hint = next(_meant(word, after, settings[place + 2 : place + 3], conf), _EXAMPLE)
        raise CommandLineError(f"{word or repr(word)}: {hint}")


def _unknown_section(key: str) -> str:
    """Return the refusal of ``+foo``, which Hydra would add: no run has it; else ""."""
    name = key.lstrip("+")
    if name == key or not re.fullmatch(r"\w+", name):
        return ""
    options = sorted(settings_of_files({})[0])
    if name in (*options, "study"):
        return ""
    listed = ", ".join(options)
    return f"there is no such setting; allowed is one of {listed}{suggestion(name, options)}"


def _choice(key: str, value: str, conf: Path) -> str | None:
    """Return ``task=latch`` for ``task.name=latch``, which would leave another task's settings."""
    group, dot, name = key.lstrip("+").partition(".")
    if not dot or name != "name":
        return None
    files = [conf / _literal(group) / f"{_literal(one)}.yaml" for one in value.split(",")]
    return f"{group}={value}" if all(file.is_file() for file in files) else None


def _meant(word: str, after: str, last: Sequence[str], conf: Path) -> Iterator[str]:
    """Yield what may have been meant by a word that is not ``key=value``, the likeliest first."""
    key, equals, _ = word.partition("=")
    if equals and not key:
        return
    if word in _OPTIONS:
        yield f"write --{word}"
    if after == "=":
        yield f"write {word}={''.join(last)}, without spaces"
    if after.startswith("="):
        yield f"write {word}{after}, without spaces"
    if equals:
        yield f"write {word}{after}, without spaces"
    colon = re.fullmatch(r"([A-Za-z_][\w.]*):(.+)", word, re.DOTALL)
    if colon:
        yield f"write {colon[1]}={colon[2]}"
    for group in sorted(path.parent.name for path in conf.glob(f"*/{_literal(word)}.yaml")):
        yield f"did you mean {group}={word}?"
    if _KEY.fullmatch(word) and after and "=" not in after:
        yield f"write {word}={after}"
    if (conf / _literal(word)).is_dir():
        yield f"write {word}=NAME; rnn-exp --help {word} shows what there is"


def _literal(word: str) -> str:
    """Return a word as the name of a file; what cannot be one is the name of none."""
    return word if re.fullmatch(r"\w{1,100}", word) else " "
