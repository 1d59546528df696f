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
from rnn_exp._hydra.refusals import GO_ON, RunError, refuse
from rnn_exp.program import printable
from rnn_exp.sweeps import process

if TYPE_CHECKING:
    from rnn_exp.training.run import Run

__all__ = [
    "ALREADY_THERE_MESSAGE",
    "CheckBeforeStart",
    "RunError",
    "checkpoint_seconds",
    "job",
    "register_resolvers",
    "run_from_config",
    "settings_from_config",
]

ALREADY_THERE_MESSAGE = "This run is already there; to train it again, remove its folder."


class CheckBeforeStart(Callback):
    """Refuses bad settings, another run's folder, and a folder that cannot be written.

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
            folder, done = _checked(config)
        except Exception as error:
            refuse(error)
        if done:
            print(f"{printable(folder)}\n{ALREADY_THERE_MESSAGE}")
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

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401
        """Import what a sweep needs while Ctrl-C still ends the process at once."""
        del config, kwargs
        from rnn_exp.sweeps import worker

        del worker
        interrupts.interruptible("rnn-exp", GO_ON)


def _checked(config: DictConfig) -> tuple[Path, bool]:
    """Return a single run's folder, which is made now, and whether it has the results already.

    Raises:
        SettingError, OSError, …: if the run is not possible, or its folder is not.
    """
    from rnn_exp.storage.writing import is_done
    from rnn_exp.theory.edge import initial_weights
    from rnn_exp.training.experiment import torch_device

    run = run_from_config(config)
    torch_device(run.device)
    checkpoint_seconds(config.hydra)
    folder = Path(config.hydra.run.dir)
    done = is_done(folder, run)
    if not done and run.init.critical_scale is not None:
        initial_weights(run.network, run.init, run.task, run.seed)  # whether there is a gain
    interrupts.interruptible("rnn-exp", GO_ON)
    folder.mkdir(parents=True, exist_ok=True)
    return folder, done


def job(config: DictConfig) -> str:
    """Train one run and write its folder: Hydra's task function.

    Args:
        config: the composed configuration.

    Returns:
        The status with which the run ended.

    Raises:
        RunError: if it could not be trained or written.
    """
    from rnn_exp.sweeps.progress import RunBar
    from rnn_exp.sweeps.worker import ALREADY_THERE, Job, train_jobs

    run, hydra = run_from_config(config), HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    process.use_one_thread()
    with closing(RunBar(run)) as bar:
        [result] = train_jobs([Job(run, folder)], bar.on_update, checkpoint_seconds(hydra))
    if result.failure:
        raise RunError(result.failure)
    if hydra.mode == RunMode.RUN:
        if result.status == ALREADY_THERE:
            print(f"{printable(folder)}\n{ALREADY_THERE_MESSAGE}")
        else:
            print(f"{result.message}\n{printable(folder)}")
    return result.status


def run_from_config(config: DictConfig) -> "Run":
    """Return the run that a composed configuration describes.

    Raises:
        SettingError: for the first setting that is not possible.
    """
    from rnn_exp.training.run import run_from

    return run_from(settings_from_config(config, resolve=True))


def settings_from_config(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """Return the settings in a configuration, without Hydra's own and the study's name.

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
        if key not in ("hydra", "study")
    }


def checkpoint_seconds(hydra: Any) -> float:  # noqa: ANN401 - Hydra's own node
    """Return the seconds between two checkpoints of a single run, which has any launcher.

    Args:
        hydra: the node ``hydra`` of the configuration.

    Raises:
        SettingError: if it is not a number of at least 0.
    """
    from rnn_exp.storage.checkpoint import seconds_from

    return seconds_from(OmegaConf.select(hydra, "launcher.checkpoint_seconds", default=60))


def register_resolvers() -> None:
    """Register the names of folders: ``${rnn_exp.run_name:}`` and ``${rnn_exp.sweep_name:…}``."""

    def run_name(*, _root_: DictConfig) -> str:
        return run_from_config(_root_).name

    first: dict[str, str] = {}

    def sweep_name(study: str | None, *, _root_: DictConfig) -> str:
        if study is not None:
            return study
        overrides = "\n".join(sorted(_root_.hydra.overrides.task))
        digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
        # A job of the sweep is composed with overrides of its own; it belongs to the same folder.
        return first.setdefault("name", f"sweep-{digest}")

    OmegaConf.register_new_resolver("rnn_exp.run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("rnn_exp.sweep_name", sweep_name, replace=True)
