"""Hold: no input at all; the network is to be at one value at the end."""

import dataclasses
from typing import ClassVar

import torch

from rnn_exp.settings import check, number, whole
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.regression import Regression

__all__ = ["Hold"]


@dataclasses.dataclass(frozen=True)
class Hold(Regression):
    """Be at one value after L steps without input (Pascanu, Mikolov & Bengio 2013, figure 6).

    ::

        time      1    2    3   …   50
        input     0    0    0        0      answer .7

    The error E = (x₅₀ − 0.7)² of one unit that runs by itself: the paper's example of a steep wall
    in the error's surface. All sequences are the same, and hold nothing to remember: there are no
    cues. The loss is the squared error of the last output. Guessing ``target`` is perfect: chance
    is 0, and no loss says that anything is remembered. An answer is wrong when it is off by 0.04 or
    more, as in adding.

    Raises:
        SettingError: if the length is below 1, or the target below −1 or no finite number.
    """

    length: int = whole(50, least=1)
    target: float = number(0.7, least=-1)  # -1 is the least that a tanh unit can be

    name: ClassVar[str] = "hold"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 0.0
    chance_error: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Return zeros, and the target for each; nothing is drawn."""
        inputs = torch.zeros(self.length, batch_size, self.input_size, dtype=torch.float32)
        answers = torch.full((1, batch_size), self.target, dtype=torch.float32)
        return Batch(inputs, answers, torch.zeros(0, batch_size, dtype=torch.int64), self.length)
