"""A sweeper that looks at every run of the sweep before anything is written."""

import sys
from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra_plugins.rnn_exp_plugins.launcher import (
    ChunkLauncher,
    Prepared,
    compose,
    prepare,
    refuse_shared_folders,
)
from omegaconf import OmegaConf


class CheckedSweeper(BasicSweeper):
    """Hydra's own grid; all runs are composed and checked before the first starts."""

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the grid. Exit code 1 if a run failed, when all others are done."""
        context, config, launcher = self.hydra_context, self.config, self.launcher
        assert context is not None
        assert config is not None
        assert launcher is not None
        parser = OverridesParser.create(config_loader=context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(overrides, self.max_batch_size)
        folder = Path(config.hydra.sweep.dir)
        prepared: list[Prepared] = []
        for batch in batches:
            prepared += prepare(compose(context, config, batch, len(prepared)), folder)
        refuse_shared_folders(prepared)
        if isinstance(launcher, ChunkLauncher):
            launcher.prepared = prepared
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "multirun.yaml")
        results: list[Sequence[JobReturn]] = []
        for batch in batches:
            results.append(launcher.launch(batch, sum(map(len, results))))
        _leave_if_failed([job for batch in results for job in batch])
        return results


def _leave_if_failed(jobs: list[JobReturn]) -> None:
    """Print each failure in a line, and leave with exit code 1 if there was one."""
    failed = [job for job in jobs if job.status != JobStatus.COMPLETED]
    for job in failed:
        reason = job._return_value
        print(
            f"failed: {' '.join(job.overrides or [])}: {type(reason).__name__}: {reason}",
            file=sys.stderr,
        )
    if failed:
        sys.exit(f"rnn-exp: {len(failed)} of {len(jobs)} runs failed; see run.log in their folders")
