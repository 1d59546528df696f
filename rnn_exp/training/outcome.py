"""An outcome: the tables and weights a run leaves behind, and how it ended."""

import dataclasses

import numpy as np
from torch import Tensor

from rnn_exp.profiles import Decay, measure
from rnn_exp.schema import GRADIENT_STATUSES, TABLES
from rnn_exp.theory.prediction import Prediction
from rnn_exp.training.loop import Divergence
from rnn_exp.training.recorder import Rows
from rnn_exp.training.run import Run

__all__ = ["Outcome", "Table", "in_words", "outcome_of"]

Table = dict[str, np.ndarray]
"""A table by column."""


@dataclasses.dataclass
class Outcome:
    """What a run leaves behind.

    Args:
        run: the run.
        status: finished, solved or diverged.
        divergence: where it met NaN or infinity, if it did.
        prediction: what theory said of it before its first update.
        first: the decay of its gradient at the first recorded update.
        last: that at the last one.
        updates: a row a recorded update.
        gradients: a row a recorded update, layer and time step.
        exponents: a row a recorded update and exponent.
        weights: the final ones, by torch's names.
    """

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
    rows: Rows,
    prediction: Prediction,
    weights: dict[str, Tensor],
    divergence: Divergence | None = None,
    solved: bool = False,
) -> Outcome:
    """Turn what was recorded of a run into tables and a verdict.

    Args:
        run: the run.
        rows: as `Recorder.rows` returns them.
        prediction: what theory said of it.
        weights: the final ones.
        divergence: where it met NaN or infinity, if it did.
        solved: whether it ended because it has solved its task.
    """
    status = rows["status"]
    first, last = _decay(rows, status, 0), _decay(rows, status, -1)
    if divergence is not None:
        first, last = (end._replace(verdict="diverged") for end in (first, last))
    return Outcome(
        run=run,
        status="diverged" if divergence is not None else "solved" if solved else "finished",
        divergence=divergence,
        prediction=prediction,
        first=first,
        last=last,
        updates={name: rows[name] for name in TABLES["updates"].names},
        gradients=_gradient_table(run, rows),
        exponents=_exponent_table(rows),
        weights=weights,
    )


def in_words(outcome: Outcome) -> str:
    """Say in a line how a run ended."""
    first, last, theory = outcome.first, outcome.last, outcome.prediction.rate
    if outcome.divergence is not None:
        update, time, direction = outcome.divergence
        return f"diverged: not finite at update {update}, time step {time}, {direction} pass"
    predicted = "" if theory is None else f" (predicted {theory:.3f})"
    return (
        f"{outcome.status}: {first.verdict} at the start, decay rate {first.rate:.3f} per time "
        f"step{predicted}; {last.verdict} at the end, {last.rate:.3f}"
    )


def _decay(rows: Rows, status: np.ndarray, which: int) -> Decay:
    """Measure the decay in the top layer at one of the recorded updates."""
    length = rows["length"][which]
    norms = rows["log10_total"][which, -1, :length]
    usable = (status[which, -1, :length] == GRADIENT_STATUSES.index("ok")) & np.isfinite(norms)
    return measure(norms, usable)


def _gradient_table(run: Run, rows: Rows) -> Table:
    """Return one row a recorded update, layer and time step; statuses as words."""
    T, L = run.task.steps, run.network.num_layers
    length = rows["length"][:, np.newaxis, np.newaxis]
    update, layer, time = np.meshgrid(
        rows["update"], np.arange(L), np.arange(1, T + 1), indexing="ij"
    )
    there = time <= length  # what lies after the end of the sequences is no part of them
    columns = {"update": update, "layer": layer, "time": time, "lag": length - time}
    for column in TABLES["gradients"].columns:
        if column.name in rows and column.name not in columns:
            values, is_status = rows[column.name], column.type == "status"
            columns[column.name] = np.array(GRADIENT_STATUSES)[values] if is_status else values
    return {name: values[there] for name, values in columns.items()}


def _exponent_table(rows: Rows) -> Table:
    """Return one row a recorded update and index: index 1 is the largest exponent."""
    exponents = rows["exponent"]
    indices = np.arange(1, exponents.shape[1] + 1)
    update, index = np.meshgrid(rows["update"], indices, indexing="ij")
    columns = {"update": update, "index": index, "exponent": exponents}
    return {name: values.ravel() for name, values in columns.items()}
