"""The runs in training: their parameters, their optimiser's memory, and their sequences."""

import math
from collections.abc import Container, Sequence

from torch import Tensor

from rnn_exp.network import Parameters
from rnn_exp.norms import norm
from rnn_exp.optimizers import OPTIMIZERS, Memory, memory_of
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import Stream, Task
from rnn_exp.training import Training

__all__ = ["State", "Trainees"]

State = dict[str, Tensor]
_WEIGHTS, _GENERATOR = "weights", "generator"


class Trainees:
    """The runs that are left, side by side: run r has row r of ``parameters`` and ``seeds[r]``.

    ``parameters`` get a run's weights back when it leaves. ``states`` (one a run, of `state_of`)
    are where to go on from; all of them must have been taken at the same update.
    """

    def __init__(
        self,
        parameters: Parameters,
        task: Task,
        training: Training,
        seeds: list[int],
        states: Sequence[State] = (),
    ) -> None:
        self.given, self.task, self.training = parameters, task, training
        self.left = list(range(len(parameters.flat)))
        self.stream = Stream(task, seeds, training.batch_size, parameters.flat)
        memory = memory_of(training.optimizer, parameters.flat)
        for run, state in enumerate(states):
            parameters.flat[run] = state[_WEIGHTS].to(parameters.flat)
            self.stream.generator_of(run).set_state(state[_GENERATOR])
            for name, tensor in memory.items():
                (tensor if tensor.ndim == 0 else tensor[run]).copy_(state[name])
        self._settle(parameters.flat.clone(), memory)

    def _settle(self, flat: Tensor, memory: Memory) -> None:
        self.now, self.memory = Parameters(flat, self.given.shapes), memory
        self.views = self.now.views()
        self.gradient: Tensor | None = None

    def draw(
        self,
    ) -> tuple[Float[Tensor, "time run batch input"], Shaped[Tensor, "run batch"]]:
        """Draw fresh inputs and targets for the runs that are left."""
        return self.stream.draw(self.left)

    def take(self, gradients: dict[str, Tensor]) -> Float[Tensor, " run"]:
        """Take the gradients in and return each run's norm over all parameters."""
        self.gradient = self.now.pack(gradients)
        return norm(self.gradient.unsqueeze(1))

    def too_large(self, norms: Float[Tensor, " run"]) -> Shaped[Tensor, " run"]:
        """Say whose gradient will be clipped."""
        return norms > (math.inf if self.training.clip_norm is None else self.training.clip_norm)

    def step(self, norms: Float[Tensor, " run"]) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient."""
        gradient, limit = self.gradient, self.training.clip_norm
        assert gradient is not None
        if limit is not None:
            gradient *= (limit / norms).clamp(max=1.0).unsqueeze(1).to(gradient.dtype)
        move = OPTIMIZERS[self.training.optimizer]
        move(self.now.flat, gradient, self.memory, self.training.learning_rate)

    def store(self) -> None:
        """Put the parameters back where they came from."""
        self.given.flat[self.left] = self.now.flat

    def drop(self, leaving: Container[int]) -> list[int]:
        """Let runs go; return the places of those that stay."""
        self.store()
        keep = [place for place, run in enumerate(self.left) if run not in leaving]
        gradient = self.gradient
        self.left = [self.left[place] for place in keep]
        rows = {name: value[keep] if value.ndim else value for name, value in self.memory.items()}
        self._settle(self.now.flat[keep], rows)
        self.gradient = None if gradient is None else gradient[keep]
        return keep

    def state_of(self, run: int) -> State:
        """Return a copy of all that a run needs to go on as if nothing had been."""
        place = self.left.index(run)
        state = {_WEIGHTS: self.now.flat[place]}
        state |= {name: row[place] if row.ndim else row for name, row in self.memory.items()}
        copies = {name: tensor.cpu().clone() for name, tensor in state.items()}
        return copies | {_GENERATOR: self.stream.generator_of(run).get_state()}
