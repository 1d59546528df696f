"""Noise: nothing to learn, to see the gradients of a network as it was made."""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.settings import check, whole
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.regression import Regression

__all__ = ["Noise"]


@dataclasses.dataclass(frozen=True)
class Noise(Regression):
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

    Raises:
        SettingError: if the length or the channels are below 1.
    """

    length: int = whole(50, least=1)
    channels: int = whole(1, least=1)

    name: ClassVar[str] = "noise"
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 1.0
    chance_error: ClassVar[float] = math.erfc(0.04 / math.sqrt(2))

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    def input_size(self) -> int:
        """The channels."""
        return self.channels

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw inputs, then answers of their own."""
        size = (self.length, batch_size, self.channels)
        inputs = torch.randn(size, generator=generator, dtype=torch.float32)
        answers = torch.randn((1, batch_size), generator=generator, dtype=torch.float32)
        return Batch(inputs, answers, torch.zeros(0, batch_size, dtype=torch.int64), self.length)
