"""Temporal order: which of two symbols came first, and which second?"""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.settings import check, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.base import Batch

__all__ = ["TemporalOrder"]


@dataclasses.dataclass(frozen=True)
class TemporalOrder:
    """Name the two cues, each A or B, in their order (Pascanu, Mikolov & Bengio 2013, §4.2.1).

    ::

        time     1 2 3 4 5 6 7 8 9 10
        symbol   c A d f e B c c f d              answer (A, B): class 0 + 2·1 = 2 of 4

    One-hot inputs of six symbols: A, B = 0, 1 are cues, 2–5 distractors drawn uniformly. Counting
    from 0, the first cue stands in [L/10, 2L/10), the second in [5L/10, 6L/10). The class is
    v₀ + 2 v₁. Cross-entropy at the last step; guessing scores ln 4 and is wrong 75 % of the time.

    Raises:
        SettingError: if the length is below 10.
    """

    length: int = whole(50, least=10)

    name: ClassVar[str] = "temporal_order"
    input_size: ClassVar[int] = 6
    output_size: ClassVar[int] = 4
    chance_loss: ClassVar[float] = math.log(4)
    chance_error: ClassVar[float] = 0.75

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
        """Draw distractors everywhere, then put the two cues in."""
        L, size = self.length, (batch_size,)
        symbols = torch.randint(2, 6, (L, batch_size), generator=generator)
        first = torch.randint(L // 10, 2 * L // 10, size, generator=generator)
        second = torch.randint(5 * L // 10, 6 * L // 10, size, generator=generator)
        cues = torch.randint(0, 2, (2, batch_size), generator=generator)
        positions = torch.stack([first, second])
        symbols.scatter_(0, positions, cues)
        inputs = torch.nn.functional.one_hot(symbols, self.input_size).float()
        return Batch(inputs, (cues[0] + 2 * cues[1]).unsqueeze(0), positions + 1, L)

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch 4"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the mean cross-entropy of each run, in nats."""
        surprise = torch.nn.functional.cross_entropy(
            outputs.flatten(0, 2), targets.flatten(), reduction="none"
        )
        return surprise.view(targets.shape).mean((-2, -1))

    def error(
        self,
        outputs: Float[Tensor, "run answer batch 4"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences whose most likely class is not the right one."""
        return (outputs.argmax(-1) != targets).to(outputs.dtype).mean((-2, -1))
