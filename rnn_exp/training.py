"""Training: a generator of updates over many runs at once; a run that diverges leaves the batch."""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.divergence import Divergence, find_divergences
from rnn_exp.engines import ENGINES, Gradients
from rnn_exp.network import Network, Parameters
from rnn_exp.recording import Recording, profile
from rnn_exp.settings import check, choice, number, whole
from rnn_exp.shapes import Float
from rnn_exp.tasks import Stream, Task

__all__ = ["Recorded", "Training", "Update", "train"]

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
    recorded: "Recorded | None"


class Recorded(NamedTuple):
    """What is measured at a recorded update, before the weights move."""

    error: Float[Tensor, " run"]
    clipped: Float[Tensor, " run"]
    recurrent_grad_norm: Float[Tensor, " run"]
    spectral_radius: Float[Tensor, " run"]
    largest_singular_value: Float[Tensor, " run"]
    profile: Float[Tensor, "column layer time run"]


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
    left = list(range(len(seeds)))
    flat = parameters.flat.clone().requires_grad_()
    optimizer = _optimizer(flat, training)
    now = Parameters(flat.detach(), parameters.shapes)
    views = now.views()
    for update in range(training.updates):
        inputs, targets = data.draw(left)
        loss_of = functools.partial(task.loss, targets=targets)
        gradients = ENGINES[network.engine](views, inputs, loss_of, network)
        flat.grad = now.pack(gradients.parameters)
        norm = torch.linalg.vector_norm(flat.grad, dim=1, dtype=torch.float64)
        divergences = find_divergences(update, left, gradients, norm, network)
        recorded = None
        if divergences or recording.wanted(update, training.updates):
            recorded = _record(now, network, task, gradients, targets, norm, training.clip_norm)
        yield Update(update, list(left), gradients.loss, norm, divergences, recorded)
        keep = [place for place, run in enumerate(left) if run not in divergences]
        if divergences:
            for place, run in enumerate(left):
                parameters.flat[run] = flat.detach()[place]
            flat, optimizer = _keep(flat, optimizer, training, keep)
            now = Parameters(flat.detach(), parameters.shapes)
            views = now.views()
            left, norm = [left[place] for place in keep], norm[keep]
        if not left:
            return
        _clip(flat, norm, training.clip_norm)
        optimizer.step()
    for place, run in enumerate(left):
        parameters.flat[run] = flat.detach()[place]


def _optimizer(flat: Tensor, training: Training) -> torch.optim.Optimizer:
    kind: type[torch.optim.Optimizer] = OPTIMIZERS[training.optimizer]
    return kind([flat], lr=training.learning_rate)  # type: ignore[call-arg]


def _keep(
    flat: Tensor, optimizer: torch.optim.Optimizer, training: Training, keep: list[int]
) -> tuple[Tensor, torch.optim.Optimizer]:
    """Return parameters, gradient and optimiser state of the runs to keep, and of no other."""
    assert flat.grad is not None
    rows = flat.detach()[keep].requires_grad_()
    rows.grad = flat.grad[keep]
    fresh = _optimizer(rows, training)
    fresh.state[rows] = {
        name: value[keep] if torch.is_tensor(value) and value.shape == flat.shape else value
        for name, value in optimizer.state[flat].items()
    }
    return rows, fresh


def _clip(flat: Tensor, norm: Tensor, limit: float | None) -> None:
    """Scale each run's gradient to at most the limit; one whose norm is below keeps its bits."""
    if limit is not None and flat.grad is not None:
        flat.grad *= (limit / norm).clamp(max=1.0).unsqueeze(1).to(flat.dtype)


def _record(
    parameters: Parameters, network: Network, task: Task, gradients: Gradients,
    targets: Tensor, norm: Tensor, limit: float | None,
) -> Recorded:  # fmt: skip
    W = parameters.views()[f"weight_hh_l{network.num_layers - 1}"]
    sane = W.isfinite().all(-1).all(-1)
    safe = torch.where(sane[:, None, None], W, 0.0).double()
    nothing = torch.full_like(norm, math.nan)
    grad = gradients.parameters[f"weight_hh_l{network.num_layers - 1}"]
    return Recorded(
        error=task.error(gradients.outputs, targets),
        clipped=norm > (math.inf if limit is None else limit),
        recurrent_grad_norm=torch.linalg.vector_norm(grad, dim=(1, 2), dtype=torch.float64),
        spectral_radius=torch.where(sane, torch.linalg.eigvals(safe).abs().amax(-1), nothing),
        largest_singular_value=torch.where(sane, torch.linalg.svdvals(safe)[:, 0], nothing),
        profile=profile(gradients, network.phi),
    )
