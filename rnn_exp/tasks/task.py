"""What a task is, how answers are scored, and the stream of fresh sequences for many runs.

A task draws sequences with answers and knows what guessing would score. `Regression` and
`Classification` score answers that are numbers or classes; `Stream` draws for many runs at once.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.randomness import generator
from rnn_exp.shapes import Float, Shaped

__all__ = [
    "Batch",
    "Classification",
    "Drawn",
    "OneLength",
    "Regression",
    "Stream",
    "Task",
    "one_hot",
]


class Batch(NamedTuple):
    """Sequences, their answers, and the time steps (from 1) that hold what must be remembered.

    The sequences of a batch are of one ``length``; inputs after it are 0 and mean nothing.
    """

    inputs: Float[Tensor, "time batch input"]
    targets: Shaped[Tensor, "answer batch"]
    cues: Shaped[Tensor, "cue batch"]
    length: int


@runtime_checkable
class Task(Protocol):
    """A task whose answers are read out at the last ``answers`` time steps of a sequence."""

    @property
    def name(self) -> str:
        """The word that chooses this task."""
        ...

    @property
    def length(self) -> int:
        """L, the nominal length, as the task's paper counts it."""
        ...

    @property
    def steps(self) -> int:
        """T, the number of time steps of the longest sequence there can be."""
        ...

    @property
    def shortest(self) -> int:
        """The number of time steps of the shortest sequence; where it is less, answers is 1."""
        ...

    @property
    def answers(self) -> int:
        """How many time steps are read out: 1 (the last), or ``steps`` (every one)."""
        ...

    @property
    def input_size(self) -> int:
        """Numbers a time step."""
        ...

    @property
    def output_size(self) -> int:
        """Numbers the network answers with."""
        ...

    @property
    def chance_loss(self) -> float:
        """The loss of the best guess that has seen no input."""
        ...

    @property
    def chance_error(self) -> float:
        """The error of that guess."""
        ...

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw fresh sequences; every random number comes from ``generator``."""
        ...

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's loss, the mean over its answers and its batch.

        It takes any number of answers: the last one alone, or one at every time step.
        """
        ...

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's share of sequences of which any answer is wrong, from 0 to 1."""
        ...


class OneLength:
    """A task with ``length`` time steps in every sequence, and one answer, at the last of them."""

    length: int

    @property
    def steps(self) -> int:
        """T, the number of time steps."""
        return self.length

    @property
    def shortest(self) -> int:
        """T: no sequence is shorter."""
        return self.steps

    @property
    def answers(self) -> int:
        """One."""
        return 1


class Regression(OneLength):
    """Scores answers that are numbers; a sequence is wrong if one is off by too much."""

    @property
    def wrong_by(self) -> float:
        """How far off an answer is wrong (Hochreiter & Schmidhuber 1997, experiment 4: 0.04)."""
        return 0.04

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean squared error."""
        return (outputs.squeeze(-1) - targets).square().flatten(1).mean(-1)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences with an answer off by ``wrong_by`` or more (or NaN)."""
        close = ((outputs.squeeze(-1) - targets).abs() < self.wrong_by).all(1)
        return 1 - close.to(outputs.dtype).mean(-1)


class Classification(OneLength):
    """Scores answers that are classes; a sequence is wrong if any one of its answers is."""

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean cross-entropy, in nats."""
        surprise = torch.nn.functional.cross_entropy(
            outputs.flatten(0, 2), targets.flatten(), reduction="none"
        )
        return surprise.view(targets.shape).flatten(1).mean(-1)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences of which any most likely class is not the right one."""
        wrong = (outputs.argmax(-1) != targets).any(1)
        return wrong.to(outputs.dtype).mean(-1)


def one_hot(
    symbols: Shaped[Tensor, "time batch"], symbols_there_are: int
) -> Float[Tensor, "time batch input"]:
    """Return inputs that are 1 in the channel of the symbol, and 0 in all others."""
    inputs = torch.zeros(*symbols.shape, symbols_there_are, dtype=torch.float32)
    return inputs.scatter_(-1, symbols.unsqueeze(-1), 1.0)


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
