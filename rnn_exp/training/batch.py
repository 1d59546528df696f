"""The runs in training: their parameters, their optimiser's memory, and their sequences."""

import math
from collections.abc import Container, Sequence

from torch import Tensor

from rnn_exp.networks.network import Network, Parameters
from rnn_exp.networks.norms import norm
from rnn_exp.networks.parametrizations import parametrization_of
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import Drawn, Stream, Task
from rnn_exp.training.optimizers import OPTIMIZERS, Memory, memory_of
from rnn_exp.training.settings import Training

__all__ = ["State", "Trainees"]

State = dict[str, Tensor]
_WEIGHTS, _GENERATOR = "weights", "generator"


class Trainees:
    """The runs that are left, side by side: run r has row r of ``parameters`` and ``seeds[r]``.

    ``views`` are the network's parameters; what is trained may be something else, of which they are
    made (`parametrizations`). ``parameters`` get a run's weights back when it leaves. ``states``
    (one a run, of `state_of`) are where to go on from; all must be of the same update.
    """

    def __init__(
        self,
        parameters: Parameters,
        network: Network,
        task: Task,
        training: Training,
        seeds: list[int],
        states: Sequence[State] = (),
    ) -> None:
        self.given, self.task, self.training = parameters, task, training
        self.left = list(range(len(parameters.flat)))
        self.stream = Stream(task, seeds, training.batch_size, parameters.flat)
        self.top = network.top
        self.first = parameters.views()[self.top].clone()
        self.parametrization = parametrization_of(network, parameters)
        trained = self.parametrization.start(parameters.flat)
        memory = memory_of(training.optimizer, trained)
        for run, state in enumerate(states):
            trained[run] = state[_WEIGHTS].to(trained)
            self.stream.generator_of(run).set_state(state[_GENERATOR])
            for name, tensor in memory.items():
                (tensor if tensor.ndim == 0 else tensor[run]).copy_(state[name])
        self._settle(trained, memory)

    def _settle(self, flat: Tensor, memory: Memory) -> None:
        self.now, self.memory = Parameters(flat, self.given.shapes), memory
        self.trained = self.now.views()
        self.views = self.parametrization.network(self.trained)
        self.gradient: Tensor | None = None

    def draw(self) -> Drawn:
        """Draw fresh sequences for the runs that are left."""
        return self.stream.draw(self.left)

    def take(self, gradients: dict[str, Tensor]) -> Float[Tensor, " run"]:
        """Take the gradients in and return each run's norm over all parameters."""
        self.gradient = self.now.pack(self.parametrization.pull_back(self.trained, gradients))
        return norm(self.gradient.unsqueeze(1))

    def moved(self) -> Float[Tensor, " run"]:
        """Return how far the top layer's W_hh has gone from where it began, relative to its norm.

        NaN: it began at 0.
        """
        first = self.first[self.left]
        return norm(self.views[self.top] - first) / norm(first)

    def too_large(self, norms: Float[Tensor, " run"]) -> Shaped[Tensor, " run"]:
        """Say whose gradient will be clipped, by norm or by value."""
        assert self.gradient is not None
        limit, value = self.training.clip_norm, self.training.clip_value
        by_norm = norms > (math.inf if limit is None else limit)
        if value is None:
            return by_norm
        return by_norm | (self.gradient.abs() > value).any(-1)

    def step(self, norms: Float[Tensor, " run"]) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient."""
        gradient, limit, value = self.gradient, self.training.clip_norm, self.training.clip_value
        assert gradient is not None
        if limit is not None:
            gradient *= (limit / norms).clamp(max=1.0).unsqueeze(1).to(gradient.dtype)
        if value is not None:
            gradient.clamp_(-value, value)
        move = OPTIMIZERS[self.training.optimizer]
        move(self.now.flat, gradient, self.memory, self.training.learning_rate)
        self.views = self.parametrization.network(self.trained)

    def store(self) -> None:
        """Put the network's parameters back where they came from."""
        self.given.flat[self.left] = self.now.pack(self.views)

    def drop(self, leaving: Container[int]) -> list[int]:
        """Let runs go; return the places of those that stay."""
        self.store()
        keep = [place for place, run in enumerate(self.left) if run not in leaving]
        gradient = self.gradient
        self.left = [self.left[place] for place in keep]
        self.parametrization.keep(keep)
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
