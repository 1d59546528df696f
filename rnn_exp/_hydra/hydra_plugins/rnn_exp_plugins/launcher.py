"""A launcher that trains the runs of a sweep together, on every core or on a cluster."""

import functools
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from rnn_exp._hydra.composition import Composer
    from rnn_exp._hydra.plan import Planned
    from rnn_exp.sweeps.pool import Pool, Workers


class ChunkLauncher(Launcher):
    """Train runs that share shapes as one tensor program, each bit-identical to itself alone.

    Any other task function is run as Hydra's own launcher runs it, one job after the other.
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
        self.planned: list[Planned] = []
        self.workers: Workers | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra hands over."""
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run all jobs and return one result each, in order."""
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
        """What composes the jobs: one for the sweeper's plan and for all batches."""
        from rnn_exp._hydra.composition import Composer

        return Composer(self.context.config_loader, self.config)

    def _train(self, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        from rnn_exp._hydra.plan import plan
        from rnn_exp._hydra.sweep import Sweep

        self._refuse_environment()
        planned = self.planned[first : first + len(jobs)]
        if not planned:  # a sweeper that is not ours
            planned = plan(self.composer, jobs, first)
        sweep = Sweep(self.context, self.task_function, self.composer)
        with self.opened(planned) as workers:
            return sweep.train(planned, workers, self.checkpoint_seconds)

    def _refuse_environment(self) -> None:
        """Refuse variables that would have to differ between runs of one process."""
        from rnn_exp.fields import SettingError

        wanted = dict(self.config.hydra.job.env_set)
        if wanted:
            raise SettingError(
                "hydra.job.env_set",
                wanted,
                "nothing in a sweep, whose runs share processes; set it in the "
                "shell, or use hydra/launcher=basic",
            )

    @contextmanager
    def opened(self, planned: "Sequence[Planned]") -> Iterator["Workers"]:
        """Have the workers ready: before anything is written, for a cluster may not answer."""
        from rnn_exp.fields import SettingError
        from rnn_exp.storage.checkpoint import seconds_from

        seconds_from(self.checkpoint_seconds)
        if self.workers is not None:
            yield self.workers
            return
        try:
            workers = self._pool(planned).open()
        except SettingError as error:
            raise error.under("hydra.launcher") from None
        with closing(workers) as self.workers:
            try:
                yield workers
            finally:
                self.workers = None

    def _pool(self, planned: "Sequence[Planned]") -> "Pool":
        """Return where the chunks go: by default as many processes as there are cores and work."""
        from rnn_exp.sweeps import process
        from rnn_exp.sweeps.pool import Pool
        from rnn_exp.training.experiment import processes_for

        left = [job.run for job in planned if not job.done]
        count = self.processes
        if count is None:
            count = processes_for(left, process.cores())
        pool = Pool(self.backend, count, self.address)
        return pool if left else Pool()  # nobody is needed where nothing is left to do

    def _run(self, jobs: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
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
