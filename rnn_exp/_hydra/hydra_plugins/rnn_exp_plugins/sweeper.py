"""A sweeper that checks every run of the sweep before anything is written."""

import itertools
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra_plugins.rnn_exp_plugins.launcher import ChunkLauncher
from omegaconf import OmegaConf

Value = TypeVar("Value")

# Whoever asks how a sweep stands has its lock for a moment, which must not refuse a new one.
_SECONDS_FOR_LOOKERS = 0.5


class CheckedSweeper(BasicSweeper):
    """Hydra's own grid, and paired values; all runs are planned and checked before the first.

    Args:
        max_batch_size: how many jobs the launcher gets at once; None: all.
        params: the grid, as on the command line: ``{"task.length": "10,30"}``.
        paired: a list of combinations, each a mapping from keys to values: the grid of all other
            values is trained with each of them. The command line wins over both.
    """

    def __init__(
        self,
        max_batch_size: int | None,
        params: Mapping[str, Any] | None = None,
        paired: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(max_batch_size, dict(params or {}))
        self.paired = paired

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
        from rnn_exp._hydra.composition import Composer
        from rnn_exp._hydra.plan import plan
        from rnn_exp._hydra.results import SweepResults
        from rnn_exp.storage.files import held
        from rnn_exp.sweeps.status import remove_heartbeats, write_run_list

        context = _from_setup("hydra_context", self.hydra_context)
        config = _from_setup("config", self.config)
        launcher = _from_setup("launcher", self.launcher)
        jobs = self._jobs(arguments)
        ours = isinstance(launcher, ChunkLauncher)
        planned = plan(launcher.composer if ours else Composer(context.config_loader, config), jobs)
        folder = Path(config.hydra.sweep.dir)
        with ExitStack() as stack:
            if ours:
                stack.enter_context(launcher.session(planned))
            stack.enter_context(held(folder, _SECONDS_FOR_LOOKERS))
            remove_heartbeats(folder)
            OmegaConf.save(config, folder / "multirun.yaml")
            names = dict.fromkeys(str(job.folder.relative_to(folder)) for job in planned)
            write_run_list(folder, list(names), shlex.join(["rnn-exp", *sys.argv[1:]]))
            results: list[Sequence[JobReturn]] = []
            for batch in self.split_overrides_to_chunks(jobs, self.max_batch_size):
                results.append(launcher.launch(batch, sum(map(len, results))))
        ends = SweepResults.of(context)
        ends.ends = []  # one of Hydra's launchers has told what it knew
        for job, result in zip(planned, itertools.chain.from_iterable(results), strict=True):
            ends.add(result, job.folder, job.done)
        return results

    def _jobs(self, arguments: list[str]) -> list[list[str]]:
        """Return the words of every job: each combination of paired values with the whole grid."""
        context = _from_setup("hydra_context", self.hydra_context)
        parser = OverridesParser.create(config_loader=context.config_loader)
        typed = parser.parse_overrides(arguments)
        given = {override.get_key_element() for override in typed}
        combinations = self._combinations(given)
        keys = {key for combination in combinations for key in combination}
        grid = [
            word
            for word in parser.parse_overrides(self._parse_config())
            if word.get_key_element() not in keys
        ]
        [jobs] = self.split_arguments([*grid, *typed], None)
        words = [
            [_word(parser, key, value) for key, value in combination.items()]
            for combination in combinations
        ]
        return [[*pair, *job] for pair, job in itertools.product(words, jobs)]

    def _combinations(self, given: set[str]) -> list[dict[str, Any]]:
        """Return the paired values without what the command line gives, each combination once."""
        from rnn_exp.fields import SettingError

        result: list[dict[str, Any]] = []
        for pair in self.paired or [{}]:
            if not isinstance(pair, Mapping):
                raise SettingError("hydra.sweeper.paired", pair, "a list of {key: value, …}")
            left = {str(key): value for key, value in pair.items() if str(key) not in given}
            if left not in result:
                result.append(left)
        if len({frozenset(pair) for pair in result}) > 1:
            raise SettingError(
                "hydra.sweeper.paired",
                list(map(list, result)),
                "combinations that all have the same keys",
            )
        return result


def _from_setup(name: str, value: Value | None) -> Value:
    """Return an attribute that Hydra sets in ``setup``.

    Raises:
        RuntimeError: if ``setup`` was not called.
    """
    if value is None:
        raise RuntimeError(f"CheckedSweeper has no {name}: call setup() before sweep()")
    return value


def _word(parser: OverridesParser, key: str, value: object) -> str:
    """Return a paired value as a word of the command line."""
    from rnn_exp.fields import as_typed

    [override] = parser.parse_overrides([f"{key}={as_typed(value)}"])
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"
