"""A sweep in progress: planned jobs go out as chunks, and what became of them comes back."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rnn_exp._hydra.composition import Composer, texts
from rnn_exp._hydra.job import Failed, Gate, run_of
from rnn_exp._hydra.plan import Planned
from rnn_exp.sweeps.pool import Lost, Workers, spread
from rnn_exp.sweeps.progress import SweepBar
from rnn_exp.sweeps.worker import THERE, Assignment, Ended, Job, carry_out, clear, lose
from rnn_exp.training import experiment
from rnn_exp.training.run import Run

__all__ = ["Sweep"]


class Sweep:
    """The jobs of one sweep, from their plan to their ends."""

    def __init__(self, context: HydraContext, task: TaskFunction, composer: Composer) -> None:
        self.context, self.task, self.composer = context, task, composer
        self.folder = Path(composer.master.hydra.sweep.dir)
        self.configs: dict[Run, DictConfig] = {}
        self.numbers = itertools.count()
        # Only callbacks of the user's own want to see each job's configuration, until it ends.
        self.is_listened_to = any(
            not isinstance(callback, Gate) for callback in context.callbacks.callbacks
        )

    def train(self, jobs: Sequence[Planned], workers: Workers, seconds: float) -> list[JobReturn]:
        """Train what is not there yet, and say of each job how it ended.

        Raises:
            ConnectionError: if the cluster is gone.
        """
        planned = {job.run: job for job in jobs}
        for job in planned.values():
            if job.done:
                clear(job.folder)
        left = [run for run, job in planned.items() if not job.done]
        ends = {run: Ended(THERE) for run, job in planned.items() if job.done}
        chunks = experiment.chunks(left, processes=workers.count())
        work = sum(map(experiment.seconds, left))
        with closing(SweepBar(self.folder, len(planned), len(ends), work)) as bar:
            here = workers.is_here
            function = functools.partial(carry_out, look=bar.look if here else workers.look())
            others: AbstractContextManager[None] = nullcontext() if here else bar.watching()
            with others:
                while chunks:
                    sent = self._assignments(chunks, planned, bar, seconds)
                    ended, chunks = self._received(spread(function, sent, workers), bar)
                    ends |= ended
        _summarise(ends, self.folder)
        return [_returned(job, ends[job.run]) for job in jobs]

    def _received(
        self, results: Iterable[tuple[Assignment, list[Ended] | Lost]], bar: SweepBar
    ) -> tuple[dict[Run, Ended], list[list[Run]]]:
        """Return how the runs ended, and the halves of the chunks that were lost."""
        ends: dict[Run, Ended] = {}
        halves: list[list[Run]] = []
        for sent, result in results:
            if isinstance(result, Lost) and len(sent.jobs) > 1:
                bar.give_back(sent.name)
                halves += _halves(sent)
                continue
            ended = self._ended(sent, result)
            bar.finish(sent.name, [how.status for how in ended.values()])
            ends |= ended
        return ends, halves

    def _assignments(
        self,
        chunks: Sequence[Sequence[Run]],
        planned: dict[Run, Planned],
        bar: SweepBar,
        seconds: float,
    ) -> Iterator[Assignment]:
        """Compose the jobs of one chunk after the other, each when it is due."""
        for runs in chunks:
            name = f"chunk-{next(self.numbers)}"
            jobs = [self._job(planned[run]) for run in runs]
            bar.begin(name, sum(map(experiment.seconds, runs)))
            yield Assignment(name, jobs, self.folder.absolute(), seconds)

    def _job(self, planned: Planned) -> Job:
        compose = self.composer.compose if self.is_listened_to else self.composer.revise
        config = compose(planned.overrides, planned.number)
        folder = planned.folder.absolute()
        with open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(folder)
        if run_of(config) != planned.run:
            raise AssertionError(f"{planned.run.name} was planned, {run_of(config).name} composed")
        if self.is_listened_to:
            self.configs[planned.run] = config
            self.context.callbacks.on_job_start(config=config, task_function=self.task)
        logging: Any = OmegaConf.to_container(config.hydra.job_logging, resolve=True)
        return Job(planned.run, folder, texts(config), logging)

    def _ended(self, sent: Assignment, result: list[Ended] | Lost) -> dict[Run, Ended]:
        """Note how the jobs of a chunk ended, and tell Hydra's callbacks."""
        runs = [job.run for job in sent.jobs]
        if isinstance(result, Lost):
            result = [lose(job, result) for job in sent.jobs]
        ended = {
            # Done by a process that then was killed: this sweep trained it all the same.
            run: Ended(how.told) if how.status == THERE else how
            for run, how in zip(runs, result, strict=True)
        }
        for run, how in ended.items() if self.is_listened_to else ():
            config = self.configs.pop(run)
            folder = Path(config.hydra.runtime.output_dir)
            end = _returned(Planned(0, config.hydra.overrides.task, run, folder, done=True), how)
            self.context.callbacks.on_job_end(config=config, job_return=end)
        return ended


def _halves(sent: Assignment) -> list[list[Run]]:
    """Return the runs of a lost chunk in two parts: one of them ends its process, maybe."""
    runs = [job.run for job in sent.jobs]
    return [runs[: len(runs) // 2], runs[len(runs) // 2 :]]


def _returned(job: Planned, ended: Ended) -> JobReturn:
    """Return what Hydra is told of a job: no configuration, so that it takes no memory."""
    failed = bool(ended.failure)
    return JobReturn(
        overrides=list(job.overrides),
        working_dir=str(job.folder),
        task_name="run",
        status=JobStatus.FAILED if failed else JobStatus.COMPLETED,
        _return_value=Failed(ended.failure) if failed else ended.status,
    )


def _summarise(ends: dict[Run, Ended], folder: Path) -> None:
    statuses = [how.status for how in ends.values()]
    failed, there = statuses.count("failed"), statuses.count(THERE)
    print(
        f"{len(ends)} run{'s' if len(ends) != 1 else ''}: {len(ends) - failed - there} done, "
        f"{statuses.count('diverged')} of them diverged, {failed} failed, {there} already there\n"
        f"{folder}"
    )
