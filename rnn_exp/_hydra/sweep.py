"""Training a sweep: planned jobs are sent to workers in chunks, and their results collected."""

import dataclasses
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
from rnn_exp._hydra.job import CheckBeforeStart, objective_from_config, run_from_config
from rnn_exp._hydra.plan import PlannedJob
from rnn_exp._hydra.refusals import RunError
from rnn_exp._hydra.results import SweepResults
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.writing import relabel
from rnn_exp.sweeps.jobs import ALREADY_THERE, Assignment, Job, JobResult
from rnn_exp.sweeps.pool import LostWorker, Workers, map_unordered
from rnn_exp.sweeps.progress import SweepBar
from rnn_exp.sweeps.worker import mark_lost, remove_leftovers, train_assignment
from rnn_exp.training import planning
from rnn_exp.training.memory import Memory
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
            not isinstance(callback, (CheckBeforeStart, SweepResults))
            for callback in context.callbacks.callbacks
        )

    def train(
        self,
        jobs: Sequence[PlannedJob],
        workers: Workers,
        checkpoint_seconds: float,
        memory: Memory | None = None,
    ) -> list[JobReturn]:
        """Train the jobs that are not done.

        Args:
            jobs: all jobs of the sweep, or of one batch.
            workers: open workers.
            checkpoint_seconds: seconds between two checkpoints.
            memory: what the workers have; None: enough. What needs much of it trains last.

        Returns:
            One result a job, in their order.

        Raises:
            ConnectionError: if the cluster is gone, or no process can be started.
        """
        planned = {job.run: job for job in jobs}
        relabelled = 0
        for job in planned.values():
            if job.done:
                remove_leftovers(job.folder)
                relabelled += relabel(job.folder, job.run)
        left = [run for run, job in planned.items() if not job.done]
        results = {run: JobResult(ALREADY_THERE) for run, job in planned.items() if job.done}
        count = workers.count()
        share = None if memory is None else min(memory.each, memory.together // count)
        chunks = planning.chunks(left, processes=count, memory=share)
        work = sum(map(planning.seconds, left))
        with closing(SweepBar(self.folder, len(planned), len(results), work)) as bar:
            on_update = bar.refresh if workers.in_this_process else workers.stop_check()
            function = functools.partial(train_assignment, on_update=on_update)
            with nullcontext() if workers.in_this_process else bar.refresh_in_background():
                while chunks:
                    stages, chunks = planning.stages(chunks, count, memory), []
                    for at_once, together in stages:
                        sent = self._assignments(together, planned, bar, checkpoint_seconds)
                        limit = at_once if at_once < count else None
                        found = map_unordered(function, sent, workers, limit)
                        collected, halves = self._collect(found, bar)
                        results |= collected
                        chunks += halves  # of chunks whose process ended: they are sent again
        if relabelled:
            print(f"{relabelled} of the runs already there have another note or other tags now")
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
            bar.start_chunk(name, sum(map(planning.seconds, runs)))
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
            job = PlannedJob(
                number=config.hydra.job.num,
                overrides=config.hydra.overrides.task,
                run=run,
                folder=folder,
                done=True,
                objective=objective_from_config(config),
            )
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


@dataclasses.dataclass
class _ObjectiveReturn(JobReturn):
    """The result of a run that is done; its objective is read when somebody asks for it."""

    objective: Objective = dataclasses.field(default_factory=Objective)

    @property
    def return_value(self) -> float | None:
        """The run's objective, None if it has no such number."""
        return self.objective.of(Path(str(self.working_dir)))

    @return_value.setter
    def return_value(self, value: object) -> None:
        """Refuse another one.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"the objective is what run.json says, not {value}")


def _job_return(job: PlannedJob, result: JobResult) -> JobReturn:
    """Return a job's result for Hydra, without the configuration, which would take memory."""
    overrides, folder = list(job.overrides), str(job.folder)
    if result.failure:
        failed, error = JobStatus.FAILED, RunError(result.failure)
        return JobReturn(overrides, None, None, folder, "run", failed, error)
    done = JobStatus.COMPLETED
    return _ObjectiveReturn(overrides, None, None, folder, "run", done, objective=job.objective)
