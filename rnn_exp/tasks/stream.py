"""The sequences of many runs: fresh ones at every update, and runs of one seed share theirs."""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.randomness import generator
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.task import Batch, Task

__all__ = ["SequenceBatch", "Stream"]


class SequenceBatch(NamedTuple):
    """The sequences of many runs, one batch a run, and their answers.

    Args:
        inputs: what the networks read; 0 after a sequence's own end.
        targets: the right answers.
        lengths: the number of time steps of each run's sequences, of the longest if they differ.
        ends: the number of time steps of each sequence; None: a run's sequences end together.
    """

    inputs: Float[Tensor, "time run batch input"]
    targets: Shaped[Tensor, "run answer batch"]
    lengths: list[int]
    ends: Shaped[Tensor, "run batch"] | None = None

    @property
    def every_end(self) -> Shaped[Tensor, "run batch"]:
        """The number of time steps of each sequence, also where those of a run end together."""
        if self.ends is not None:
            return self.ends
        return torch.tensor(self.lengths).unsqueeze(1).expand(self.inputs.shape[1:3])


class Stream:
    """Fresh batches for every run; runs of one seed share their sequences, drawn once.

    Args:
        task: what draws them.
        seeds: the seed of each run.
        batch_size: the number of sequences of each run.
        like: any tensor of the dtype and on the device that the numbers are to have.
    """

    def __init__(self, task: Task, seeds: list[int], batch_size: int, like: Tensor) -> None:
        self.task, self.batch_size, self.like = task, batch_size, like
        self.seeds = seeds
        self.generators = {seed: generator(seed, "data") for seed in seeds}

    def generator_of(self, run: int) -> torch.Generator:
        """Return the generator that draws a run's sequences."""
        return self.generators[self.seeds[run]]

    def draw(self, runs: list[int]) -> SequenceBatch:
        """Return the next sequences of some of the runs.

        Args:
            runs: their places in ``seeds``; a seed of none of them draws nothing.
        """
        seeds = [self.seeds[run] for run in runs]
        batches: dict[int, Batch] = {}
        for seed in dict.fromkeys(seeds):
            batches[seed] = self.task.draw(self.batch_size, self.generators[seed])
            self._check(batches[seed])
        inputs = torch.stack([batches[seed].inputs for seed in seeds], dim=1)
        targets = torch.stack([batches[seed].targets for seed in seeds])
        if targets.is_floating_point():
            targets = targets.to(self.like.dtype)
        lengths = [batches[seed].length for seed in seeds]
        own = [ends for seed in seeds if (ends := batches[seed].ends) is not None]
        ends = torch.stack(own) if own else None
        return SequenceBatch(inputs.to(self.like), targets.to(self.like.device), lengths, ends)

    def _check(self, batch: Batch) -> None:
        """Refuse shapes that torch might stretch over each other: the loss would be another one."""
        pairs = (
            ("inputs", batch.inputs, (len(batch.inputs), self.batch_size, self.task.input_size)),
            ("targets", batch.targets, (self.task.answers, self.batch_size)),
        )
        for what, found, wanted in pairs:
            if found.shape != wanted:
                raise ValueError(
                    f"the task {self.task.name} draws {what} of the shape {tuple(found.shape)}; "
                    f"allowed is {wanted}"
                )
