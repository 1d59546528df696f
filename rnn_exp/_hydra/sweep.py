"""Training a sweep: planned jobs are sent to workers in chunks, and their results collected."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rnn_exp._hydra.composition import Composer, hydra_files
from rnn_exp._hydra.job import CheckBeforeStart, RunError, run_from_config
from rnn_exp._hydra.plan import PlannedJob
from rnn_exp.sweeps.pool import LostWorker, Workers, map_unordered
from rnn_exp.sweeps.progress import SweepBar
from rnn_exp.sweeps.worker import (
    ALREADY_THERE,
    Assignment,
    Job,
    JobResult,
    mark_lost,
    remove_leftovers,
    train_assignment,
)
from rnn_exp.training import experiment
from rnn_exp.training.run import Run

__all__ = ["Sweep"]


class Sweep:
    """Trains the jobs of one sweep.

    Args:
        context: Hydra's context, with the callbacks.
        task: the task function, which callbacks are called with.
        composer: composes the jobs.
    """

    def __init__(self, context: HydraContext, task: TaskFunction, composer: Composer) -> None:
        self.context, self.task, self.composer = context, task, composer
        self.folder = Path(composer.master.hydra.sweep.dir)
        self.configs: dict[Run, DictConfig] = {}
        self.chunk_numbers = itertools.count()
        # Only a user's own callbacks need each job's configuration, which is kept until it ends.
        self.has_user_callbacks = any(
            not isinstance(callback, CheckBeforeStart) for callback in context.callbacks.callbacks
        )

    def train(
        self, jobs: Sequence[PlannedJob], workers: Workers, checkpoint_seconds: float
    ) -> list[JobReturn]:
        """Train the jobs that are not done, and print how many ended in which way.

        Args:
            jobs: all jobs of the sweep, or of one batch.
            workers: open workers.
            checkpoint_seconds: seconds between two checkpoints.

        Returns:
            One result a job, in their order.

        Raises:
            ConnectionError: if the cluster is gone.
        """
        planned = {job.run: job for job in jobs}
        for job in planned.values():
            if job.done:
                remove_leftovers(job.folder)
        left = [run for run, job in planned.items() if not job.done]
        results = {run: JobResult(ALREADY_THERE) for run, job in planned.items() if job.done}
        chunks = experiment.chunks(left, processes=workers.count())
        work = sum(map(experiment.seconds, left))
        with closing(SweepBar(self.folder, len(planned), len(results), work)) as bar:
            on_update = bar.refresh if workers.in_this_process else workers.stop_check()
            function = functools.partial(train_assignment, on_update=on_update)
            with nullcontext() if workers.in_this_process else bar.refresh_in_background():
                while chunks:
                    sent = self._assignments(chunks, planned, bar, checkpoint_seconds)
                    collected, chunks = self._collect(map_unordered(function, sent, workers), bar)
                    results |= collected
        _print_summary(results, self.folder)
        return [_job_return(job, results[job.run]) for job in jobs]

    def _assignments(
        self,
        chunks: Sequence[Sequence[Run]],
        planned: dict[Run, PlannedJob],
        bar: SweepBar,
        checkpoint_seconds: float,
    ) -> Iterator[Assignment]:
        """Yield one chunk after the other; its jobs are composed when it is asked for."""
        for runs in chunks:
            name = f"chunk-{next(self.chunk_numbers)}"
            jobs = [self._job(planned[run]) for run in runs]
            bar.start_chunk(name, sum(map(experiment.seconds, runs)))
            yield Assignment(name, jobs, self.folder.absolute(), checkpoint_seconds)

    def _job(self, planned: PlannedJob) -> Job:
        """Compose a job, and call the users' callbacks of its start.

        Raises:
            RuntimeError: if the configuration describes another run than was planned.
        """
        compose = self.composer.compose if self.has_user_callbacks else self.composer.revise
        config = compose(planned.overrides, planned.number)
        folder = planned.folder.absolute()
        with open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder)
        composed = run_from_config(config)
        if composed != planned.run:
            raise RuntimeError(f"{planned.run.name} was planned, but {composed.name} was composed")
        if self.has_user_callbacks:
            self.configs[planned.run] = config
            self.context.callbacks.on_job_start(config=config, task_function=self.task)
        return Job(planned.run, folder, hydra_files(config), _logging(config))

    def _collect(
        self, results: Iterable[tuple[Assignment, list[JobResult] | LostWorker]], bar: SweepBar
    ) -> tuple[dict[Run, JobResult], list[list[Run]]]:
        """Return the results of the jobs, and the halves of lost chunks, which are to be sent."""
        collected: dict[Run, JobResult] = {}
        halves: list[list[Run]] = []
        for sent, result in results:
            if isinstance(result, LostWorker) and len(sent.jobs) > 1:
                bar.drop_chunk(sent.name)
                halves += _halves(sent)
                continue
            of_chunk = self._chunk_results(sent, result)
            bar.finish_chunk(sent.name, [each.status for each in of_chunk.values()])
            collected |= of_chunk
        return collected, halves

    def _chunk_results(
        self, sent: Assignment, returned: list[JobResult] | LostWorker
    ) -> dict[Run, JobResult]:
        """Return the results of a chunk's jobs, and call the users' callbacks of their ends."""
        if isinstance(returned, LostWorker):
            returned = [mark_lost(job, returned) for job in sent.jobs]
        results = {
            # A worker that was killed just after it had finished the run: this sweep trained it.
            job.run: JobResult(result.message) if result.status == ALREADY_THERE else result
            for job, result in zip(sent.jobs, returned, strict=True)
        }
        for run, result in results.items() if self.has_user_callbacks else ():
            config = self.configs.pop(run)
            folder = Path(config.hydra.runtime.output_dir)
            job = PlannedJob(config.hydra.job.num, config.hydra.overrides.task, run, folder, True)
            self.context.callbacks.on_job_end(config=config, job_return=_job_return(job, result))
        return results


def _logging(config: DictConfig) -> dict[str, Any]:
    """Return how a job's log is written, with ``hydra.verbose`` obeyed as Hydra does."""
    logging: Any = OmegaConf.to_container(config.hydra.job_logging, resolve=True)
    verbose = config.hydra.verbose
    if verbose is True and logging.get("root"):
        logging["root"]["level"] = "DEBUG"
    names = [verbose] if isinstance(verbose, str) else [] if isinstance(verbose, bool) else verbose
    for name in names:
        logging.setdefault("loggers", {}).setdefault(str(name), {})["level"] = "DEBUG"
    return logging


def _halves(sent: Assignment) -> list[list[Run]]:
    """Return the runs of a lost chunk in two parts: perhaps one run alone ends its process."""
    runs = [job.run for job in sent.jobs]
    return [runs[: len(runs) // 2], runs[len(runs) // 2 :]]


def _job_return(job: PlannedJob, result: JobResult) -> JobReturn:
    """Return a job's result for Hydra, without the configuration, which would take memory."""
    failed = bool(result.failure)
    return JobReturn(
        overrides=list(job.overrides),
        working_dir=str(job.folder),
        task_name="run",
        status=JobStatus.FAILED if failed else JobStatus.COMPLETED,
        _return_value=RunError(result.failure) if failed else result.status,
    )


def _print_summary(results: dict[Run, JobResult], folder: Path) -> None:
    statuses = [result.status for result in results.values()]
    failed, already_there = statuses.count("failed"), statuses.count(ALREADY_THERE)
    print(
        f"{len(results)} run{'s' if len(results) != 1 else ''}: "
        f"{len(results) - failed - already_there} done, "
        f"{statuses.count('diverged')} of them diverged, "
        f"{failed} failed, {already_there} already there\n{folder}"
    )
