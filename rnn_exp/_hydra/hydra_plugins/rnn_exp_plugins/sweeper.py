"""A sweeper that checks every run of the sweep before anything is written."""

import itertools
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from hydra_plugins.rnn_exp_plugins.launcher import ChunkLauncher
from omegaconf import OmegaConf

from rnn_exp import interrupts

if TYPE_CHECKING:
    from rnn_exp._hydra.composition import Composer
    from rnn_exp.storage.study import StudyPage

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
        from rnn_exp._hydra.plain import known_results
        from rnn_exp._hydra.refusals import GO_ON
        from rnn_exp._hydra.results import SweepResults

        context = _from_setup("hydra_context", self.hydra_context)
        config = _from_setup("config", self.config)
        launcher = _from_setup("launcher", self.launcher)
        said: Any = OmegaConf.to_container(config.hydra.overrides, resolve=False)
        loader, hydra_words = context.config_loader, said["hydra"]
        jobs = jobs_of_sweeper(arguments, config.hydra.sweeper, loader, hydra_words)
        page = page_from_config(config)
        refuse_unknown_figures(page, config.hydra.runtime.choices.get("study"))
        ours = isinstance(launcher, ChunkLauncher)
        composer = launcher.composer if ours else Composer(loader, config)
        known = known_results(composer, jobs) if ours else None
        if known is None:
            places, results = self._train(composer, jobs, page)
        else:  # what training needs is not imported
            interrupts.interruptible("rnn-exp", GO_ON)
            places, results = [(Path(str(each.working_dir)), True) for each in known], [known]
            with _begun(composer, [folder for folder, _ in places], page):
                pass
        ends = SweepResults.of(context)
        ends.ends = []  # one of Hydra's launchers has told what it knew
        for place, result in zip(places, itertools.chain.from_iterable(results), strict=True):
            ends.add(result, *place)
        return results

    def _train(
        self, composer: "Composer", jobs: list[list[str]], page: "StudyPage"
    ) -> tuple[list[tuple[Path, bool]], list[Sequence[JobReturn]]]:
        """Plan all jobs, and let the launcher train them.

        Returns:
            Each job's folder, and whether it was done before; and the results of each batch.
        """
        from rnn_exp._hydra.job import begin_sweep

        begin_sweep()
        from rnn_exp._hydra.plan import plan

        launcher = _from_setup("launcher", self.launcher)
        planned = plan(composer, jobs)
        results: list[Sequence[JobReturn]] = []
        with ExitStack() as stack:
            if isinstance(launcher, ChunkLauncher):
                stack.enter_context(launcher.session(planned))
            stack.enter_context(_begun(composer, [job.folder for job in planned], page))
            for batch in self.split_overrides_to_chunks(jobs, self.max_batch_size):
                results.append(launcher.launch(batch, sum(map(len, results))))
        return [(job.folder, job.done) for job in planned], results


@contextmanager
def _begun(composer: "Composer", folders: Sequence[Path], page: "StudyPage") -> Iterator[None]:
    """A context in which a sweep's folder is held, and says which runs it has.

    Args:
        composer: of its jobs.
        folders: of its runs.
        page: what its page asks and shows.
    """
    from rnn_exp._hydra.hydra_settings import naming_the_setting
    from rnn_exp.sweeps.run_list import write_run_list
    from rnn_exp.sweeps.status import worked_on

    sweep = Path(composer.folder)
    with naming_the_setting("hydra.sweep.dir", sweep):
        sweep.mkdir(parents=True, exist_ok=True)
    with worked_on(sweep):
        OmegaConf.save(composer.master, sweep / "multirun.yaml")
        names = dict.fromkeys(str(folder.relative_to(sweep)) for folder in folders)
        write_run_list(sweep, [*names], shlex.join(["rnn-exp", *sys.argv[1:]]), page)
        yield


def _from_setup(name: str, value: Value | None) -> Value:
    """Return an attribute that Hydra sets in ``setup``.

    Raises:
        RuntimeError: if ``setup`` was not called.
    """
    if value is None:
        raise RuntimeError(f"CheckedSweeper has no {name}: call setup() before sweep()")
    return value
