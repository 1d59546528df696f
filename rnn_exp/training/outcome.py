"""An outcome: the tables and weights a run leaves behind, and how it ended."""

import dataclasses
import math

import numpy as np
from torch import Tensor

from rnn_exp.schema import GRADIENT_STATUSES, TABLES
from rnn_exp.theory.prediction import Prediction
from rnn_exp.training.loop import Divergence
from rnn_exp.training.recorder import Rows
from rnn_exp.training.run import Run
from rnn_exp.training.verdicts import (
    Carried,
    Theory,
    carried,
    carried_in_words,
    carrier_of,
    theory_in_words,
    theory_of,
)
from rnn_exp.words import number

__all__ = ["Outcome", "Table", "Tables", "curve_tables", "in_words", "outcome_of", "tables_from"]

Table = dict[str, np.ndarray]
"""A table by column."""

Tables = dict[str, Table]
"""The tables of a run by name (`schema.TABLES`)."""


@dataclasses.dataclass
class Outcome:
    """What a run leaves behind.

    The tables have all rows that were not taken while the run trained (`experiment.Chunk.take`):
    all of them, unless they went to disk meanwhile.

    Args:
        run: the run.
        status: finished, solved or diverged.
        divergence: where it met NaN or infinity, if it did.
        theory: what theory says of its gradient before the first update.
        first: how far its gradient reaches at the first recorded update.
        last: the same at the last one.
        last_update: number of the last recorded update.
        clipped_norm: of the gradient at update 0, if it was clipped there; None: it was not.
        updates: a row a recorded update.
        gradients: a row a recorded update, layer and time step.
        exponents: a row a recorded update and exponent.
        jacobians: a row a recorded update, lag and singular value.
        weights: the final ones, by torch's names.
    """

    run: Run
    status: str
    divergence: Divergence | None
    theory: Theory
    first: Carried
    last: Carried
    last_update: int
    clipped_norm: float | None
    updates: Table
    gradients: Table
    exponents: Table
    jacobians: Table
    weights: dict[str, Tensor]

    @property
    def tables(self) -> Tables:
        """The tables by name."""
        return {name: getattr(self, name) for name in TABLES}


def outcome_of(
    run: Run,
    rows: Rows,
    first_row: Rows,
    prediction: Prediction,
    weights: dict[str, Tensor],
    divergence: Divergence | None = None,
    solved: bool = False,
) -> Outcome:
    """Turn what was recorded of a run into tables and a verdict.

    Args:
        run: the run.
        rows: of the last recorded updates, as `Recorder.take` returns them.
        first_row: of the first recorded update (`Recorder.first`).
        prediction: what theory said of it.
        weights: the final ones.
        divergence: where it met NaN or infinity, if it did.
        solved: whether it ended because it has solved its task.
    """
    first = carried(first_row, 0)
    theory = theory_of(run, prediction, first.carrier, first_row)
    return Outcome(
        run=run,
        status="diverged" if divergence is not None else "solved" if solved else "finished",
        divergence=divergence,
        theory=theory,
        first=first,
        last=carried(rows, -1),
        last_update=int(rows["update"][-1]),
        clipped_norm=float(first_row["grad_norm"][0]) if first_row["clipped"][0] else None,
        **_tables(run, rows, first_row, theory),
        weights=weights,
    )


def tables_from(run: Run, rows: Rows, first_row: Rows, prediction: Prediction) -> Tables:
    """Return the tables of some consecutive recorded updates of a run.

    Args:
        run: the run.
        rows: of these updates.
        first_row: of the run's first recorded update.
        prediction: what theory said of the run.
    """
    theory = theory_of(run, prediction, carrier_of(first_row), first_row)
    return _tables(run, rows, first_row, theory)


def _tables(run: Run, rows: Rows, first_row: Rows, theory: Theory) -> Tables:
    """Return the tables of some recorded updates; ``theory`` is that of the first one."""
    return {
        **curve_tables(run, rows | _predicted(rows, first_row, theory)),
        "exponents": _exponent_table(rows),
        "jacobians": _jacobian_table(run, rows),
    }


def curve_tables(run: Run, rows: Rows) -> Tables:
    """Return the tables of updates and of gradients of some recorded updates of a run.

    Args:
        run: the run.
        rows: of these updates.
    """
    return {
        "updates": {name: rows[name] for name in TABLES["updates"].names if name in rows},
        "gradients": _gradient_table(run, rows),
    }


