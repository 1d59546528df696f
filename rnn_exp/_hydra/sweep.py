"""Training a sweep: planned jobs are sent to workers in chunks, and their results collected."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rnn_exp._hydra.besides import objective_from_config
from rnn_exp._hydra.composition import Composer, HydraFiles
from rnn_exp._hydra.job import CheckBeforeStart, run_from_config
from rnn_exp._hydra.plan import PlannedJob
from rnn_exp._hydra.refusals import RunError
from rnn_exp._hydra.results import DoneReturn, SweepResults
from rnn_exp.sweeps.jobs import Job, JobResult
from rnn_exp.sweeps.pool import Workers
from rnn_exp.sweeps.sending import Place, Sender
from rnn_exp.training.memory import Memory
from rnn_exp.training.run import Run

__all__ = ["Sweep", "logging_of"]

_OF_LOGS: Final = ("runtime.output_dir", "job.name")


class Sweep:
    """Trains the jobs of one sweep.

    Args:
        context: Hydra's context, with the callbacks.
        task: the task function, which callbacks are called with.
        composer: composes the jobs.
    """

    def __init__(self, context: HydraContext, task: TaskFunction, composer: Composer) -> None:
        self.context, self.task, self.composer = context, task, composer
        self.files = HydraFiles()
        self.folder = Path(composer.master.hydra.sweep.dir)
        self.configs: dict[Run, DictConfig] = {}
        self.planned: dict[Run, PlannedJob] = {}
        self.sender = Sender(self.folder, self._job, self._call_back)
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
        self.planned = {job.run: job for job in jobs}
        places = {run: Place(job.folder, job.done) for run, job in self.planned.items()}
        results = self.sender.train(places, workers, checkpoint_seconds, memory)
        return [_job_return(job, results[job.run]) for job in jobs]

    def _job(self, run: Run) -> Job:
        """Compose a run's job, and call the users' callbacks of its start.

        Raises:
            RuntimeError: if the configuration describes another run than was planned.
        """
        planned = self.planned[run]
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
        files, logging = self.files.of(config), logging_of(config)
        return Job(planned.run, folder, files, logging, tracking=planned.tracking)

    def _call_back(self, results: Mapping[Run, JobResult]) -> None:
        """Call the users' callbacks of the ends of jobs."""
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


def logging_of(config: DictConfig) -> dict[str, Any]:
    """Return how a job's log is written, with ``hydra.verbose`` obeyed as Hydra does."""
    logging: Any = OmegaConf.to_container(config.hydra.job_logging, resolve=False)
    if "\\" not in str(logging):  # with it an interpolation may be none
        usual = {f"${{hydra.{key}}}": str(OmegaConf.select(config.hydra, key)) for key in _OF_LOGS}
        logging = _replaced(logging, usual)
    if "${" in str(logging):  # OmegaConf does that as well, but takes a millisecond
        logging = OmegaConf.to_container(config.hydra.job_logging, resolve=True)
    verbose = config.hydra.verbose
    if verbose is True and logging.get("root"):
        logging["root"]["level"] = "DEBUG"
    names = [verbose] if isinstance(verbose, str) else [] if isinstance(verbose, bool) else verbose
    for name in names:
        logging.setdefault("loggers", {}).setdefault(str(name), {})["level"] = "DEBUG"
    return logging


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:  # noqa: ANN401 - plain values
    """Return values of a configuration with some interpolations replaced by what they stand for."""
    if isinstance(value, dict):
        return {key: _replaced(each, texts) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, texts) for each in value]
    for name, text in texts.items() if isinstance(value, str) else ():
        value = value.replace(name, text)
    return value


def _job_return(job: PlannedJob, result: JobResult) -> JobReturn:
    """Return a job's result for Hydra, without the configuration, which would take memory."""
    if result.failure:
        failed, error = JobStatus.FAILED, RunError(result.failure)
        return JobReturn([*job.overrides], None, None, str(job.folder), "run", failed, error)
    return DoneReturn.of(job.overrides, job.folder, job.objective)
