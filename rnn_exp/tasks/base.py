"""What a task is: it draws sequences with answers, and knows what guessing would score."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.shapes import Float, Shaped

__all__ = ["Batch", "Task"]


class Batch(NamedTuple):
    """Sequences, their answers, and the time steps (from 1) that hold what must be remembered."""

    inputs: Float[Tensor, "time batch input"]
    targets: Shaped[Tensor, " batch"]
    cues: Shaped[Tensor, "cue batch"]


@runtime_checkable
class Task(Protocol):
    """A task with one answer a sequence, read out at the last time step."""

    @property
    def name(self) -> str:
        """The word that chooses this task."""
        ...

    @property
    def length(self) -> int:
        """T, the number of time steps."""
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
        self, outputs: Float[Tensor, "run batch output"], targets: Shaped[Tensor, "run batch"]
    ) -> Float[Tensor, " run"]:
        """Return each run's loss, the mean over its batch."""
        ...

    def error(
        self, outputs: Float[Tensor, "run batch output"], targets: Shaped[Tensor, "run batch"]
    ) -> Float[Tensor, " run"]:
        """Return each run's share of sequences with a wrong answer, from 0 to 1."""
        ...