def in_words(outcome: Outcome) -> str:
    """Say in a line how a run ended: what it learned, how far its gradient reaches, and reached."""
    said = [
        _about_loss(outcome),
        f"at update 0 {carried_in_words(outcome.first)}",
        theory_in_words(outcome.theory),
        f"at update {outcome.last_update} {carried_in_words(outcome.last)}"
        if outcome.last_update
        else "",
        _about_tests(outcome),
        _about_clipping(outcome),
        _about_truncation(outcome),
    ]
    status = outcome.status
    if outcome.divergence is not None:
        update, time, direction = outcome.divergence
        status = f"diverged (not finite at update {update}, time step {time}, {direction} pass)"
    return f"{status}; {'; '.join(filter(None, said))}"


def _about_loss(outcome: Outcome) -> str:
    """Say the loss and the error of the last recorded batch, each beside that of a guess."""
    loss, error = (float(outcome.updates[name][-1]) for name in ("loss", "error"))
    if not math.isfinite(loss):
        return ""
    task = outcome.run.task
    at = f"at update {outcome.last_update} the loss is {number(loss)}{_chance(task.chance_loss)}"
    if not math.isfinite(error):
        return at
    guess = _chance(100 * task.chance_error, " %")
    return f"{at}, wrong on {number(100 * error)} % of the batch{guess}"


def _chance(guess: float, unit: str = "") -> str:
    """Say what a guess that has seen no input would score, where the task knows it."""
    return f" (chance {number(guess)}{unit})" if math.isfinite(guess) else ""


def _about_tests(outcome: Outcome) -> str:
    """Say how the run does on sequences that training never saw."""
    tests = outcome.updates.get("test_error")
    if tests is None or math.isnan(tests[-1]):
        return ""
    where = "" if (length := outcome.run.evaluation.length) is None else f" of task.length={length}"
    return f"wrong on {number(100 * float(tests[-1]))} % of the test sequences{where}"


def _about_clipping(outcome: Outcome) -> str:
    """Say that the gradient is clipped from the start on, and what it is above of."""
    norm, training = outcome.clipped_norm, outcome.run.training
    if norm is None:
        return ""
    above = f"a number of the gradient above clip_value {number(training.clip_value or 0.0)}"
    if training.clip_norm is not None and norm > training.clip_norm:
        above = f"norm {number(norm)} above clip_norm {number(training.clip_norm)}"
    return f"clipping binds from the first update: {above}"


def _about_truncation(outcome: Outcome) -> str:
    """Say that training sees less than is said of, where that is so."""
    truncation = outcome.run.training.truncation
    if truncation is None or outcome.first.summary.lost_at is not None:
        return ""
    return f"training truncates backpropagation after {truncation.back} steps, this gradient is not"


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


def _predicted(rows: Rows, first_row: Rows, theory: Theory) -> Rows:
    """Return theory's norms of the top layer at update 0, from the measured one at lag 0 on."""
    if not theory.holds:
        return {}
    carrier = carrier_of(first_row)
    predicted = np.full(rows[carrier].shape, math.nan)
    if rows["update"][0] == first_row["update"][0]:
        end, profile = int(first_row["length"][0]), theory.log10_profile
        profile = profile[:end] + first_row[carrier][0, -1, end - 1]
        predicted[0, -1, end - len(profile) : end] = profile[::-1]
    return {"log10_predicted": predicted}


def _exponent_table(rows: Rows) -> Table:
    """Return one row a recorded update and index: index 1 is the largest exponent."""
    exponents = rows["exponent"]
    indices = np.arange(1, exponents.shape[1] + 1)
    update, index = np.meshgrid(rows["update"], indices, indexing="ij")
    columns = {"update": update, "index": index, "exponent": exponents}
    return {name: values.ravel() for name, values in columns.items()}


def _jacobian_table(run: Run, rows: Rows) -> Table:
    """Return one row a recorded update, lag and singular value: index 1 is the largest."""
    name = "log10_singular_value"
    indices = np.arange(1, rows[name].shape[2] + 1)
    lags = np.array(run.recording.lags, dtype=np.int64)
    update, lag, index = np.meshgrid(rows["update"], lags, indices, indexing="ij")
    columns = {"update": update, "lag": lag, "index": index, name: rows[name]}
    return {name: values.ravel() for name, values in columns.items()}
