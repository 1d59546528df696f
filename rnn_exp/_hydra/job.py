"""One run under Hydra: the run that a configuration describes, its check before the start, itself.

Torch is imported when a run is built, so that help and completion are quick.
"""

import hashlib
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rnn_exp import interrupts
from rnn_exp._hydra.besides import (
    BESIDES,
    objective_from_config,
    page_from_config,
    refuse_for_all_jobs,
    refuse_unknown_figures,
    refuse_without_number,
    tracking_from_config,
)
from rnn_exp._hydra.grammar import bare_key
from rnn_exp._hydra.grids import PAIRED, PARAMS
from rnn_exp._hydra.hydra_settings import check_run, check_sweep, is_ours, naming_the_setting
from rnn_exp._hydra.refusals import GO_ON, RunError, refuse
from rnn_exp._hydra.results import message_of, next_line, run_line
from rnn_exp._hydra.there import known_to_be_there
from rnn_exp.fields import SettingError
from rnn_exp.program import printable
from rnn_exp.sweeps import process
from rnn_exp.words import from_here

if TYPE_CHECKING:
    from rnn_exp.training.loop import Update
    from rnn_exp.training.run import Run

__all__ = [
    "ALREADY_THERE_MESSAGE",
    "CheckBeforeStart",
    "begin_sweep",
    "checkpoint_seconds",
    "has_own_name",
    "job",
    "register_resolvers",
    "run_from_config",
    "settings_from_config",
]

_OWN_NAMES = ("${rnn_exp.run_name:${hydra.sweep.dir}}", "${rnn_exp.run_name:}")
ALREADY_THERE_MESSAGE = "This run is already there; to train it again, remove its folder."
_NOT_OF_A_RUN = ("hydra", "study", *BESIDES, "use")
_DECIDES_NO_RESULT = (*BESIDES, "note", "tags")


class CheckBeforeStart(Callback):
    """Refuses bad settings, a run that needs more memory than there is, and a bad folder.

    That is another run's folder, or one that cannot be written.

    Hydra calls it before it makes the folder of a single run. From there on, and from the start of
    a sweep on, Ctrl-C lets files be closed and checkpoints be written.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Leave with one line and exit code 1; with 0 if the run is already there.

        Raises:
            SystemExit: in both cases. Hydra makes warnings of a callback's other exceptions.
        """
        del kwargs
        try:
            folder, done, relabelled = _checked(config)
        except Exception as error:
            refuse(error)
        if done:
            if relabelled:
                print("The note and the tags of this run are those of this command now.")
            _print_end(folder, folder, was_done=True)
            sys.exit(0)

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Leave with one line if the run failed; Hydra would print its overrides as well.

        Raises:
            SystemExit: with exit code 1.
        """
        del config
        result: JobReturn = kwargs["job_return"]
        if result.status == JobStatus.FAILED and isinstance(result._return_value, Exception):
            refuse(result._return_value)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Leave with one line and exit code 1 if a setting of Hydra's would have no effect.

        Raises:
            SystemExit: Hydra makes warnings of a callback's other exceptions.
        """
        del kwargs
        try:
            check_sweep(config)
            refuse_for_all_jobs(config)
        except SettingError as error:
            refuse(error)
        if not is_ours(config.hydra.sweeper):  # ours may find that there is nothing to train
            begin_sweep()


def begin_sweep() -> None:
    """Import what a sweep needs, while Ctrl-C still ends the process at once.

    From there on Ctrl-C lets files be closed.
    """
    from rnn_exp.sweeps import worker

    del worker
    interrupts.interruptible("rnn-exp", GO_ON)


