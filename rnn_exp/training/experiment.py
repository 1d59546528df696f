"""An experiment: runs go in as frozen values, tables come out.

Runs that agree in everything but init and seed train together as one tensor program, and every one
of them gets the bits it would have got alone (CPU, one torch thread, and a process whose arithmetic
is settled: `sweeps.process.settle`, which the functions of `rnn_exp` and the command line call).
Which runs train together says `planning`.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from rnn_exp.arithmetic import is_settled
from rnn_exp.networks.parameters import Parameters
from rnn_exp.randomness import OutsideDraws
from rnn_exp.theory.edge import initial_weights
from rnn_exp.theory.prediction import predict
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.devices import refuse_without_compiler, torch_device
from rnn_exp.training.loop import Update, train
from rnn_exp.training.outcome import Outcome, Tables, curve_tables, outcome_of, tables_from
from rnn_exp.training.planning import chunks
from rnn_exp.training.recorder import Recorder, Rows, rows_of
from rnn_exp.training.run import Run
from rnn_exp.training.trials import refuse_wrong_parts

__all__ = [
    "Chunk",
    "Snapshot",
    "UnsettledWarning",
    "train_runs",
]


_WATCHED: Final = 2  # updates


class UnsettledWarning(UserWarning):
    """A run trains in a process whose matrix products may depend on where a matrix lies."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A run in the middle of training.

    Args:
        updates: how many it has made.
        state: its weights, the optimiser's memory, the generator's state.
        first: what was recorded of it at its first recorded update.
    """

    updates: int
    state: Mapping[str, Tensor]
    first: Rows


class Chunk:
    """Runs that train as one tensor program, from their beginning or from their snapshots.

    Args:
        runs: the runs; they agree in everything but init and seed.
        snapshots: where each goes on from, all after the same number of updates; none: all begin.

    Raises:
        SettingError: for a device or a compiler that this machine does not have.
        StateError: for a snapshot that is not one of such a run.
        ValueError: if an own part draws random numbers from a generator that is not the run's.
    """

    def __init__(self, runs: Sequence[Run], snapshots: Sequence[Snapshot] = ()) -> None:
        self.runs, first = list(runs), runs[0]
        device, made = torch_device(first.device), snapshots[0].updates if snapshots else 0
        refuse_without_compiler(first.network.engine)
        _warn_if_unsettled(device)
        outside = OutsideDraws({what: None for run in runs for what in run.sources})
        self._outside = outside
        with outside.watched():
            drawn = [initial_weights(run.network, run.init, run.task, run.seed) for run in runs]
            self._parameters = Parameters.stack(drawn, first.network.torch_dtype)
            self._parameters.flat = self._parameters.flat.to(device)
            self._predictions = [
                predict(run.network, run.init, run.task, run.seed, self._parameters.of_run(row))
                for row, run in enumerate(runs)
            ]
        self._recorder = Recorder(self.runs, [snapshot.first for snapshot in snapshots])
        states = [dict(snapshot.state) for snapshot in snapshots]
        self._batch = RunBatch(self.runs, self._parameters, states, made)

    @property
    def made(self) -> int:
        """How many updates have been made."""
        return self._batch.made

    @property
    def held(self) -> int:
        """How many recorded updates are held of a run, at most."""
        return self._recorder.held

    def train(self) -> Iterator[tuple[Update, list[Run]]]:
        """Yield every update when it is made, and the runs that ended with it."""
        for update in self._updates():
            ending = {*update.divergences, *update.solved}
            if self._batch.is_done:
                yield update, update.runs
            else:
                yield update, [run for run in update.runs if run in ending] if ending else []

    def _updates(self) -> Iterator[Update]:
        """Yield every update; in the first ones own parts are watched for draws from elsewhere."""
        updates = train(self._batch, self._recorder)
        for _ in range(_WATCHED):
            with self._outside.watched():
                update = next(updates, None)
            if update is None:
                return
            yield update
        yield from updates

    def outcome(self, run: Run, update: Update) -> Outcome:
        """Return the outcome of a run that has ended, once: its rows are held no longer.

        Args:
            run: the run.
            update: the one with which it ended.
        """
        row = self.runs.index(run)
        return outcome_of(
            run,
            self._recorder.take(run),
            self._recorder.first(run),
            self._predictions[row],
            self._parameters.of_run(row),
            update.divergences.get(run),
            run in update.solved,
        )

    def recorded(self, run: Run, update: Update) -> Tables | None:
        """Return the tables of updates and of gradients of one update; None: nothing was recorded.

        What was recorded is held as before.

        Args:
            run: one of those that made the update.
            update: as `train` yields it.
        """
        is_held = self._recorder.wanted(update.number) or run in update.divergences
        if update.recorded is None or not is_held:
            return None
        return curve_tables(run, rows_of(update.recorded, update.runs.index(run)))

    def take(self, run: Run) -> Tables | None:
        """Return the tables of what was recorded of a run since last time; None: nothing was.

        The run's outcome has only what is recorded after that.
        """
        rows = self._recorder.take(run)
        if not rows:
            return None
        prediction = self._predictions[self.runs.index(run)]
        return tables_from(run, rows, self._recorder.first(run), prediction)

    def snapshots(self) -> Iterator[tuple[Run, Snapshot]]:
        """Yield every run that is still training, with all that it needs to go on.

        There is none in the middle of an update, where the sequences are ahead of the weights, and
        none before the first.
        """
        batch = self._batch
        has_begun = bool(batch.made) and not batch.is_done
        for run in batch.runs if batch.is_between_updates and has_begun else ():
            yield run, Snapshot(batch.made, batch.state_of(run), self._recorder.first(run))


def train_runs(runs: Iterable[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train runs and return their outcomes in the same order; nothing is written.

    Args:
        runs: any runs; those that can train together do.
        watch: is called with every update when it is made.

    Raises:
        SettingError: for a device or a compiler that this machine does not have.
        ValueError: if an own part draws random numbers from a generator that is not the run's.

    Example:
        >>> from rnn_exp.training.settings import Training
        >>> [outcome] = train_runs([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    runs = list(runs)
    refuse_wrong_parts(runs)
    outcomes: dict[Run, Outcome] = {}
    for chunk in chunks(dict.fromkeys(runs)):
        together = Chunk(chunk)
        for update, ended in together.train():
            if watch is not None:
                watch(update)
            outcomes |= {run: together.outcome(run, update) for run in ended}
    return [outcomes[run] for run in runs]


def _warn_if_unsettled(device: torch.device) -> None:
    """Say so where the bits of a run might depend on the runs beside it."""
    if device.type == "cpu" and not is_settled():
        warnings.warn(
            "this process has not settled its arithmetic: a run's last bits may depend on the runs "
            "beside it (call rnn_exp.outcomes, or rnn_exp.sweeps.process.settle() before the first "
            "matrix product)",
            UnsettledWarning,
            stacklevel=3,
        )
