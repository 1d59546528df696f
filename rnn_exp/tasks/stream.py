"""A stream of fresh sequences for many runs at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.randomness import generator
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.base import Batch, Task

__all__ = ["Drawn", "Stream"]


class Drawn(NamedTuple):
    """Sequences of many runs, their answers, and how long each run's sequences are."""

    inputs: Float[Tensor, "time run batch input"]
    targets: Shaped[Tensor, "run answer batch"]
    lengths: list[int]


class Stream:
    """Fresh batches for every run; runs of one seed share their sequences, drawn once."""

    def __init__(self, task: Task, seeds: list[int], batch_size: int, like: Tensor) -> None:
        self.task, self.batch_size, self.like = task, batch_size, like
        self.seeds = seeds
        self.generators = {seed: generator(seed, "data") for seed in seeds}

    def generator_of(self, run: int) -> torch.Generator:
        """Return the generator that draws a run's sequences."""
        return self.generators[self.seeds[run]]

    def draw(self, runs: list[int]) -> "Drawn":
        """Return the next sequences of the runs that are left."""
        wanted = [self.seeds[run] for run in runs]
        batches: dict[int, Batch] = {}
        for seed in dict.fromkeys(wanted):
            batches[seed] = self.task.draw(self.batch_size, self.generators[seed])
        inputs = torch.stack([batches[seed].inputs for seed in wanted], dim=1)
        targets = torch.stack([batches[seed].targets for seed in wanted])
        if targets.is_floating_point():
            targets = targets.to(self.like.dtype)
        lengths = [batches[seed].length for seed in wanted]
        return Drawn(inputs.to(self.like), targets.to(self.like.device), lengths)
