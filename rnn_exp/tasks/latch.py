"""The latch: a bit is given at the start and must be held against noise."""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.fields import SettingError, check, number, whole
from rnn_exp.tasks.lengths import LengthRange, lengths_field, longest_field
from rnn_exp.tasks.task import Batch, Classification

__all__ = ["Latch"]


@dataclasses.dataclass(frozen=True)
class Latch(LengthRange, Classification):
    """Tell at the end which of two classes the first inputs showed (after Bengio et al. 1994).

    ::

        time      1    2    3    4    5    6
        input    .87 1.21  .95 -.13  .24 -.08      answer: class 1 of 2

    The first ``informative`` inputs are −1 (class 0) or 1 (class 1), the others 0; Gaussian noise
    of standard deviation ``noise`` is added to all. In Bengio, Simard & Frasconi 1994 the
    informative inputs are parameters, learnt with the rest; here they are fixed. Cross-entropy at
    the last step; guessing scores ln 2 and is wrong 50 % of the time. Solved: fewer than 1 % of
    10,000 sequences wrong, which only a noise below 0.43 √informative allows: the best there is
    errs with probability Φ(−√informative / noise).

    Args:
        length: L, in time steps.
        informative: how many of the first inputs show the class.
        noise: the standard deviation of what is added to every input.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if no input after the informative ones is left, or a number is out of range.
    """

    length: int = whole(50, least=2)
    informative: int = whole(3, least=1)
    noise: float = number(0.2, least=0)
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "latch"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 2
    chance_loss: ClassVar[float] = math.log(2)
    chance_error: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        self.check_range()
        if self.informative >= self.length:
            allowed = f"a whole number below task.length={self.length}"
            raise SettingError("informative", self.informative, allowed)

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw noise and classes; the first inputs show the class."""
        size = (length, batch_size)
        inputs = self.noise * torch.randn(size, generator=generator, dtype=torch.float32)
        classes = torch.randint(0, 2, (1, batch_size), generator=generator)
        inputs[: self.informative] += 2 * classes - 1
        cues = torch.arange(1, self.informative + 1).unsqueeze(1)
        return Batch(
            inputs.unsqueeze(-1), classes, cues.expand(self.informative, batch_size), length
        )
