"""Planning: which runs train together, how much work that is, and what to start first."""

import math
from collections.abc import Iterable, Mapping

from rnn_exp.run import Run

__all__ = ["chunks", "processes_for", "seconds"]

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
