"""An outcome: the tables and weights a run leaves behind, and how it ended."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_exp.decay import Decay, measure
from rnn_exp.divergence import Divergence
from rnn_exp.norms import STATUSES, norm_statuses
from rnn_exp.prediction import Prediction
from rnn_exp.recording import COLUMNS
from rnn_exp.run import Run
from rnn_exp.training import Update

__all__ = ["Outcome", "outcome_of"]

Table = dict[str, np.ndarray]


@dataclasses.dataclass
class Outcome:
    """What a run leaves behind: tables, weights, and how it ended."""

    run: Run
    status: str
    divergence: Divergence | None
    prediction: Prediction
    first: Decay
    last: Decay
    updates: Table
    gradients: Table
    weights: dict[str, Tensor]


def outcome_of(
    run: Run,
    place: int,
    kept: list[Update],
    prediction: Prediction,
    weights: dict[str, Tensor],
) -> Outcome:
    """Turn the recorded updates of the run at ``place`` in its chunk into tables and a verdict."""
    divergence = kept[-1].divergences.get(place)
    gradients, log10_total, usable = _gradient_table(run, place, kept)
    ends = [measure(log10_total[which, -1], usable[which, -1]) for which in (0, -1)]
    if divergence is not None:
        ends = [end._replace(verdict="diverged") for end in ends]
    return Outcome(
        run=run,
        status="finished" if divergence is None else "diverged",
        divergence=divergence,
        prediction=prediction,
        first=ends[0],
        last=ends[-1],
        updates=_update_table(place, kept),
        gradients=gradients,
        weights=weights,
    )


def _update_table(place: int, kept: list[Update]) -> Table:
    """Return one row a recorded update."""
    table: dict[str, list[Any]] = {}
    for update in kept:
        assert update.recorded is not None
        row = {"update": update.update, "loss": update.loss, "error": update.recorded.error,
               "grad_norm": update.grad_norm, "clipped": update.recorded.clipped}  # fmt: skip
        for name in ("recurrent_grad_norm", "spectral_radius", "largest_singular_value"):
            row[name] = getattr(update.recorded, name)
        here = update.runs.index(place)
        for name, value in row.items():
            table.setdefault(name, []).append(
                value[here].item() if torch.is_tensor(value) else value
            )
    return {name: np.array(values) for name, values in table.items()}


def _gradient_table(
    run: Run, place: int, kept: list[Update]
) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return one row a (recorded update, layer, time), the norms, and which of them are usable."""
    T, L = run.task.length, run.network.num_layers
    profiles = np.stack([
        update.recorded.profile[..., update.runs.index(place)].cpu().numpy()
        for update in kept if update.recorded is not None
    ])  # fmt: skip
    total = profiles[:, COLUMNS.index("log10_total")]
    size = run.training.batch_size, run.network.hidden_size
    status = norm_statuses(total, *size, run.network.torch_dtype)
    update, layer_number, time = np.meshgrid(
        [item.update for item in kept], np.arange(L), np.arange(1, T + 1), indexing="ij"
    )
    table = {"update": update.ravel(), "layer": layer_number.ravel(), "time": time.ravel(),
             "lag": T - time.ravel()}  # fmt: skip
    table |= {name: profiles[:, column].ravel() for column, name in enumerate(COLUMNS)}
    table["status"] = np.array(STATUSES)[status.ravel()]
    usable = (status == STATUSES.index("ok")) & np.isfinite(total)
    return table, total, usable
