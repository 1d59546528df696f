"""Every setting as help shows it: its key, its default, what is allowed, what it means.

A setting of a run is described by the dataclass that it is a field of, and those of a group with a
choice (tasks, inits) by the registry. What the command line has beside them is described here:
files of one's own, studies, workers.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rnn_exp._hydra.besides import PAGE
from rnn_exp._hydra.quick import choices_of_groups
from rnn_exp.fields import SettingError, allowed_of, as_typed, suggestion
from rnn_exp.recordings.trackers import Tracking
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.study import StudyPage

__all__ = ["LAUNCHER", "NOT_OF_A_RUN", "Section", "Setting", "chosen_sections", "sections"]

LAUNCHER: Final = "hydra.launcher"
"""The group of settings of the workers."""
NOT_OF_A_RUN: Final[tuple[type, ...]] = (Objective, Tracking)
"""The dataclasses whose fields are settings without a group, beside those of a run."""


class Setting(NamedTuple):
    """A setting: its key, its default as it is typed, what is allowed and what it means."""

    key: str
    default: str
    allowed: str
    meaning: str
    options: tuple[str, ...] = ()


class Section(NamedTuple):
    """The settings of one dataclass.

    Args:
        title: what chooses them (``task=copy``), or their group (``training``); empty: no group.
        about: what they are about, a line.
        settings: each of them, in the order of the fields.
    """

    title: str
    about: str
    settings: list[Setting]

    @property
    def group(self) -> str:
        """The group without what is chosen in it."""
        return self.title.partition("=")[0].partition(",")[0]


def sections() -> Iterator[Section]:
    """Yield every section: what has no group, each task and init, then the other groups."""
    from rnn_exp.training.keys import groups, plain_fields
    from rnn_exp.training.origins import own_kinds
    from rnn_exp.training.run import Run

    alone = [*_settings(Run, plain_fields())]
    for kind in NOT_OF_A_RUN:
        alone += _settings(kind, _keys(kind))
    yield Section("", "", [*alone, *_of_files(), *_settings(StudyPage, _keys(StudyPage, PAGE))])
    for group, kinds in groups().items():
        for name, kind in kinds.items():
            title = f"{group}={name}" if name else group
            yield Section(title, _summary(kind), [*_settings(kind, _keys(kind, group))])
        for name, kind in own_kinds(group).items():
            title = f"{group}, {name}"
            yield Section(title, _summary(kind), [*_settings(kind, _keys(kind, group))])
    yield _workers()


def chosen_sections(words: Sequence[str]) -> list[Section]:
    """Return the sections that words ask for, each with the settings that are meant.

    Args:
        words: a group (``training``), a choice (``task=copy`` or ``copy``), a key
            (``training.omega``, with a value or without), its last name (``omega``) or a word that
            it can be (``lstm``). None at all ask for everything.

    Raises:
        SettingError: for a word that means nothing, with the nearest one that does.
    """
    every, found = list(sections()), list[Section]()
    if not words:
        return every
    for word in words:
        meant = _meant(word, every) or _meant(word.partition("=")[0], every) or _of(word, every)
        if not meant:
            raise SettingError("--settings", word, _hint(word, every))
        found += meant
    return found


def _hint(word: str, every: Sequence[Section]) -> str:
    """Return what is allowed in the place of a word that means nothing."""
    settings = [each for section in every for each in section.settings]
    titles = [title for section in every for title in (section.title, section.group)]
    names = [each.key.rpartition(".")[2] for each in settings]
    options = [title.partition("=")[2] for title in titles]
    options += [option for each in settings for option in each.options]
    keys = [each.key for each in settings]
    near = suggestion(word, dict.fromkeys([*titles, *names, *keys, *options]))
    return f"a setting, a group or a choice; rnn-exp --settings lists all{near}"


def _meant(word: str, every: Sequence[Section]) -> list[Section]:
    """Return the sections in which a word means something, with what it means there."""
    return [
        section._replace(settings=kept)
        for section in every
        if (kept := [each for each in section.settings if _is_meant(word, section, each)])
    ]


def _of(word: str, every: Sequence[Section]) -> list[Section]:
    """Return the choices of groups that have this name, and the settings that can be this word."""
    named = [each for each in every if word and each.title.endswith(f"={word}")]
    able = [
        section._replace(settings=kept)
        for section in every
        if (kept := [each for each in section.settings if word in each.options])
    ]
    return [*named, *able]


def _is_meant(word: str, section: Section, setting: Setting) -> bool:
    meant = section.title, section.group, setting.key, setting.key.rpartition(".")[2]
    return word != "" and word in meant  # what has no group has an empty title


def _keys(kind: type, group: str = "") -> dict[str, "dataclasses.Field[Any]"]:
    """Return the fields of a dataclass under their keys; those that own parts bring left out."""
    fields = [field for field in dataclasses.fields(kind) if not field.metadata.get("more")]
    return {f"{group}.{field.name}" if group else field.name: field for field in fields}


def _settings(kind: type, fields: Mapping[str, "dataclasses.Field[Any]"]) -> Iterator[Setting]:
    """Yield the settings of fields that are given under their keys."""
    from rnn_exp.training.keys import meaning

    for key, field in fields.items():
        allowed = allowed_of(field)
        words = allowed.words if allowed else ""
        options = tuple(allowed.options or ()) if allowed else ()
        meant = meaning(kind, field.name).replace("`", "")
        yield Setting(key, as_typed(field.default), words, meant, options)


def _of_files() -> Iterator[Setting]:
    """Yield the settings that name files: parts of one's own, and studies."""
    studies = tuple(choices_of_groups()["study"])
    yield Setting(
        "use",
        "null",
        "a list of Python files, such as [mine.py], or null",
        "files of your own, which register tasks, cells and other parts",
    )
    yield Setting(
        "study",
        "null",
        "the name of a study, or null",
        "a file of settings, with its grid if it has one (null: none)",
        studies,
    )


def _workers() -> Section:
    """Return the settings of the workers; their defaults are those of the launcher's file."""
    from rnn_exp.sweeps.pool import Pool

    backend, processes, address = _settings(Pool, _keys(Pool, LAUNCHER))
    known = [
        backend,
        processes._replace(
            default="null",
            allowed="a whole number of at least 1 or null",
            meaning="how many processes of this machine train; 1 is the calling process itself "
            "(null: one a core, fewer where there is little to do)",
        ),
        address._replace(allowed="a text such as tcp://host:8786, or null"),
        Setting(
            f"{LAUNCHER}.checkpoint_seconds",
            "60",
            "a number of at least 0",
            "seconds between two checkpoints of a run; a run that is killed loses at most so much",
        ),
    ]
    return Section(LAUNCHER, "Who trains the runs of a sweep (they decide no result).", known)


def _summary(kind: type) -> str:
    """Return the first line of a class's docstring."""
    return (kind.__doc__ or "").partition("\n")[0].replace("``", "").replace("`", "")
