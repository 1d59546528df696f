"""One run under Hydra: what a configuration describes, checked before it starts, and trained."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.messages import in_one_line
from rnn_exp.sweeps import process

__all__ = [
    "THERE_ALREADY",
    "Failed",
    "Gate",
    "checkpoint_seconds_of",
    "job",
    "run_of",
    "settings_of",
]

if TYPE_CHECKING:
    from rnn_exp.training.run import Run


def settings_of(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """Return a configuration's settings as nested plain values: all but Hydra's and the study."""
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


def checkpoint_seconds_of(hydra: Any) -> float:  # noqa: ANN401 - Hydra's own node
    """Return the seconds between two checkpoints of a run alone, whoever the launcher is.

    Raises:
        SettingError: if they are no number of at least 0.
    """
    from rnn_exp.storage.checkpoint import seconds_from

    return seconds_from(hydra.launcher.get("checkpoint_seconds", 60))


def run_of(config: DictConfig) -> "Run":
    """Return the run that a composed configuration describes.

    Raises:
        SettingError: for the first setting that cannot be.
    """
    from rnn_exp.training.run import run_from

    return run_from(settings_of(config, resolve=True))


THERE_ALREADY = "This run is already there; to train it again, remove its folder."


class Failed(RuntimeError):  # noqa: N818 - as a value it reads better
    """A run has failed; its folder has the log."""


def job(config: DictConfig) -> str:
    """Train one run and write its folder; return how it ended.

    Raises:
        Failed: if it could not be trained or written.
    """
    from rnn_exp.sweeps.progress import RunBar
    from rnn_exp.sweeps.worker import THERE, Job, work

    run, hydra = run_of(config), HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    process.use_one_thread()
    with closing(RunBar(run)) as bar:
        [ended] = work([Job(run, folder)], bar.watch, checkpoint_seconds_of(hydra))
    if ended.failure:
        raise Failed(ended.failure)
    if hydra.mode == RunMode.RUN:
        print(f"{folder}\n{THERE_ALREADY}" if ended.status == THERE else f"{ended.told}\n{folder}")
    return ended.status


class Gate(Callback):
    """Refuse bad settings, another run's folder, and a folder that cannot be written."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Leave with one line and exit code 1 (0 if the run is already there).

        Hydra turns a callback's exceptions into warnings; SystemExit it lets pass.
        """
        del kwargs
        from rnn_exp.storage.writing import is_done

        try:
            run = run_of(config)
            checkpoint_seconds_of(config.hydra)
            folder = Path(config.hydra.run.dir)
            done = is_done(folder, run)
            folder.mkdir(parents=True, exist_ok=True)
        except Exception as error:
            line = in_one_line(error)
            if line is None:
                raise
            sys.exit(f"rnn-exp: {line}")
        if done:
            print(f"{folder}\n{THERE_ALREADY}")
            sys.exit(0)
