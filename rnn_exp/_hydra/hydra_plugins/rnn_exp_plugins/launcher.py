"""A launcher that trains the runs of a sweep together and gives each its own Hydra job."""

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    run_job,
)
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

if TYPE_CHECKING:
    from rnn_exp.outcome import Outcome
    from rnn_exp.run import Run

log = logging.getLogger("rnn_exp")


class Prepared(NamedTuple):
    """A job of the sweep, composed and checked: its run, its folder, and whether it is there."""

    config: DictConfig
    run: "Run"
    folder: Path
    done: bool


def compose(
    context: HydraContext, config: DictConfig, batch: Sequence[Sequence[str]], first: int = 0
) -> list[DictConfig]:
    """Compose the configuration of every job of a sweep."""
    result = []
    for number, overrides in enumerate(batch, start=first):
        job = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(job):
            job.hydra.job.id = number
            job.hydra.job.num = number
            job.hydra.sweep.dir = config.hydra.sweep.dir
        result.append(job)
    return result


def prepare(jobs: list[DictConfig], folder: Path) -> list[Prepared]:
    """Turn configurations into runs, refusing what cannot be; nothing is written."""
    from rnn_exp.app import run_of
    from rnn_exp.storage import is_done

    result = []
    for job in jobs:
        run = run_of(job)
        own = folder / str(job.hydra.sweep.subdir)
        result.append(Prepared(job, run, own, is_done(own, run)))
    return result


def refuse_shared_folders(jobs: list[Prepared]) -> None:
    """Refuse a sweep in which two different runs would write into one folder."""
    owners: dict[Path, Run] = {}
    for job in jobs:
        first = owners.setdefault(job.folder, job.run)
        if first != job.run:
            raise FileExistsError(
                f"hydra.sweep.subdir gives {first.name} and {job.run.name} the same folder "
                f"{job.folder}; let it differ, as ${{hydra.job.num}} does"
            )


class ChunkLauncher(Launcher):
    """Train runs that share shapes as one tensor program, each bit-identical to itself alone."""

    def __init__(self) -> None:
        self.prepared: list[Prepared] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs and return one result each, in order."""
        from rnn_exp import process
        from rnn_exp.experiment import chunks
        from rnn_exp.progress import SweepBar

        process.use_one_thread()
        jobs = self.prepared[initial_job_idx : initial_job_idx + len(job_overrides)]
        left = dict.fromkeys(job.run for job in jobs if not job.done)
        results: dict[Run, JobReturn] = {}
        name = Path(self.config.hydra.sweep.dir).name
        with closing(SweepBar(name, len(left))) as bar:
            for chunk in chunks(left):
                bar.start(chunk)
                for run, outcome in zip(chunk, _train(chunk, bar), strict=True):
                    job = next(job for job in jobs if job.run == run)
                    results[run] = self._run_job(job, outcome)
                bar.finish([_status(results[run]) for run in chunk])
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        _summarise(bar, len(jobs), sum(job.done for job in jobs), self.config.hydra.sweep.dir)
        return [results.get(job.run) or _already_there(job) for job in jobs]

    def _run_job(self, job: Prepared, outcome: "Outcome | Exception") -> JobReturn:
        """Let Hydra run the job; it finds its outcome waiting."""
        from rnn_exp._hydra.waiting import OUTCOMES

        token = OUTCOMES.set({job.run.digest: outcome})
        try:
            return run_job(
                hydra_context=self.context, task_function=self.task_function, config=job.config,
                job_dir_key="hydra.sweep.dir", job_subdir_key="hydra.sweep.subdir",
            )  # fmt: skip
        finally:
            OUTCOMES.reset(token)


def _train(chunk: "list[Run]", bar: Any) -> "list[Outcome | Exception]":  # noqa: ANN401
    """Train a chunk; if it fails as a whole, its runs one by one, so that one harms no other."""
    from rnn_exp.experiment import train_together

    updates = chunk[0].training.updates
    try:
        return list(train_together(chunk, lambda now: bar.watch(now, len(chunk), updates)))
    except Exception as error:
        if len(chunk) == 1:
            return [error]
        log.exception("a chunk of %d runs failed; training them one by one", len(chunk))
        return [outcome for run in chunk for outcome in _train([run], bar)]


def _status(job: JobReturn) -> str:
    return "failed" if job.status == JobStatus.FAILED else str(job.return_value)


def _already_there(job: Prepared) -> JobReturn:
    return JobReturn(
        overrides=list(job.config.hydra.overrides.task), cfg=job.config, status=JobStatus.COMPLETED,
        working_dir=str(job.folder), _return_value="already there",
    )  # fmt: skip


def _summarise(bar: Any, jobs: int, there: int, folder: str) -> None:  # noqa: ANN401
    counts = bar.counts
    print(f"{jobs} runs: {counts['done']} done, {counts['diverged']} of them diverged, "
          f"{counts['failed']} failed, {there} already there\n{folder}")  # fmt: skip