def _checked(config: DictConfig) -> tuple[Path, bool, bool]:
    """Check a single run and make its folder.

    Returns:
        The folder; whether it has the results already; whether their note and tags were replaced.

    Raises:
        SettingError, OSError, …: if the run is not possible, or its folder is not.
    """
    check_run(config)
    objective = objective_from_config(config)
    refuse_unknown_figures(page_from_config(config), config.hydra.runtime.choices.get("study"))
    tracking_from_config(config)
    if (there := known_to_be_there(config)) is not None:
        return there, True, False
    from rnn_exp.storage.walk import refuse_hidden
    from rnn_exp.storage.writing import is_done, relabel
    from rnn_exp.sweeps.available import available
    from rnn_exp.theory.edge import initial_weights
    from rnn_exp.training.devices import refuse_without_compiler, torch_device
    from rnn_exp.training.memory import refuse_too_large
    from rnn_exp.training.trials import refuse_wrong_parts

    run = run_from_config(config)
    refuse_without_number(objective, run)
    torch_device(run.device)
    refuse_without_compiler(run.network.engine)
    checkpoint_seconds(config.hydra)
    folder = Path(config.hydra.run.dir)
    with naming_the_setting("hydra.run.dir", folder):
        done = is_done(folder, run)
    if not done:
        refuse_hidden([folder])
        refuse_too_large([run], available())
        refuse_wrong_parts([run])
    if not done and run.init.critical_scale is not None:
        initial_weights(run.network, run.init, run.task, run.seed)  # whether there is a gain
    interrupts.interruptible("rnn-exp", GO_ON)
    with naming_the_setting("hydra.run.dir", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder, done, done and relabel(folder, run)


def job(config: DictConfig) -> float | None:
    """Train one run and write its folder: Hydra's task function.

    Args:
        config: the composed configuration.

    Returns:
        The run's objective, for a sweeper that searches; None if the run has no such number.

    Raises:
        RunError: if it could not be trained or written.
    """
    from rnn_exp.sweeps.jobs import ALREADY_THERE, Job
    from rnn_exp.sweeps.progress import RunBar
    from rnn_exp.sweeps.status import Heartbeat
    from rnn_exp.sweeps.worker import train_jobs

    run, hydra = run_from_config(config), HydraConfig.get()
    objective = objective_from_config(config)
    refuse_without_number(objective, run)
    folder = Path(hydra.runtime.output_dir)
    process.use_one_thread()
    process.compile_kernels([run])
    heartbeat = Heartbeat(folder, "run", run.training.updates)
    with closing(RunBar(run)) as bar, closing(heartbeat):

        def on_update(update: "Update") -> None:
            bar.on_update(update)
            heartbeat.write(update.number + 1, len(update.runs))

        others, tracking = _written_by_hydra(folder, hydra), tracking_from_config(config)
        trained = Job(run, folder, others=others, tracking=tracking)
        [result] = train_jobs([trained], on_update, checkpoint_seconds(hydra))
    if result.failure:
        raise RunError(result.failure)
    name, was_done = from_here(folder, Path(hydra.runtime.cwd)), result.status == ALREADY_THERE
    if hydra.mode == RunMode.RUN:
        _print_end(folder, name, was_done)
    else:
        print(run_line(folder, name, objective, was_done))
    return objective.of(folder)


def _print_end(folder: Path, name: Path, was_done: bool) -> None:
    """Print how a run alone ended, where its results are, and the next command."""
    print(*map(printable, filter(None, [message_of(folder), str(name)])), sep="\n")
    if was_done:
        print(ALREADY_THERE_MESSAGE)
    print(printable(next_line(name)))


def _written_by_hydra(folder: Path, hydra: Any) -> list[str]:  # noqa: ANN401 - Hydra's own node
    """Return the paths of the files in a run's folder that say how it was composed."""
    if hydra.output_subdir is None:
        return []
    paths = sorted((folder / hydra.output_subdir).glob("*.yaml"))
    return [str(path.relative_to(folder)) for path in paths]


def run_from_config(config: DictConfig) -> "Run":
    """Return the run that a composed configuration describes.

    Raises:
        SettingError: for the first setting that is not possible.
    """
    from rnn_exp.training.run import run_from

    return run_from(settings_from_config(config, resolve=True))


def settings_from_config(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """Return a run's settings in a configuration: not Hydra's own, the study, the objective, ….

    Args:
        config: the composed configuration.
        resolve: whether to replace interpolations (``${…}``) by their values.

    Returns:
        Plain values, nested as in the configuration.
    """
    content: Any = config._content
    return {
        str(key): OmegaConf.to_container(node, resolve=resolve)
        if OmegaConf.is_config(node)
        else config[key]
        if resolve
        else node._value()
        for key, node in content.items()
        if key not in _NOT_OF_A_RUN
    }


def _section_of(word: str) -> str:
    return bare_key(word).partition(".")[0]


def checkpoint_seconds(hydra: Any) -> float:  # noqa: ANN401 - Hydra's own node
    """Return the seconds between two checkpoints of a single run, which has any launcher.

    Raises:
        SettingError: if it is not a number of at least 0.
    """
    from rnn_exp.storage.checkpoint import seconds_from

    return seconds_from(OmegaConf.select(hydra, "launcher.checkpoint_seconds", default=60))


def has_own_name(config: DictConfig) -> bool:
    """Say whether a job of a sweep goes by the run's own name, and not by one of the user's."""
    sweep: Any = OmegaConf.to_container(config.hydra.sweep)
    return sweep["subdir"] in _OWN_NAMES


def register_resolvers() -> None:
    """Register the names of folders: ``${rnn_exp.run_name:…}`` and ``${rnn_exp.sweep_name:…}``.

    The name of a run is that of the folder in which it lies already, below the folder that is
    given: a run that was made under the name of an older version is found. Without a folder it is
    the run's own name.
    """

    def run_name(parent: str = "", *, _root_: DictConfig) -> str:
        from rnn_exp.storage.places import RunFolders

        run = run_from_config(_root_)
        return RunFolders().of(Path(parent), run).name if parent else run.name

    first: dict[str, str] = {}

    def sweep_name(study: str | None, *, _root_: DictConfig) -> str:
        if study is not None:
            return study
        said: Any = OmegaConf.to_container(_root_.hydra.overrides, resolve=False)
        words = [word for word in said["task"] if _section_of(word) not in _DECIDES_NO_RESULT]
        grids = [word for word in said["hydra"] if bare_key(word).startswith((PARAMS, PAIRED))]
        overrides = "\n".join(sorted([*words, *grids]))
        digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
        # A job of the sweep is composed with overrides of its own; it belongs to the same folder.
        return first.setdefault("name", f"sweep-{digest}")

    OmegaConf.register_new_resolver("rnn_exp.run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("rnn_exp.sweep_name", sweep_name, replace=True)
