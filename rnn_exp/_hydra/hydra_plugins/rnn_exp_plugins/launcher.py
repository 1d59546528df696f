"""A launcher that trains the runs of a sweep together, on every core or on a cluster."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from rnn_exp._hydra.composition import Composer
    from rnn_exp._hydra.plan import PlannedJob
    from rnn_exp._hydra.sweep import Sweep
    from rnn_exp.sweeps.pool import Workers
    from rnn_exp.training.memory import Memory


class _Session(NamedTuple):
    """All jobs of a sweep, the workers that train them, and the memory that these have."""

    planned: "Sequence[PlannedJob]"
    workers: "Workers"
    memory: "Memory | None"


class ChunkLauncher(Launcher):
    """Train runs that share shapes as one tensor program, each bit-identical to itself alone.

    Any other task function is run as Hydra's own launcher runs it, one job after the other.

    Args:
        backend: where chunks are trained, as `rnn_exp.sweeps.pool.Pool` has it.
        processes: how many processes of this machine; None: as many as there are cores and work.
        address: of a cluster.
        checkpoint_seconds: seconds between two checkpoints.
    """

    def __init__(
        self,
        backend: str = "processes",
        processes: int | None = None,
        address: str | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self.backend, self.processes, self.address = backend, processes, address
        self.checkpoint_seconds = checkpoint_seconds
        self._session: _Session | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep Hydra's context, the task function and the configuration of the sweep."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run one batch of jobs.

        Within `session` the batch is a part of that plan, and its workers are used. Otherwise the
        batch is planned here and has workers of its own.

        Args:
            job_overrides: the words of the command line of each job.
            initial_job_idx: the number of the first job.

        Returns:
            One result a job, in order.
        """
        from rnn_exp._hydra.job import job

        setup_globals()
        try:
            if self.task_function is job:
                return self._train(job_overrides, initial_job_idx)
            return self._run(job_overrides, initial_job_idx)
        finally:
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    @functools.cached_property
    def composer(self) -> "Composer":
        """What composes the jobs: one for the plan and for all batches."""
        from rnn_exp._hydra.composition import Composer

        return Composer(self.context.config_loader, self.config)

    @contextmanager
    def session(self, planned: "Sequence[PlannedJob]") -> Iterator[_Session]:
        """A context in which all batches of a sweep share its plan and its workers.

        The workers are opened first, before anything is written: a cluster may not answer. Runs
        that need more memory than this machine has are refused; of a cluster nobody knows.

        Args:
            planned: all jobs of the sweep.

        Raises:
            SettingError: for a setting of the launcher that is not possible.
            NotEnoughMemory: for a run that is too large.
            ConnectionError: if the cluster cannot be reached.
        """
        from rnn_exp.fields import SettingError
        from rnn_exp.storage.checkpoint import seconds_from
        from rnn_exp.sweeps.sending import memory_for, open_workers

        seconds_from(self.checkpoint_seconds)
        left = [job.run for job in planned if not job.done]
        memory = memory_for(left, self.backend)
        try:
            workers = open_workers(left, memory, self.backend, self.processes, self.address)
        except SettingError as error:
            raise error.under("hydra.launcher") from None
        outer = self._session
        with closing(workers):
            self._session = _Session(planned, workers, memory)
            try:
                yield self._session
            finally:
                self._session = outer

    def _train(self, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        from rnn_exp._hydra.plan import plan
        from rnn_exp._hydra.sweep import Sweep

        sweep = Sweep(self.context, self.task_function, self.composer)
        if self._session is not None:
            batch = self._session.planned[first : first + len(jobs)]
            session = self._session
            return sweep.train(batch, session.workers, self.checkpoint_seconds, session.memory)
        return self._train_for_another_sweeper(sweep, plan(self.composer, jobs, first))

    def _train_for_another_sweeper(
        self, sweep: "Sweep", batch: "Sequence[PlannedJob]"
    ) -> list[JobReturn]:
        """Train a batch of a sweeper that is not `CheckedSweeper`, and print a line a run."""
        from rnn_exp._hydra.results import SweepResults, run_line

        with self.session(batch) as session:
            results = sweep.train(batch, session.workers, self.checkpoint_seconds, session.memory)
        ends = SweepResults.of(self.context)
        for job, result in zip(batch, results, strict=True):
            ends.add(result, job.folder, job.done)
            if result.status == JobStatus.COMPLETED:
                print(run_line(job.folder, job.folder, job.objective, job.done))
        return results

    def _run(self, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run any other task function, one job after the other."""
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        return [
            run_job(
                hydra_context=self.context,
                task_function=self.task_function,
                config=self.composer.compose(overrides, number),
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            for number, overrides in enumerate(jobs, start=first)
        ]
