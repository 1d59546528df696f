"""Experiment: executing runs turns frozen values into tables.

Runs that agree in everything but init and seed train together as one tensor program, and every
one of them gets the bits it would have got alone (CPU, one torch thread, and a process that
`process.settle` has settled).
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from rnn_exp.criticality import weights_of
from rnn_exp.divergence import Divergence
from rnn_exp.history import History
from rnn_exp.network import Parameters
from rnn_exp.outcome import Outcome, outcome_of
from rnn_exp.planning import chunks
from rnn_exp.prediction import predict
from rnn_exp.run import Run
from rnn_exp.trainees import Trainees
from rnn_exp.updates import Update, train

__all__ = ["Chunk", "Snapshot", "execute"]


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A run in the middle of training: the updates it has made, its state, and its history."""

    updates: int
    state: Mapping[str, Tensor]
    history: Mapping[str, np.ndarray]


class Chunk:
    """Runs that train as one tensor program, from their beginning or from their snapshots.

    All snapshots must have been taken after the same number of updates.
    """

    def __init__(self, runs: Sequence[Run], snapshots: Sequence[Snapshot] = ()) -> None:
        self.runs, first = list(runs), runs[0]
        self.made = snapshots[0].updates if snapshots else 0
        self._is_whole = False
        drawn = [weights_of(run) for run in runs]
        self.parameters = Parameters.stack(drawn, first.network.torch_dtype)
        self.parameters.flat = self.parameters.flat.to(first.device)
        self.predictions = [predict(run, self.parameters.of_run(i)) for i, run in enumerate(runs)]
        before = [snapshot.history for snapshot in snapshots] or [{} for _ in runs]
        self.histories = [History(i, history) for i, history in enumerate(before)]
        seeds, states = [run.seed for run in runs], [dict(one.state) for one in snapshots]
        self.trainees = Trainees(
            self.parameters, first.network, first.task, first.training, seeds, states
        )

    def train(self) -> Iterator[tuple[Update, list[Outcome]]]:
        """Yield every update when it is made, and the outcomes of the runs that ended at it."""
        first = self.runs[0]
        for update in train(self.trainees, first.network, first.recording, self.made):
            self.made = update.update + 1
            self._keep(update)
            leaving = {*update.divergences, *update.solved}
            all_made = self.made == first.training.updates
            ended = [run for run in update.runs if all_made or run in leaving]
            self._is_whole = True
            yield update, [self._outcome(run, update) for run in ended]
            self._is_whole = False

    def _keep(self, update: Update) -> None:
        if update.recorded is None:
            return
        first = self.runs[0]
        wanted = first.recording.wanted(update.update, first.training.updates)
        for run in update.runs if wanted else update.divergences:
            self.histories[run].add(update)

    def _outcome(self, run: int, update: Update) -> Outcome:
        divergence: Divergence | None = update.divergences.get(run)
        return outcome_of(
            self.runs[run], self.histories[run].arrays(), self.predictions[run],
            self.parameters.of_run(run), divergence, run in update.solved,
        )  # fmt: skip

    def snapshots(self) -> Iterator[tuple[Run, Snapshot]]:
        """Yield every run that is still training, with all that it needs to go on.

        There is none in the middle of an update, where the sequences are ahead of the weights.
        """
        all_made = self.made == self.runs[0].training.updates
        for run in self.trainees.left if self._is_whole and not all_made else ():
            history = self.histories[run].arrays()
            yield self.runs[run], Snapshot(self.made, self.trainees.state_of(run), history)


def execute(runs: Iterable[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train the runs and return their outcomes in the same order.

    Example:
        >>> from rnn_exp.training import Training
        >>> [outcome] = execute([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    runs = list(runs)
    outcomes: dict[Run, Outcome] = {}
    for chunk in chunks(dict.fromkeys(runs)):
        for update, ended in Chunk(chunk).train():
            if watch is not None:
                watch(update)
            outcomes |= {outcome.run: outcome for outcome in ended}
    return [outcomes[run] for run in runs]
