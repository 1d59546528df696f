"""What a sweep's folder says of the study beside its runs: what it asks, and how to make it again.

A study declares its page in its settings (``page.question``, ``page.figures``); the list of runs of
the sweep (sweep.json) keeps that, so that no folder's name has to say it.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from rnn_exp.fields import Allowed, SettingError, as_typed, check
from rnn_exp.program import conf_folder, printable
from rnn_exp.schema import ENGINE, RUN_JSON, SWEEP_JSON, with_its_engine
from rnn_exp.storage.trust import read_json
from rnn_exp.words import listing

__all__ = ["Study", "StudyPage", "built_in_page", "command_of_sweep", "compared", "study_of"]

_LONGEST: Final = 300
_LONGEST_NAMES: Final = 200
_MOST_FIGURES: Final = 30
_LOG: Final = "run.log"
_NAMED: Final = re.compile("sweep-[0-9a-f]{8}")
_LONGEST_COMMAND: Final = 10_000


def _is_question(value: object) -> bool:
    is_line = isinstance(value, str) and value.isprintable() and "${" not in value
    return value is None or (is_line and 0 < len(str(value)) <= _LONGEST)


def _are_names(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, tuple) or not 0 < len(value) <= _MOST_FIGURES:
        return False
    return all(isinstance(name, str) and name.isidentifier() for name in value)


class _Shown(Allowed):
    """What a declaration accepts; what is refused is shown without what may harm a terminal."""

    def refusal(self, key: str, value: object) -> SettingError:
        """Return the refusal of a value."""
        shown = as_typed(list(value)) if isinstance(value, tuple) else value
        return SettingError(f"page.{key}", printable(shown), self.words)


def _field(allowed: Allowed) -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    return dataclasses.field(default=None, metadata={"allowed": allowed})


@dataclasses.dataclass(frozen=True)
class StudyPage:
    """What the page of a study asks and shows; it decides no result.

    ``question``: the title of the page (null: a general one).
    ``figures``: names of the figures on the page, in order (null: the general ones, as far as what
    was swept allows).
    ``answer``: names of those figures whose first sentence answers the question, in bold at the top
    (null: none; the page then says what each figure shows).

    Raises:
        SettingError: for a question of several lines, or figures that are no list of names.
    """

    question: str | None = _field(
        _Shown(_is_question, f"one line of text of at most {_LONGEST} characters, or null")
    )
    figures: Sequence[str] | None = _field(
        _Shown(_are_names, "a list of names of figures, such as [decay,learning], or null")
    )
    answer: Sequence[str] | None = _field(
        _Shown(_are_names, "a list of names of figures, such as [decay], or null")
    )

    def __post_init__(self) -> None:
        """Refuse what is no declaration; a list becomes a tuple."""
        for name in ("figures", "answer"):
            given: object = getattr(self, name)
            if isinstance(given, Sequence) and not isinstance(given, str):
                object.__setattr__(self, name, tuple(given))
        check(self)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "StudyPage":
        """Return the declaration that a mapping of settings is.

        Args:
            said: values by the names of the settings.

        Raises:
            SettingError: for a setting that there is not, or a value that is not possible.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in said:
            if name not in names:
                raise SettingError(f"page.{name}", said[name], f"one of {', '.join(names)}")
        return cls(**said)


@dataclasses.dataclass(frozen=True)
class Study:
    """A study beside its runs.

    Attributes:
        name: of its folder.
        page: what its page asks and shows.
        command: the command that makes it again; "": it is not known.
        day: the day on which it was begun (of a sweep in UTC, of a single run by the clock of its
            machine); "": it is not known.
        versions: of what made its runs, in words (`Results.versions`).
        left: how the runs stand that have not ended, in a sentence; "": nothing is known of them.
    """

    name: str
    page: StudyPage = dataclasses.field(default_factory=StudyPage)
    command: str = ""
    day: str = ""
    versions: tuple[str, ...] = ()
    left: str = ""


