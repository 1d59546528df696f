r"""What is measured at a recorded update, per run, and per layer and time step.

Norms of gradients are `columns`; where training has lost one, `lost` says what it truly is.

The names of what is measured are columns of `schema`. A new column is a line there and one here.
"""

import functools
import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.ends import ByLag
from rnn_exp.networks.norms import norm, norm_of_parameter
from rnn_exp.shapes import Float
from rnn_exp.tasks import SequenceBatch
from rnn_exp.training.batch import BatchGradients, RunBatch
from rnn_exp.training.columns import profile
from rnn_exp.training.evaluation import score, test_sequences, test_task
from rnn_exp.training.lost import with_statuses
from rnn_exp.training.run import Run
from rnn_exp.training.spectra import CandidateBlock, exponents, singular_values
from rnn_exp.training.steps import rate_at

__all__ = [
    "Recorder",
    "Rows",
    "of_step",
    "row_of",
    "rows_of",
]

Rows = dict[str, np.ndarray]
"""What was recorded of a run: by column, an entry a recorded update (layer and time, or index)."""


class Recorder:
    """Measures updates and keeps the rows of every run until they are taken.

    Args:
        runs: the runs; they agree in everything but init and seed.
        first: the first row of each run, where it goes on from a snapshot.
    """

    def __init__(self, runs: Sequence[Run], first: Sequence[Rows] = ()) -> None:
        self._recording, self._updates = runs[0].recording, runs[0].training.updates
        self._evaluation = runs[0].evaluation
        self._first = dict(zip(runs, first, strict=True)) if first else {}
        self._held: dict[Run, list[tuple[int, _MeasuredUpdate]]] = {run: [] for run in runs}

    @property
    def held(self) -> int:
        """How many recorded updates are held of a run, at most."""
        return max(map(len, self._held.values()))

    def wanted(self, number: int) -> bool:
        """Say whether an update is recorded, by its number."""
        return self._recording.wanted(number, self._updates)

    def measure(
        self, number: int, batch: RunBatch, data: SequenceBatch, gradients: BatchGradients
    ) -> dict[str, Tensor]:
        """Measure an update before its weights move.

        Args:
            number: of the update.
            batch: the runs.
            data: the update's sequences.
            gradients: of the update.

        Returns:
            By column: (run) of the table of updates but for those of `of_step`, (layer, time, run)
            of that of gradients, (index, run) of that of exponents, (lag, index, run) of that of
            Jacobians.
        """
        network, found = batch.network, gradients.network
        candidate = CandidateBlock(batch.top_weight, network)
        wants_spectrum = self._recording.spectrum_wanted(number, self._updates)
        of_recurrent = found.parameters[network.top_weight]
        unused = torch.full_like(found.loss, math.nan)
        no_spectrum = unused.double()
        lags = (
            None if data.ends is None else ByLag(data.ends.to(found.loss.device), len(data.inputs))
        )
        seen = profile(found, network.make_cell(), batch.late(data, found), lags)
        return {
            "update": torch.full((len(batch.runs),), number),
            "length": torch.tensor(data.lengths),
            "loss": found.loss,
            "error": batch.error(data, found),
            "grad_norm": gradients.norm,
            "clipped": batch.clipped(gradients),
            "recurrent_grad_norm": norm_of_parameter(of_recurrent),
            "spectral_radius": candidate.spectral_radius() if wants_spectrum else no_spectrum,
            # At update 0 theory's bound is made of it.
            "largest_singular_value": (
                candidate.sigma_max() if wants_spectrum or not number else no_spectrum
            ),
            "omega": gradients.penalties.get("omega", unused),
            "weight_change": batch.weight_change(),
            "learning_rate": torch.full_like(
                gradients.norm, rate_at(batch.training, number), dtype=torch.float64
            ),
            **with_statuses(seen, batch, data, gradients, lags),
            "exponent": exponents(found, batch, self._recording.exponents, data).T,
            "log10_singular_value": singular_values(found, batch, self._recording.lags, data),
        }

    def test(self, number: int, batch: RunBatch, solved: Container[Run]) -> dict[str, Tensor]:
        """Score the runs on test sequences, where a test is due or a run has solved its task.

        One run after the other: what one scores does not depend on those beside it.

        Args:
            number: of the update.
            batch: the runs.
            solved: those that end with this update because they have solved their task.

        Returns:
            The columns test_loss and test_error (run), NaN without a test; none without evaluation.
        """
        tests = self._evaluation
        if tests.every is None:
            return {}
        task, is_due = test_task(batch.task, tests), tests.wanted(number, self._updates)
        answers = task.steps if batch.training.loss_at == "every" else task.answers
        rows = [(math.nan, math.nan)] * len(batch.runs)
        for place, run in enumerate(batch.runs):
            if is_due or run in solved:
                sequences = test_sequences(task, tests.sequences, run.seed)
                weights = batch.weights_of(run)
                rows[place] = score(weights, batch.network, task, sequences, answers)
        both = torch.tensor(rows, dtype=torch.float64).T
        return dict(zip(("test_loss", "test_error"), both, strict=True))

    def keep(
        self, measured: Mapping[str, Tensor], runs: Sequence[Run], only: Container[Run] | None
    ) -> None:
        """Keep what was measured of all runs, or of some of them alone.

        Args:
            measured: as `measure` returns it.
            runs: the runs that it has entries for, in order.
            only: whose rows are kept; None: all.
        """
        kept = _MeasuredUpdate(measured)
        for place, run in enumerate(runs):
            if only is None or run in only:
                self._held[run].append((place, kept))
                if run not in self._first:
                    self._first[run] = _rows([kept.row_of(place)])

    def first(self, run: Run) -> Rows:
        """Return what was recorded of a run at its first recorded update, also if it was taken."""
        return self._first[run]

    def take(self, run: Run) -> Rows:
        """Return what was recorded of a run since it was last taken, and hold it no longer.

        Returns:
            An array a column, an entry a recorded update; no column where nothing was recorded.
        """
        new = [kept.row_of(place) for place, kept in self._held[run]]
        self._held[run] = []
        return _rows(new) if new else {}


