"""An outcome: the tables and weights a run leaves behind, and how it ended."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.norms import norm_statuses
from rnn_exp.profiles import Decay, measure
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.theory.prediction import Prediction
from rnn_exp.training.loop import Divergence, Update
from rnn_exp.training.recorder import columns_of
from rnn_exp.training.run import Run

__all__ = ["SCALARS", "History", "Outcome", "in_words", "outcome_of"]

SCALARS = (
    "update",
    "length",
    "loss",
    "error",
    "grad_norm",
    "clipped",
    "recurrent_grad_norm",
    "spectral_radius",
    "largest_singular_value",
    "omega",
    "moved",
)


class History:
    """What was recorded of the run at ``place`` of its chunk; ``before``: `arrays` so far."""

    def __init__(self, place: int, before: Mapping[str, np.ndarray]) -> None:
        self.place, self.folded, self.kept = place, dict(before), list[Update]()

    def add(self, update: Update) -> None:
        """Keep a recorded update; its numbers are read when they are wanted, not now."""
        self.kept.append(update)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return `SCALARS`, ``profile`` (column layer time) and ``exponents`` (index).

        Each has an entry a recorded update.
        """
        if self.kept:
            rows = [self._row(update) for update in self.kept]
            new = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            old = self.folded
            self.folded = {
                name: np.concatenate([old[name], values]) if old else values
                for name, values in new.items()
            }
            self.kept = []
        return self.folded

    def _row(self, update: Update) -> dict[str, Any]:
        recorded = update.recorded
        assert recorded is not None
        here = update.runs.index(self.place)
        row: dict[str, Any] = {"update": update.update, "loss": update.loss}
        row["grad_norm"] = update.grad_norm
        row |= recorded.known._asdict() | recorded._asdict()
        row["length"] = recorded.known.length[here]
        plain = {
            name: row[name][here].item() if torch.is_tensor(row[name]) else row[name]
            for name in SCALARS
        }
        tensors = {"profile": recorded.profile[..., here], "exponents": recorded.exponents[here]}
        arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
        return plain | arrays


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
    exponents: Table
    weights: dict[str, Tensor]


def outcome_of(
    run: Run,
    history: Mapping[str, np.ndarray],
    prediction: Prediction,
    weights: dict[str, Tensor],
    divergence: Divergence | None = None,
    solved: bool = False,
) -> Outcome:
    """Turn a run's history into tables and a verdict."""
    gradients, log10_total, usable = _gradient_table(run, history)
    lengths = history["length"]
    ends = [
        measure(log10_total[which, -1, :length], usable[which, -1, :length])
        for which, length in ((0, lengths[0]), (-1, lengths[-1]))
    ]
    if divergence is not None:
        ends = [end._replace(verdict="diverged") for end in ends]
    status = "diverged" if divergence is not None else "solved" if solved else "finished"
    return Outcome(
        run=run,
        status=status,
        divergence=divergence,
        prediction=prediction,
        first=ends[0],
        last=ends[-1],
        updates={name: history[name] for name in SCALARS},
        gradients=gradients,
        exponents=_exponent_table(history),
        weights=weights,
    )


def _gradient_table(
    run: Run, history: Mapping[str, np.ndarray]
) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return one row a (recorded update, layer, time), the norms, and which of them are usable."""
    T, L = run.task.steps, run.network.num_layers
    profiles = history["profile"]
    columns = columns_of(run.network, run.answers)
    total = profiles[:, columns.index("log10_total")]
    length = history["length"][:, np.newaxis, np.newaxis]
    size = run.training.batch_size, run.network.hidden_size
    status = norm_statuses(total, *size, run.network.torch_dtype)
    update, layer_number, time = np.meshgrid(
        history["update"], np.arange(L), np.arange(1, T + 1), indexing="ij"
    )
    there = time <= length  # what lies after the end of the sequences is no part of them
    table = {
        "update": update[there],
        "layer": layer_number[there],
        "time": time[there],
        "lag": (length - time)[there],
    }
    table |= {name: profiles[:, column][there] for column, name in enumerate(columns)}
    table["status"] = np.array(GRADIENT_STATUSES)[status[there]]
    usable = (status == GRADIENT_STATUSES.index("ok")) & np.isfinite(total)
    return table, total, usable


def _exponent_table(history: Mapping[str, np.ndarray]) -> Table:
    """Return one row a (recorded update, index): index 1 is the largest exponent."""
    found = history["exponents"]
    update, index = np.meshgrid(history["update"], np.arange(1, found.shape[1] + 1), indexing="ij")
    columns = {"update": update, "index": index, "exponent": found}
    return {name: values.ravel() for name, values in columns.items()}


def in_words(outcome: Outcome) -> str:
    """Say in a line how a run ended."""
    first, last, theory = outcome.first, outcome.last, outcome.prediction.rate
    if outcome.divergence is not None:
        update, when, direction = outcome.divergence
        return f"diverged: not finite at update {update}, time step {when}, {direction} pass"
    predicted = "" if theory is None else f" (predicted {theory:.3f})"
    return (
        f"{outcome.status}: {first.verdict} at the start, decay rate {first.rate:.3f} per time "
        f"step{predicted}; {last.verdict} at the end, {last.rate:.3f}"
    )
