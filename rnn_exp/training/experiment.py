"""An experiment: runs go in as frozen values, tables come out.

Runs that agree in everything but init and seed train together as one tensor program, and every
one of them gets the bits it would have got alone (CPU, one torch thread, and a process that
`process.settle` has settled). Planning says which runs train together and how much work that is.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from rnn_exp.networks.network import Parameters
from rnn_exp.theory.prediction import initial_weights, predict
from rnn_exp.training.batch import Trainees
from rnn_exp.training.loop import Divergence, Update, train
from rnn_exp.training.outcome import History, Outcome, outcome_of
from rnn_exp.training.run import Run

__all__ = ["Chunk", "Snapshot", "chunks", "execute", "processes_for", "seconds"]

# 8–32 runs of usual sizes keep an update's working set in the cache; more are slower, not faster.
_MOST, _FEWEST = 32, 8
# Operations a second of one core, and operations a state beside the matrix products, as measured:
# good to a factor of three, which is all that the order of chunks and the number of processes need.
_SPEED, _BESIDE = 15e9, 50
_SPECTRUM = 40  # times n³: the eigenvalues and singular values of W_hh at a recorded update
# A process has to import torch before it can help: this many seconds of work are worth that.
_WORTH_A_PROCESS = 6.0


def chunks(
    runs: Iterable[Run], made: Mapping[Run, int] | None = None, processes: int = 1
) -> list[list[Run]]:
    """Group runs that can train together; the chunk with most work comes first.

    They share all but init and seed, and have ``made`` as many updates. Networks of one unit go
    alone (their matrix products are dot products, which round differently in company), and so do
    those of ``engine=torch``. Where there are runs enough, every process gets as many.
    """
    groups: dict[object, list[Run]] = {}
    for run in runs:
        shared = run.task, run.network, run.training, run.recording, run.device
        groups.setdefault((shared, (made or {}).get(run, 0)), []).append(run)
    result = []
    for members in groups.values():
        size = _size(members[0], len(members), processes)
        result += [members[start : start + size] for start in range(0, len(members), size)]
    return sorted(result, key=lambda chunk: -sum(map(seconds, chunk)))


def _size(run: Run, members: int, processes: int) -> int:
    """Return how many runs like this one make a chunk."""
    if run.network.engine == "torch" or run.network.hidden_size == 1:
        return 1
    if run.device != "cpu":
        return members  # what does not fit the device's memory is halved when that shows
    pieces = math.ceil(members / _MOST)
    even = math.ceil(pieces / processes) * processes
    return math.ceil(members / (even if members >= even * _FEWEST else pieces))


def seconds(run: Run) -> float:
    """Estimate how long a run trains on one core in company; a rough guess, never a result."""
    T, B = run.task.steps, run.training.batch_size
    H, L = run.network.hidden_size, run.network.num_layers
    units = H * run.network.layer.gates
    operations = T * L * B * units * (6 * (H + run.task.input_size) + _BESIDE)
    recorded = 1 + run.training.updates // run.recording.every
    return (run.training.updates * operations + recorded * _SPECTRUM * H**3) / _SPEED


def processes_for(runs: Iterable[Run], cores: int) -> int:
    """Return how many processes are worth starting: 1 (this one alone) for a small sweep."""
    runs = list(runs)
    if any(run.device != "cpu" for run in runs):
        return 1
    return max(1, min(cores, int(sum(map(seconds, runs)) / _WORTH_A_PROCESS)))


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
        drawn = [initial_weights(run.network, run.init, run.task, run.seed) for run in runs]
        self.parameters = Parameters.stack(drawn, first.network.torch_dtype)
        self.parameters.flat = self.parameters.flat.to(first.device)
        self.predictions = [
            predict(run.network, run.init, run.task, run.seed, self.parameters.of_run(i))
            for i, run in enumerate(runs)
        ]
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
            self.runs[run],
            self.histories[run].arrays(),
            self.predictions[run],
            self.parameters.of_run(run),
            divergence,
            run in update.solved,
        )

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
        >>> from rnn_exp.training.settings import Training
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
