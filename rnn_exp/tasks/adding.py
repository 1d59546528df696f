"""The adding problem: sum the two marked numbers of a sequence."""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.settings import check, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.base import Batch

__all__ = ["Adding"]


@dataclasses.dataclass(frozen=True)
class Adding:
    """Add the two marked numbers; one marker lies in each half (Arjovsky, Shah & Bengio 2016).

    ::

        time     1    2    3    4    5    6
        marker   0    1    0    0    0    1
        value   .31  .72  .05  .64  .90  .11      answer .72 + .11 = .83

    Values are U(0, 1). The loss is the squared error of the last output, mean over the batch. The
    best constant guess is 1, with loss Var(U + U) = 1/6. An answer counts as wrong when it is off
    by 0.04 or more (Hochreiter & Schmidhuber 1997, experiment 4): guessing 1 is wrong with
    probability (1 − 0.04)² = 0.9216.

    Raises:
        SettingError: if the length is below 2.
    """

    length: int = whole(50, least=2)

    name: ClassVar[str] = "adding"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 1 / 6
    chance_error: ClassVar[float] = 0.9216
    wrong_by: ClassVar[float] = 0.04

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    answers: ClassVar[int] = 1

    @property
    def steps(self) -> int:
        """T."""
        return self.length

    @property
    def shortest(self) -> int:
        """T."""
        return self.length

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw markers and values: channel 0 marks, channel 1 holds U(0, 1)."""
        T, half = self.length, self.length // 2
        values = torch.rand(T, batch_size, generator=generator, dtype=torch.float32)
        first = torch.randint(0, half, (batch_size,), generator=generator)
        second = torch.randint(half, T, (batch_size,), generator=generator)
        positions = torch.stack([first, second])
        markers = torch.zeros_like(values).scatter_(0, positions, 1.0)
        targets = values.gather(0, positions).sum(0)
        return Batch(torch.stack([markers, values], dim=-1), targets.unsqueeze(0), positions + 1, T)

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the mean squared error of each run."""
        return (outputs.squeeze(-1) - targets).square().mean((-2, -1))

    def error(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of answers that are off by 0.04 or more (or not a number)."""
        close = (outputs.squeeze(-1) - targets).abs() < self.wrong_by
        return 1 - close.to(outputs.dtype).mean((-2, -1))
