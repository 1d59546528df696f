"""A sweeper that checks every run of the sweep before anything is written."""

import itertools
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra_plugins.rnn_exp_plugins.launcher import ChunkLauncher
from omegaconf import OmegaConf

Value = TypeVar("Value")


class CheckedSweeper(BasicSweeper):
    """Grids and unions of grids; all runs are planned and checked before the first.

    Args:
        max_batch_size: how many jobs the launcher gets at once; None: all.
        params: a grid, ``{"task.length": "10,30"}`` or ``{"task.length": [10, 30]}``.
        paired: a list of grids; each is trained with the whole of ``params``. The command line wins
            over both.
    """

    def __init__(
        self,
        max_batch_size: int | None,
        params: Mapping[str, Any] | None = None,
        paired: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        del params, paired  # `sweep` reads them where their interpolations are not resolved yet
        super().__init__(max_batch_size, {})

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Train all jobs.

        Args:
            arguments: the words of the command line.

        Returns:
            The results of each batch.

        Raises:
            SettingError, FileExistsError, …: for the first run that is not possible.
            BlockingIOError: if another process trains a sweep in the same folder.
            ConnectionError: if a cluster does not answer.
        """
        from rnn_exp._hydra.besides import page_from_config, refuse_unknown_figures
        from rnn_exp._hydra.composition import Composer
        from rnn_exp._hydra.grids import jobs_of_sweeper
        from rnn_exp._hydra.plan import plan
        from rnn_exp._hydra.results import SweepResults
        from rnn_exp.sweeps.run_list import write_run_list
        from rnn_exp.sweeps.status import worked_on

        context = _from_setup("hydra_context", self.hydra_context)
        config = _from_setup("config", self.config)
        launcher = _from_setup("launcher", self.launcher)
        said: Any = OmegaConf.to_container(config.hydra.overrides, resolve=False)
        loader, hydra_words = context.config_loader, said["hydra"]
        jobs = jobs_of_sweeper(arguments, config.hydra.sweeper, loader, hydra_words)
        ours = isinstance(launcher, ChunkLauncher)
        page = page_from_config(config)
        refuse_unknown_figures(page, config.hydra.runtime.choices.get("study"))
        planned = plan(launcher.composer if ours else Composer(context.config_loader, config), jobs)
        folder = Path(config.hydra.sweep.dir)
        with ExitStack() as stack:
            if ours:
                stack.enter_context(launcher.session(planned))
            stack.enter_context(worked_on(folder))
            OmegaConf.save(config, folder / "multirun.yaml")
            names = dict.fromkeys(str(job.folder.relative_to(folder)) for job in planned)
            write_run_list(folder, list(names), shlex.join(["rnn-exp", *sys.argv[1:]]), page)
            results: list[Sequence[JobReturn]] = []
            for batch in self.split_overrides_to_chunks(jobs, self.max_batch_size):
                results.append(launcher.launch(batch, sum(map(len, results))))
        ends = SweepResults.of(context)
        ends.ends = []  # one of Hydra's launchers has told what it knew
        for job, result in zip(planned, itertools.chain.from_iterable(results), strict=True):
            ends.add(result, job.folder, job.done)
        return results


def _from_setup(name: str, value: Value | None) -> Value:
    """Return an attribute that Hydra sets in ``setup``.

    Raises:
        RuntimeError: if ``setup`` was not called.
    """
    if value is None:
        raise RuntimeError(f"CheckedSweeper has no {name}: call setup() before sweep()")
    return value
