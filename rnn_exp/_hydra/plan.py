"""The plan of a sweep: every job as a run and a folder, checked before anything is written.

Most jobs differ in plain values alone (``task.length=10``). Their runs are read off the values,
without composing a configuration, so that a sweep of ten thousand runs starts within seconds; the
full configuration is composed when a job is due, and must then describe the very same run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from rnn_exp._hydra.composition import Composer, Word
from rnn_exp._hydra.job import run_of, settings_of
from rnn_exp.storage.writing import is_done
from rnn_exp.training.run import Run, run_from

__all__ = ["Planned", "plan"]

_OWN_NAME = "${rnn_exp.run_name:}"
Plain = dict[str, Any]


class Planned(NamedTuple):
    """A job: its number and words of the command line, its run and folder, and if it is done."""

    number: int
    overrides: Sequence[str]
    run: Run
    folder: Path
    done: bool


def plan(composer: Composer, jobs: Sequence[Sequence[str]], first: int = 0) -> list[Planned]:
    """Return every job's run and folder.

    Raises:
        SettingError, ConfigCompositionException, …: for the first job that cannot be.
        FileExistsError: if a folder holds another run, or two runs would share one.
    """
    sweep, bases = Path(composer.master.hydra.sweep.dir), _Bases(composer)
    result = []
    for number, overrides in enumerate(jobs, start=first):
        plain = bases.with_values(overrides)
        if plain is None:
            config = composer.compose(overrides, number)
            run, name = run_of(config), str(config.hydra.sweep.subdir)
        else:
            run = run_from(plain)
            name = run.name
        folder = sweep / name
        result.append(Planned(number, overrides, run, folder, is_done(folder, run)))
    _refuse_shared_folders(result)
    return result


def _refuse_shared_folders(jobs: Sequence[Planned]) -> None:
    """Refuse a sweep in which two different runs would write into one folder."""
    owners: dict[Path, Run] = {}
    for job in jobs:
        first = owners.setdefault(job.folder, job.run)
        if first != job.run:
            raise FileExistsError(
                f"hydra.sweep.subdir gives {first.name} and {job.run.name} the same folder "
                f"{job.folder}; let it differ, as ${{hydra.job.num}} does"
            )


class _Bases:
    """The settings of each set of group choices as plain dictionaries, where they are plain."""

    def __init__(self, composer: Composer) -> None:
        self.composer, self.known = composer, dict[int, Plain | None]()

    def with_values(self, overrides: Sequence[str]) -> Plain | None:
        """Return the settings of a job, or None if they take a full composition."""
        base = self.composer.base(overrides)
        if id(base) not in self.known:
            settings = settings_of(base, resolve=False)
            ours = OmegaConf.to_container(base.hydra.sweep)["subdir"] == _OWN_NAME  # type: ignore[index, call-overload]
            refers = "${" in str(settings)
            self.known[id(base)] = settings if ours and not refers else None
        plain = self.known[id(base)]
        if plain is None:
            return None
        result = {
            key: dict(value) if isinstance(value, dict) else value for key, value in plain.items()
        }
        words = [self.composer.parse(word) for word in overrides]
        fits = all(_set(result, word) for word in words if not word.is_choice)
        return result if fits else None


def _set(plain: Plain, word: Word) -> bool:
    """Change a value that is there to another plain value; say whether that could be done."""
    override, value = word.override, word.override.value()
    group, _, key = override.key_or_group.rpartition(".")
    place = plain.get(group) if group else plain
    if not word.is_plain or not isinstance(place, dict) or key not in place:
        return False
    if isinstance(place[key], dict) or "${" in str(value):
        return False
    place[key] = value
    return True
