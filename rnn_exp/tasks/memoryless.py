"""Tasks with nothing to remember, to see the gradients of a network as it was made."""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.fields import check, number, whole
from rnn_exp.tasks.lengths import LengthRange, lengths_field, longest_field
from rnn_exp.tasks.task import Batch, Regression

__all__ = ["Hold", "Noise"]


@dataclasses.dataclass(frozen=True)
class Noise(LengthRange, Regression):
    """Nothing can be learnt here: the answer has nothing to do with the inputs.

    ::

        time      1     2     3     4
        input   -.31  1.72  -.05   .64      answer  .83, whatever the inputs are

    Each time step has ``channels`` inputs N(0, 1), all independent, and the answer is one more
    N(0, 1). It drives a network with inputs of a known variance, as theory assumes, and asks it at
    the last step: it is there to measure the gradients at initialisation. No step holds anything to
    remember: there are no cues. The loss is the squared error of the last output; guessing 0 scores
    1, and nothing scores less on fresh sequences. An answer is wrong when it is off by 0.04 or
    more, as in adding: guessing 0 is, with probability 0.968. So the task is never solved.

    Args:
        length: L, in time steps.
        channels: how many inputs a time step has.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length or the channels are below 1.
    """

    length: int = whole(50, least=1)
    channels: int = whole(1, least=1)
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "noise"
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 1.0
    chance_error: ClassVar[float] = math.erfc(0.04 / math.sqrt(2))

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        self.check_range()

    @property
    def input_size(self) -> int:
        """One number a channel."""
        return self.channels

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw inputs, then answers of their own."""
        size = (length, batch_size, self.channels)
        inputs = torch.randn(size, generator=generator, dtype=torch.float32)
        answers = torch.randn((1, batch_size), generator=generator, dtype=torch.float32)
        return Batch(inputs, answers, torch.zeros(0, batch_size, dtype=torch.int64), length)


@dataclasses.dataclass(frozen=True)
class Hold(LengthRange, Regression):
    """Be at one value after L steps without input (Pascanu, Mikolov & Bengio 2013, figure 6).

    ::

        time      1    2    3   …   50
        input     0    0    0        0      answer .7

    The error E = (x₅₀ − 0.7)² of one unit that runs by itself: the paper's example of a steep wall
    in the error's surface. All sequences are the same, and hold nothing to remember: there are no
    cues. The loss is the squared error of the last output. Guessing ``target`` is perfect: chance
    is 0, and no loss says that anything is remembered. An answer is wrong when it is off by 0.04 or
    more, as in adding.

    Args:
        length: L, in time steps.
        target: the value to be at, at the last of them.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length is below 1, or the target below −1 or no finite number.
    """

    length: int = whole(50, least=1)
    target: float = number(0.7, least=-1)  # -1 is the least that a tanh unit can be
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "hold"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 0.0
    chance_error: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        self.check_range()

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Return zeros, and the target for each; nothing is drawn."""
        inputs = torch.zeros(length, batch_size, self.input_size, dtype=torch.float32)
        answers = torch.full((1, batch_size), self.target, dtype=torch.float32)
        return Batch(inputs, answers, torch.zeros(0, batch_size, dtype=torch.int64), length)