def study_of(folder: Path) -> Study:
    """Return what a folder says of its study; what it does not say, or not readably, is left out.

    Args:
        folder: of a sweep, of a run, or one above several.
    """
    said = _said(folder / SWEEP_JSON)
    if not said and (folder / RUN_JSON).exists():
        return _of_run(folder)
    page, command = said.get("page"), said.get("command")
    return Study(
        folder.resolve().name,
        _answered(_page(page), command) if isinstance(page, dict) else _declared(command),
        command_of_sweep(folder, said),
        _day(said.get("begun")),
    )


def command_of_sweep(folder: Path, said: Mapping[str, Any]) -> str:
    """Return the command that makes a sweep again, with the engine that its runs have.

    Args:
        folder: of the sweep.
        said: its list of runs.
    """
    command, names = _command(said.get("command")), said.get("runs")
    if f"{ENGINE}=" in command or not isinstance(names, list):
        return command
    found = command
    for name in names:
        run = _said(folder / str(name) / RUN_JSON)
        found = with_its_engine(command, run.get("settings"))
        network = run.get("network")
        if found != command or (isinstance(network, dict) and "kernel" in network):
            break  # it was made before there were kernels, or after
    if found == command or "hydra.sweep.dir=" in command:
        return found
    # The name of a folder may follow from the words of its command.
    return (
        f"{found} hydra.sweep.dir=outputs/{folder.name}" if _NAMED.fullmatch(folder.name) else found
    )


def _of_run(folder: Path) -> Study:
    """Return what the folder of a single run says of itself: its command, and its log of the day.

    A run of Python has no log: it is in the folder of a sweep, which says when that was begun.
    """
    begun = _day(_said(folder.resolve().parent / SWEEP_JSON).get("begun"))
    day = _day_in_log(folder / _LOG) or begun
    said = _said(folder / RUN_JSON)
    command = with_its_engine(_command(said.get("command")), said.get("settings"))
    return Study(folder.resolve().name, command=command, day=day)


def _command(said: object) -> str:
    return said if isinstance(said, str) and len(said) <= _LONGEST_COMMAND else ""


def _day_in_log(log: Path) -> str:
    """Return the day of the first line of a log; "": there is none."""
    try:
        with log.open(encoding="utf-8", errors="replace") as file:
            found = re.match(r"\[(\d{4}-\d\d-\d\d) ", file.readline(_LONGEST))
    except OSError:
        return ""
    return found[1] if found else ""


def compared(names: Sequence[str]) -> Study:
    """Return what is known of several studies on one page: which are compared.

    Args:
        names: of two or more (`study_names`).
    """
    said = printable(listing(names))
    if len(said) > _LONGEST_NAMES:
        said = f"{len(names)} studies"
    return Study(said, StudyPage(f"What differs between {said}?"))


def _said(path: Path) -> Mapping[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _page(said: Mapping[str, Any]) -> StudyPage:
    """Return a declaration; the general one where a file was written by something else."""
    try:
        return StudyPage.of(said)
    except SettingError:
        return StudyPage()


def _answered(page: StudyPage, command: object) -> StudyPage:
    """Return a page with what answers its question, where the folder is older than that setting."""
    built_in = _declared(command)
    is_of_before = page.answer is None and page.question == built_in.question
    return dataclasses.replace(page, answer=built_in.answer) if is_of_before else page


def _declared(command: object) -> StudyPage:
    """Return what the study that a command names declares now; a folder of before has no more.

    Studies of users are not looked for: reading a folder reads nothing beside it.
    """
    found = re.search(r"(?:^|\s)study=(\w+)(?:\s|$)", command if isinstance(command, str) else "")
    return built_in_page(found[1]) if found else StudyPage()


def built_in_page(study: str) -> StudyPage:
    """Return what a study of this package declares; nothing where there is no such study.

    Args:
        study: its name.
    """
    path = conf_folder() / "study" / f"{study}.yaml"
    if not path.is_file():
        return StudyPage()
    return _page(yaml.safe_load(path.read_text("utf-8")).get("page", {}))


def _day(seconds: object) -> str:
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return ""
