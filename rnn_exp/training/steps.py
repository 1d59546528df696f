"""Steps: what becomes of a gradient until the weights have moved.

A gradient is clipped, by norm and then by value, and the optimiser makes a step of it, at the
learning rate that the schedule has for the update.
"""

import math

from torch import Tensor

from rnn_exp.networks.parameters import Layout
from rnn_exp.shapes import Float, Shaped
from rnn_exp.training.optimizers import OPTIMIZERS, Memory
from rnn_exp.training.schedules import SCHEDULES, learning_rate
from rnn_exp.training.settings import Training

__all__ = ["Steps", "rate_at"]


def rate_at(training: Training, update: int) -> float:
    """Return the learning rate of an update.

    Args:
        training: how runs are trained.
        update: its number, from 0.
    """
    return learning_rate(
        update,
        base=training.learning_rate,
        updates=training.updates,
        warm_up=training.warm_up,
        schedule=training.schedule,
        settings=SCHEDULES[training.schedule].settings_of(training),
    )


class Steps:
    """Makes the steps of runs that are trained in one way.

    Args:
        training: how they are trained.
        layout: of a row of all that is trained.
        engine: of the network.
    """

    def __init__(self, training: Training, layout: Layout, engine: str) -> None:
        self._training, self._optimizer = training, OPTIMIZERS[training.optimizer]
        self._step = self._optimizer.step_of(engine)
        self._arguments = self._optimizer.arguments(training, layout)

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
        update: int,
    ) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient.

        Args:
            trained: all that is trained, a row a run; changed.
            gradient: by all of it; changed where it is clipped.
            norm: of each row of the gradient.
            memory: of the optimiser; changed.
            update: the number of the update, from 0.
        """
        limit, value = self._training.clip_norm, self._training.clip_value
        if limit is not None:
            gradient *= (limit / norm).clamp(max=1.0).unsqueeze(1).to(gradient.dtype)
        if value is not None:
            gradient.clamp_(-value, value)
        rate = rate_at(self._training, update)
        self._step(trained, gradient, memory, rate, **self._arguments)
