"""Regression: the answer is a number, scored by its squared error."""

from torch import Tensor

from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.lengths import OneLength

__all__ = ["Regression"]


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
