"""Steps: what becomes of a gradient until the weights have moved.

A gradient is clipped, by norm and then by value, and the optimiser makes a step of it.
"""

import math

from torch import Tensor

from rnn_exp.shapes import Float, Shaped
from rnn_exp.training.optimizers import OPTIMIZERS, Memory
from rnn_exp.training.settings import Training

__all__ = ["Steps"]


class Steps:
    """Makes the steps of runs that are trained in one way.

    Args:
        training: how they are trained.
    """

    def __init__(self, training: Training) -> None:
        self._training, self._optimizer = training, OPTIMIZERS[training.optimizer]
        self._settings = self._optimizer.settings_of(training)

    def memory(self, trained: Float[Tensor, "run size"]) -> Memory:
        """Return what the optimiser remembers before the first step.

        Args:
            trained: all that is trained, a row a run.
        """
        return self._optimizer.memory(trained, self._training)

    def clipped(
        self, gradient: Float[Tensor, "run size"], norm: Float[Tensor, " run"]
    ) -> Shaped[Tensor, " run"]:
        """Say whose gradient will be clipped, by norm or by value.

        Args:
            gradient: by all that is trained, a row a run.
            norm: of each row.
        """
        limit, value = self._training.clip_norm, self._training.clip_value
        by_norm = norm > (math.inf if limit is None else limit)
        if value is None:
            return by_norm
        return by_norm | (gradient.abs() > value).any(-1)

    def make(
        self,
        trained: Float[Tensor, "run size"],
        gradient: Float[Tensor, "run size"],
        norm: Float[Tensor, " run"],
        memory: Memory,
    ) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient.

        Args:
            trained: all that is trained, a row a run; changed.
            gradient: by all of it; changed where it is clipped.
            norm: of each row of the gradient.
            memory: of the optimiser; changed.
        """
        limit, value = self._training.clip_norm, self._training.clip_value
        if limit is not None:
            gradient *= (limit / norm).clamp(max=1.0).unsqueeze(1).to(gradient.dtype)
        if value is not None:
            gradient.clamp_(-value, value)
        rate = self._training.learning_rate
        self._optimizer.step(trained, gradient, memory, rate, **self._settings)
