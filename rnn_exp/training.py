"""Training: a generator of updates over many runs at once; a run that diverges leaves the batch."""

import dataclasses
import functools
import math
from collections.abc import Container, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnn_exp.divergence import Divergence, find_divergences
from rnn_exp.engines import ENGINES
from rnn_exp.network import Network, Parameters
from rnn_exp.norms import norm
from rnn_exp.recording import Recorded, Recording, record
from rnn_exp.settings import check, choice, number, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import Stream, Task

__all__ = ["Training", "Update", "train"]

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


@dataclasses.dataclass(frozen=True)
class Training:
    """How to train: fresh sequences at every update, one of torch's optimisers, clipping.

    ``clip_norm``: the gradient of a run is scaled so that its norm over all parameters is at most
    this (null: never). Unlike torch's clip_grad_norm_, no 1e-6 is added to the norm.

    Raises:
        SettingError: for a value out of range or an unknown optimiser.
    """

    updates: int = whole(300, least=1)
    batch_size: int = whole(16, least=1)
    optimizer: str = choice("sgd", list(OPTIMIZERS))
    learning_rate: float = number(0.01, above=0)
    clip_norm: float | None = number(None, above=0)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)


class Update(NamedTuple):
    """One update of all runs that are left; tensors have one entry for each of ``runs``."""

    update: int
    runs: list[int]
    loss: Float[Tensor, " run"]
    grad_norm: Float[Tensor, " run"]
    divergences: dict[int, Divergence]
    recorded: Recorded | None


def train(
    parameters: Parameters,
    network: Network,
    task: Task,
    training: Training,
    recording: Recording,
    seeds: list[int],
) -> Iterator[Update]:
    """Train all runs side by side and yield every update; ``parameters`` are changed in place.

    Run r trains on the sequences of ``seeds[r]``. An update whose loss, states or gradients are
    not all finite is a run's last: it is recorded, its weights stay as they were, and the run
    leaves the batch without changing a bit of the others.
    """
    data = Stream(task, seeds, training.batch_size, parameters.flat)
    runs = _Runs(parameters, training)
    for update in range(training.updates):
        inputs, targets = data.draw(runs.left)
        loss_of = functools.partial(task.loss, targets=targets)
        gradients = ENGINES[network.engine](runs.views, inputs, loss_of, network)
        norms = runs.take(gradients.parameters)
        divergences = find_divergences(update, runs.left, gradients, norms, network)
        recorded = None
        if divergences or recording.wanted(update, training.updates):
            W = runs.views[f"weight_hh_l{network.num_layers - 1}"]
            error = task.error(gradients.outputs, targets)
            recorded = record(gradients, W, error, runs.too_large(norms), network)
        yield Update(update, runs.left, gradients.loss, norms, divergences, recorded)
        if divergences:
            norms = norms[runs.drop(divergences)]
        if not runs.left:
            return
        runs.step(norms)
    runs.store()


class _Runs:
    """The runs that are left: their parameters, their optimiser, and which runs they are."""

    def __init__(self, parameters: Parameters, training: Training) -> None:
        self.given, self.training = parameters, training
        self.left = list(range(len(parameters.flat)))
        self._settle(parameters.flat.clone(), {})

    def _settle(self, flat: Tensor, state: dict[str, Any]) -> None:
        """Take rows of parameters, and the optimiser's memory of them."""
        self.flat = flat.requires_grad_()
        self.now = Parameters(flat.detach(), self.given.shapes)
        self.views = self.now.views()
        kind: type[torch.optim.Optimizer] = OPTIMIZERS[self.training.optimizer]
        self.optimizer = kind([self.flat], lr=self.training.learning_rate)  # type: ignore[call-arg]
        self.optimizer.state[self.flat] = state

    def take(self, gradients: dict[str, Tensor]) -> Float[Tensor, " run"]:
        """Take the gradients in and return each run's norm over all parameters."""
        self.flat.grad = self.now.pack(gradients)
        return norm(self.flat.grad.unsqueeze(1))

    def too_large(self, norms: Float[Tensor, " run"]) -> Shaped[Tensor, " run"]:
        """Say whose gradient will be clipped."""
        return norms > (math.inf if self.training.clip_norm is None else self.training.clip_norm)

    def step(self, norms: Float[Tensor, " run"]) -> None:
        """Clip and move; a run whose norm is below the limit keeps the bits of its gradient."""
        limit = self.training.clip_norm
        if limit is not None and self.flat.grad is not None:
            self.flat.grad *= (limit / norms).clamp(max=1.0).unsqueeze(1).to(self.flat.dtype)
        self.optimizer.step()

    def store(self) -> None:
        """Put the parameters back where they came from."""
        self.given.flat[self.left] = self.flat.detach()

    def drop(self, divergences: Container[int]) -> list[int]:
        """Let runs go; return the places of those that stay."""
        self.store()
        keep = [place for place, run in enumerate(self.left) if run not in divergences]
        gradient, state = self.flat.grad, self.optimizer.state[self.flat]
        state = {
            name: value[keep]
            if torch.is_tensor(value) and value.shape == self.flat.shape
            else value
            for name, value in state.items()
        }
        self.left = [self.left[place] for place in keep]
        self._settle(self.flat.detach()[keep], state)
        self.flat.grad = None if gradient is None else gradient[keep]
        return keep
