"""What a task is: it draws sequences with answers, and knows what guessing would score."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.shapes import Float, Shaped

__all__ = ["Batch", "Task"]


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
