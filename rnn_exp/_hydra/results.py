"""What is said when runs have ended: a line a run, a summary, failures, the next command.

It is said under any launcher and any sweeper of Hydra's: whoever knows how jobs ended tells
`SweepResults`, a callback, which speaks when the sweep is over.
"""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any, NamedTuple

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig

from rnn_exp._hydra.messages import print_failures
from rnn_exp.program import end_after_lost_output
from rnn_exp.schema import DONE, RUN_JSON
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.trust import read_json
from rnn_exp.words import plural

__all__ = ["DoneReturn", "SweepResults", "message_of", "next_line", "run_line"]


@dataclasses.dataclass
class DoneReturn(JobReturn):
    """The result of a run that is done; its objective is read when somebody asks for it."""

    objective: Objective = dataclasses.field(default_factory=Objective)

    @classmethod
    def of(cls, overrides: Sequence[str], folder: Path, objective: Objective) -> "DoneReturn":
        """Return it without the configuration, which would take memory.

        Args:
            overrides: the job's words of the command line.
            folder: of the run.
            objective: the number of it that a search looks at.
        """
        done = JobStatus.COMPLETED
        return cls([*overrides], None, None, str(folder), "run", done, objective=objective)

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


class _JobEnd(NamedTuple):
    """How a job ended: Hydra's result, the run's folder, whether the run was done before."""

    result: JobReturn
    folder: Path
    was_done: bool

    @property
    def word(self) -> str:
        """The status of the run, or that it was there before."""
        if self.result.status != JobStatus.COMPLETED:
            return "failed"
        return "already there" if self.was_done else str(_said(self.folder)["status"])


class SweepResults(Callback):
    """Collects how the jobs of a sweep ended, and says it at the end.

    Hydra calls it for every job that a launcher runs in this process; `CheckedSweeper` and
    `ChunkLauncher` tell it of the jobs that they know.
    """

    def __init__(self) -> None:
        self.ends: list[_JobEnd] = []
        self.begun = time()

    @classmethod
    def of(cls, context: HydraContext) -> "SweepResults":
        """Return the one among Hydra's callbacks; it is added where the user took it away."""
        callbacks = context.callbacks.callbacks
        found = next((each for each in callbacks if isinstance(each, cls)), None)
        if found is None:
            found = cls()
            callbacks.append(found)
        return found

    def add(self, result: JobReturn, folder: Path, was_done: bool) -> None:
        """Note how a job ended."""
        self.ends.append(_JobEnd(result, folder, was_done))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Note how a job of one of Hydra's own launchers ended."""
        del kwargs
        folder = Path(config.hydra.runtime.output_dir)
        path = folder / RUN_JSON
        was_done = path.exists() and path.stat().st_mtime < self.begun
        self.add(job_return, folder, was_done)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Print how many runs ended in which way, the folder, the next command, the failures."""
        del kwargs
        if not self.ends:
            return
        try:
            self._print(config)
        except OSError as error:  # Hydra would make a warning of it
            end_after_lost_output("rnn-exp", error)

    def _print(self, config: DictConfig) -> None:
        # A run that the sweep names twice is one run.
        ends: dict[Path, tuple[int, _JobEnd]] = {}
        for number, end in enumerate(self.ends):
            ends.setdefault(end.folder.absolute(), (number, end))
        words = [end.word for _, end in ends.values()]
        folder = Path(config.hydra.sweep.dir)
        failed, already_there = words.count("failed"), words.count("already there")
        print(
            f"{plural(len(words), 'run')}: "
            f"{len(words) - failed - already_there} done, "
            f"{words.count('diverged')} of them diverged, "
            f"{failed} failed, {already_there} already there\n{folder}"
        )
        if failed < len(words):
            print(next_line(folder))
        print_failures({number: end.result for number, end in ends.values()})


def next_line(folder: Path) -> str:
    """Return the line that names the next command.

    Example:
        >>> next_line(Path("outputs/my runs"))
        "next: rnn-exp-report 'outputs/my runs'"
    """
    return f"next: rnn-exp-report {shlex.quote(str(folder))}"


def run_line(folder: Path, name: Path, objective: Objective, was_done: bool) -> str:
    """Return a line about a run that is done: its folder, its objective, and how it ended.

    Args:
        folder: where it is.
        name: the folder as the user knows it.
        objective: the number that the search looks at.
        was_done: whether the run was there before.
    """
    value = objective.of(folder)
    number = "none" if value is None else f"{value:.6g}"
    again = " (already there)" if was_done else ""
    message = message_of(folder) or str(_said(folder)["status"])
    return f"{name}{again}: {objective.objective} {number}; {message}"


def message_of(folder: Path) -> str:
    """Return the line that was said when a run ended; empty for a folder of an older format."""
    said = _said(folder)
    return str(said.get("message", "")) if said["status"] in DONE else ""


def _said(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = read_json(folder / RUN_JSON)
    return said
