"""The loss of a task as networks take it: a function of the outputs that knows its gradient."""

import dataclasses
from collections.abc import Callable
from typing import Any

from torch import Tensor

from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.task import Classification, Regression, Task

__all__ = ["TaskLoss"]


@dataclasses.dataclass(frozen=True)
class TaskLoss:
    """The loss of a task as a function of the outputs.

    Args:
        task: the task.
        targets: the right answers.
    """

    task: Task
    targets: Shaped[Tensor, "run answer batch"]

    def __call__(self, outputs: Float[Tensor, "run answer batch output"]) -> Float[Tensor, " run"]:
        """Return each run's loss."""
        return self.task.loss(outputs, self.targets)

    def and_slope(
        self, outputs: Float[Tensor, "run answer batch output"]
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run answer batch output"]] | None:
        """Return each run's loss and its gradient by the outputs; None: autograd is to find it."""
        slope = self._slope()
        return None if slope is None else slope(self.task, outputs, self.targets)

    def squared_from(self) -> Shaped[Tensor, "run answer batch"] | None:
        """Return the targets, if the loss is the mean squared error of `Regression`; else None."""
        return self.targets if self._slope() is Regression.loss_and_slope else None

    def classes_from(self) -> Shaped[Tensor, "run answer batch"] | None:
        """Return the targets, if the loss is the cross-entropy of `Classification`; else None."""
        return self.targets if self._slope() is Classification.loss_and_slope else None

    def _slope(self) -> Callable[..., Any] | None:
        """Return the loss with its gradient written out; None: it is not."""
        loss = getattr(self.task.loss, "__func__", None)  # that of this task, not of its class
        mark: Any = getattr(loss, "and_slope", None)
        return mark[1](self.task) if mark and mark[0] is loss else None