def of_step(
    before: Float[Tensor, "left size"],
    after: Float[Tensor, "left size"],
    left: Sequence[Run],
    runs: Sequence[Run],
) -> dict[str, Float[Tensor, " run"]]:
    """Return the columns that say how far the weights moved; NaN: a run has ended unmoved.

    Args:
        before: all weights and biases of the runs that were left for the step.
        after: the same after it.
        left: these runs.
        runs: all runs of the update.
    """
    found = torch.stack(_moved(before, after))
    if len(left) < len(runs):
        place_of, of_left = {run: place for place, run in enumerate(runs)}, found
        found = of_left.new_full((2, len(runs)), math.nan)
        if left:
            found[:, [place_of[run] for run in left]] = of_left
    return {"update_norm": found[0], "update_ratio": found[1]}


def _moved(
    before: Float[Tensor, "left size"], after: Float[Tensor, "left size"]
) -> tuple[Float[Tensor, " left"], Float[Tensor, " left"]]:
    """Return how far weights have moved, and that over how large they were."""
    moved = norm((after - before).unsqueeze(1))
    return moved, moved / norm(before.unsqueeze(1))


def _rows(rows: Sequence[Mapping[str, Any]]) -> Rows:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


class _MeasuredUpdate:
    """What was measured of many runs at one update: as tensors, until the rows of a run are taken.

    Args:
        measured: as `Recorder.measure` returns it.
    """

    def __init__(self, measured: Mapping[str, Tensor]) -> None:
        self._tensors = measured

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        # All runs at once, and not before somebody asks: reading numbers makes a GPU wait.
        return {name: values.cpu().numpy() for name, values in self._tensors.items()}

    def row_of(self, place: int) -> dict[str, Any]:
        """Return the numbers and arrays of the run in a place."""
        return {
            name: own if (own := values[..., place]).ndim else own.item()
            for name, values in self._arrays.items()
        }


def row_of(measured: Mapping[str, Tensor], place: int) -> dict[str, Any]:
    """Return one run's numbers and arrays of one update.

    Args:
        measured: as `Recorder.measure` returns it.
        place: of the run.
    """
    return _MeasuredUpdate(measured).row_of(place)


def rows_of(measured: Mapping[str, Tensor], place: int) -> Rows:
    """Return what was measured of one run at one update as rows, of which there is one.

    Args:
        measured: as `Recorder.measure` returns it.
        place: of the run.
    """
    return _rows([row_of(measured, place)])
