"""The job: what Hydra runs for one run, alone or under a launcher that is not ours."""

from contextlib import closing
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rnn_exp import process
from rnn_exp._hydra.described import checkpoint_seconds_of, run_of

__all__ = ["THERE_ALREADY", "Failed", "job"]

THERE_ALREADY = "This run is already there; to train it again, remove its folder."


class Failed(RuntimeError):  # noqa: N818 - as a value it reads better
    """A run has failed; its folder has the log."""


def job(config: DictConfig) -> str:
    """Train one run and write its folder; return how it ended.

    Raises:
        Failed: if it could not be trained or written.
    """
    from rnn_exp.jobs import Job
    from rnn_exp.progress import RunBar
    from rnn_exp.worker import THERE, work

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
