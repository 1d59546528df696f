"""The plan of a sweep: every job as a run and a folder, checked before anything is written.

Most jobs differ in plain values alone (``task.length=10``). Their runs are built from the values,
without composing a configuration, so that a sweep of ten thousand runs starts within seconds. The
full configuration is composed when a job is sent, and must then describe the same run.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from hydra.core.override_parser.types import OverrideType
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig

from rnn_exp._hydra.besides import (
    PAGE,
    objective_from_config,
    refuse_without_number,
    tracking_from_config,
)
from rnn_exp._hydra.composition import Composer
from rnn_exp._hydra.grids import union_of
from rnn_exp._hydra.hydra_settings import may_be_a_run
from rnn_exp._hydra.job import has_own_name, run_from_config, settings_from_config
from rnn_exp._hydra.plain import OBJECTIVE, TRACKING, PlainSettings, Settings
from rnn_exp.fields import SettingError, choice_error
from rnn_exp.recordings.trackers import Tracking
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.places import RunFolders
from rnn_exp.storage.walk import refuse_hidden
from rnn_exp.storage.writing import is_done
from rnn_exp.sweeps.sending import refuse_other_label
from rnn_exp.training.run import Run, run_from
from rnn_exp.training.trials import refuse_wrong_parts

__all__ = ["PlannedJob", "plan"]


class PlannedJob(NamedTuple):
    """A job of a sweep that is possible.

    Attributes:
        number: its place in the sweep, from 0.
        overrides: its words of the command line.
        run: what it trains.
        folder: where the results go.
        done: whether the folder has the results already.
        objective: the number of it that a search looks at.
        tracking: where its curves go.
    """

    number: int
    overrides: Sequence[str]
    run: Run
    folder: Path
    done: bool
    objective: Objective
    tracking: Tracking = Tracking()


def plan(composer: Composer, jobs: Sequence[Sequence[str]], first: int = 0) -> list[PlannedJob]:
    """Return every job's run and folder.

    Args:
        composer: composes the jobs that have more than plain values.
        jobs: the words of the command line of each job.
        first: the number of the first job.

    Returns:
        The jobs, in order.

    Raises:
        SettingError, ConfigCompositionException, …: for the first job that is not possible.
        FileExistsError: if a folder has another run, or two runs would have the same folder.
    """
    sweep, settings_of_choices = Path(composer.master.hydra.sweep.dir), PlainSettings(composer)
    result, folders, first_places = [], RunFolders(), dict[Run, Path]()
    for number, overrides in enumerate(jobs, start=first):
        settings = settings_of_choices.with_values(overrides)
        if settings is None:
            run, config = _composed(composer, jobs, number, number - first)
            own = has_own_name(config)
            folder = folders.of(sweep, run) if own else sweep / str(config.hydra.sweep.subdir)
            objective, tracking = objective_from_config(config), tracking_from_config(config)
        else:
            objective = Objective(settings.pop(OBJECTIVE))
            tracking = Tracking(settings.pop(TRACKING))
            run = run_from(settings)
            folder = folders.of(sweep, run)
        refuse_without_number(objective, run)
        # A run may be asked for twice under two names: 1 and 1.0, or two paths of one file.
        folder = first_places.setdefault(run, folder)
        done = is_done(folder, run)
        result.append(PlannedJob(number, overrides, run, folder, done, objective, tracking))
    _refuse_several_pages(jobs)
    _refuse_shared_folders(result)
    refuse_hidden(job.folder for job in result if not job.done)
    refuse_wrong_parts(job.run for job in result if not job.done)
    return result


def _composed(
    composer: Composer, jobs: Sequence[Sequence[str]], number: int, place: int
) -> tuple[Run, DictConfig]:
    """Return a job's run and its configuration, composed in full.

    Raises:
        SettingError: for a setting that another choice of its group would have, and for a folder
            that is not in the sweep's.
    """
    try:
        config = composer.compose(jobs[place], number)
    except ConfigCompositionException:
        _refuse_missing_key(composer, jobs, jobs[place])
        raise
    subdir = config.hydra.sweep.subdir or ""
    if not may_be_a_run(PurePath(str(subdir))):
        allowed = (
            "a path below hydra.sweep.dir, another one for each run, not in a folder that is "
            "hidden or has a name of this package's own"
        )
        raise SettingError("hydra.sweep.subdir", subdir, allowed)
    return run_from_config(config), config


def _refuse_missing_key(
    composer: Composer, jobs: Sequence[Sequence[str]], job: Sequence[str]
) -> None:
    """Refuse a setting that the job's choice of a group does not have, and say which choices do."""
    settings = settings_from_config(composer.base(job), resolve=False)
    for word in (composer.parse(text) for text in job):
        key, value = word.override.key_or_group, word.override.get_value_element_as_str()
        group, _, name = key.rpartition(".")
        here = settings.get(group)
        if word.is_choice or not isinstance(here, dict) or name in here:
            continue
        if word.override.type != OverrideType.CHANGE or not composer.is_group(group):
            continue
        known: dict[str, Settings] = {}  # of the choices in this sweep
        for other in jobs:
            there = settings_from_config(composer.base(other), resolve=False)[group]
            known.setdefault(there["name"], there)
        able = {choice: name in there for choice, there in known.items()}
        if not any(able.values()) and name not in composer.keys_of(group):
            options = dict.fromkeys(f"{group}.{each}" for there in known.values() for each in there)
            raise choice_error(key, value, list(options), typed=key)
        choice = f"{group}={here['name']}"
        mend = f"nothing with {choice}, since {choice} has no {key}"
        if any(able.values()):
            words = (text.partition("=") for other in jobs for text in other)
            values = dict.fromkeys(last for first, _, last in words if first == key)
            mend += f"; instead of both write {union_of(group, key, values, able)}"
        raise SettingError(key, value, mend)


def _refuse_several_pages(jobs: Sequence[Sequence[str]]) -> None:
    """Refuse a sweep over what its page asks and shows."""
    given: dict[str, dict[str, None]] = {}
    for word in (word for job in jobs for word in job):
        key, _, value = word.partition("=")
        given.setdefault(key.lstrip("+"), {})[value] = None
    for key, values in given.items():
        if key.startswith(f"{PAGE}."):
            _refuse_several(key, values)


def _refuse_several(key: str, values: Iterable[str]) -> None:
    """Refuse a sweep over a setting that it has once."""
    once = dict.fromkeys(values)
    if len(once) > 1:
        raise SettingError(key, ",".join(once), "one for the whole sweep")


def _refuse_shared_folders(jobs: Sequence[PlannedJob]) -> None:
    """Refuse a sweep in which two different runs would write into one folder.

    A run that is there twice has one note, one list of tags, one objective and one tracking.
    """
    _refuse_several(OBJECTIVE, (job.objective.objective for job in jobs))
    _refuse_several(TRACKING, (job.tracking.tracking for job in jobs))
    owners: dict[Path, Run] = {}
    for job in jobs:
        first = owners.setdefault(job.folder, job.run)
        if first != job.run:
            raise FileExistsError(
                f"hydra.sweep.subdir gives {first.name} and {job.run.name} the same folder "
                f"{job.folder}; let it differ, as ${{hydra.job.num}} does"
            )
        refuse_other_label(first, job.run)
    for job in jobs:
        for above in job.folder.parents if len(owners) > 1 else ():
            if above in owners:
                raise FileExistsError(
                    f"hydra.sweep.subdir gives {job.run.name} the folder {job.folder}, which lies "
                    f"in that of {owners[above].name}; let it be another one"
                )
