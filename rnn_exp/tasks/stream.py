"""A stream of fresh sequences for many runs at once."""

import torch
from torch import Tensor

from rnn_exp.randomness import generator
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.base import Batch, Task

__all__ = ["Stream"]


class Stream:
    """Fresh batches for every run; runs of one seed share their sequences, drawn once."""

    def __init__(self, task: Task, seeds: list[int], batch_size: int, like: Tensor) -> None:
        self.task, self.batch_size, self.like = task, batch_size, like
        self.seeds = seeds
        self.generators = {seed: generator(seed, "data") for seed in seeds}

    def generator_of(self, run: int) -> torch.Generator:
        """Return the generator that draws a run's sequences."""
        return self.generators[self.seeds[run]]

    def draw(
        self, runs: list[int]
    ) -> tuple[Float[Tensor, "time run batch input"], Shaped[Tensor, "run batch"]]:
        """Return the next inputs and targets of the runs that are left."""
        wanted = [self.seeds[run] for run in runs]
        batches: dict[int, Batch] = {}
        for seed in dict.fromkeys(wanted):
            batches[seed] = self.task.draw(self.batch_size, self.generators[seed])
        inputs = torch.stack([batches[seed].inputs for seed in wanted], dim=1)
        targets = torch.stack([batches[seed].targets for seed in wanted])
        if targets.is_floating_point():
            targets = targets.to(self.like.dtype)
        return inputs.to(self.like), targets.to(self.like.device)
