"""An experiment: runs go in as frozen values, tables come out.

Runs that agree in everything but init and seed train together as one tensor program, and every one
of them gets the bits it would have got alone (CPU, one torch thread, and a process whose arithmetic
is settled: `sweeps.process.settle`, which `rnn_exp.train` and the command line call). Planning says
which runs train together, and how much work that is.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from rnn_exp.arithmetic import is_settled
from rnn_exp.fields import SettingError
from rnn_exp.networks.network import ENGINES
from rnn_exp.networks.parameters import Parameters
from rnn_exp.theory.edge import initial_weights
from rnn_exp.theory.prediction import predict
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.loop import Update, train
from rnn_exp.training.memory import Memory, most_runs, needed
from rnn_exp.training.outcome import Outcome, Tables, outcome_of, tables_from
from rnn_exp.training.recorder import Recorder, Rows
from rnn_exp.training.run import Run

__all__ = [
    "Chunk",
    "Snapshot",
    "UnsettledWarning",
    "chunks",
    "processes_for",
    "resolve_auto",
    "seconds",
    "stages",
    "torch_device",
    "train_runs",
]

# 8–32 runs of usual sizes keep an update's working set in the cache; more are slower, not faster.
_MOST, _FEWEST = 32, 8
# Operations a second of one core, and operations a state beside the matrix products, as measured:
# good to a factor of three, which is all that the order of chunks and the number of processes need.
_SPEED, _BESIDE = 15e9, 50
_SPECTRUM = 40  # times n³: the eigenvalues and singular values of W_hh at a recorded update
# A process has to import torch before it can help: this many seconds of work are worth that.
_WORTH_A_PROCESS = 6.0


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
        SettingError: for a device that this machine does not have.
    """

    def __init__(self, runs: Sequence[Run], snapshots: Sequence[Snapshot] = ()) -> None:
        self.runs, first = list(runs), runs[0]
        device, made = torch_device(first.device), snapshots[0].updates if snapshots else 0
        _warn_if_unsettled(device)
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
        for update in train(self._batch, self._recorder):
            ending = {*update.divergences, *update.solved}
            yield update, [run for run in update.runs if self._batch.is_done or run in ending]

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
        SettingError: for a device that this machine does not have.

    Example:
        >>> from rnn_exp.training.settings import Training
        >>> [outcome] = train_runs([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    runs = list(runs)
    outcomes: dict[Run, Outcome] = {}
    for chunk in chunks(dict.fromkeys(runs)):
        together = Chunk(chunk)
        for update, ended in together.train():
            if watch is not None:
                watch(update)
            outcomes |= {run: together.outcome(run, update) for run in ended}
    return [outcomes[run] for run in runs]


def torch_device(word: str) -> torch.device:
    """Return the device that a run's word means on this machine.

    Args:
        word: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: CUDA if there is one.

    Raises:
        SettingError: for a device that this machine does not have.
    """
    there, word = torch.cuda.is_available(), resolve_auto(word)
    cuda = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if word != "cpu" and not (there and word in cuda):
        here = ", ".join(["cpu", "auto", *cuda]) if there else "cpu, auto (no CUDA here)"
        raise SettingError("device", word, f"one of {here}")
    return torch.device(word)


def resolve_auto(word: str) -> str:
    """Return the word of the device on which a run would train here, with ``auto`` decided."""
    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return word


def _warn_if_unsettled(device: torch.device) -> None:
    """Say so where the bits of a run might depend on the runs beside it."""
    if device.type == "cpu" and not is_settled():
        warnings.warn(
            "this process has not settled its arithmetic: a run's last bits may depend on the runs "
            "beside it (call rnn_exp.train, or rnn_exp.sweeps.process.settle() before the first "
            "matrix product)",
            UnsettledWarning,
            stacklevel=3,
        )


def chunks(
    runs: Iterable[Run],
    made: Mapping[Run, int] | None = None,
    processes: int = 1,
    memory: int | None = None,
) -> list[list[Run]]:
    """Group runs that can train together; the chunk with most work comes first.

    They share all but init and seed, and have ``made`` as many updates. Networks of one unit go
    alone (their matrix products are dot products, which round differently in company), and so do
    those of an engine that trains one run at a time.

    Args:
        runs: any runs.
        made: how many updates each has made; none if it is not in there.
        processes: how many there are to train them: where runs are enough, each gets as many.
        memory: bytes that one process may take; a chunk is as small as that asks for, and may be a
            single run that takes more. None: as many as there may be.
    """
    groups: dict[object, list[Run]] = {}
    for run in runs:
        shared = run.task, run.network, run.training, run.recording, run.device
        groups.setdefault((shared, (made or {}).get(run, 0)), []).append(run)
    result = []
    for members in groups.values():
        size = _chunk_size(members[0], len(members), processes, memory)
        result += [members[start : start + size] for start in range(0, len(members), size)]
    return sorted(result, key=lambda chunk: -sum(map(seconds, chunk)))


def _chunk_size(run: Run, members: int, processes: int, memory: int | None) -> int:
    """Return how many runs like this one make a chunk."""
    if not ENGINES[run.network.engine].many_runs or run.network.hidden_size == 1:
        return 1
    if _is_on_gpu(run):
        return members  # what does not fit the device's memory is halved when that shows
    pieces = math.ceil(members / _MOST)
    even = math.ceil(pieces / processes) * processes
    size = math.ceil(members / (even if members >= even * _FEWEST else pieces))
    return size if memory is None else most_runs(run, memory, size)


def stages(
    chunks: Iterable[list[Run]], processes: int, memory: Memory | None
) -> list[tuple[int, list[list[Run]]]]:
    """Put chunks that need much memory behind the others: should they fail, the others are done.

    Args:
        chunks: as `chunks` returns them; their order stays.
        processes: how many processes there are.
        memory: what these have; None: enough.

    Returns:
        What is to be trained one after the other: how many chunks at a time, and which. The first
        are those that leave half of the memory free, the last the largest.
    """
    found: dict[int, list[list[Run]]] = {}
    for chunk in chunks:
        fitting = 2 * processes
        if memory is not None and not _is_on_gpu(chunk[0]):
            fitting = min(fitting, memory.together // needed(chunk[0], len(chunk)))
        found.setdefault(max(1, fitting), []).append(chunk)
    return [(min(count, processes), found[count]) for count in sorted(found, reverse=True)]


def _is_on_gpu(run: Run) -> bool:
    """Say whether a run trains on a GPU, as far as this machine can tell."""
    return resolve_auto(run.device) != "cpu"


def seconds(run: Run) -> float:
    """Estimate how long a run trains on one core in company; a rough guess, never a result."""
    T, B = run.task.steps, run.training.batch_size
    H, L = run.network.hidden_size, run.network.num_layers
    units = H * run.network.kind.gates
    operations = T * L * B * units * (6 * (H + run.task.input_size) + _BESIDE)
    recorded = 1 + run.training.updates // run.recording.every
    return (run.training.updates * operations + recorded * _SPECTRUM * H**3) / _SPEED


def processes_for(runs: Iterable[Run], cores: int, memory: Memory | None = None) -> int:
    """Return how many processes are worth starting: 1 (this one alone) for a small sweep.

    Args:
        runs: what they are to train.
        cores: how many there may be.
        memory: what they have together: no more are started than can train the smallest run.
    """
    runs = list(runs)
    if any(map(_is_on_gpu, runs)):
        return 1
    most = min(cores, int(sum(map(seconds, runs)) / _WORTH_A_PROCESS))
    if most > 1 and memory is not None:
        most = min(most, memory.together // min(map(needed, runs)))
    return max(1, most)
