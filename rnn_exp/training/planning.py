"""Planning: which runs train together, in which order, and how many processes that is worth."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rnn_exp.networks.network import ENGINES
from rnn_exp.training.devices import is_gpu
from rnn_exp.training.memory import Memory, most_runs, needed
from rnn_exp.training.run import Run

__all__ = ["chunks", "processes_for", "seconds", "stages"]

# 8–32 runs of usual sizes keep an update's working set in the cache; more are slower, not faster.
_MOST, _FEWEST = 32, 8
_SPECTRUM = 2.7e-9  # seconds for n³: the eigenvalues and singular values of W_hh
_A_RUN = 0.03  # seconds for its weights, theory and files, however few its updates are
_AN_UPDATE = 1.5e-4  # seconds a run, besides what follows; and as many where it is recorded
_RECORDED = 6.5e7  # states of gates that are recorded a second
# A process has to import torch before it can help: this many seconds of work are worth that.
_WORTH_A_PROCESS = 6.0


def chunks(
    runs: Iterable[Run],
    made: Mapping[Run, int] | None = None,
    processes: int = 1,
    memory: int | None = None,
) -> list[list[Run]]:
    """Group runs that can train together; the chunk with most work comes first.

    They share all but init and seed, and have ``made`` as many updates. Those of an engine that
    trains one run at a time go alone, and so do networks of one unit without kernels: their matrix
    products are dot products, which torch rounds differently in company.

    Args:
        runs: any runs.
        made: how many updates each has made; none if it is not in there.
        processes: how many there are to train them: where runs are enough, each gets as many.
        memory: bytes that one process may take; a chunk is as small as that asks for, and may be a
            single run that takes more. None: as many as there may be.
    """
    groups: dict[object, list[Run]] = {}
    for run in runs:
        shared = run.task, run.network, run.training, run.recording, run.evaluation, run.device
        groups.setdefault((shared, (made or {}).get(run, 0)), []).append(run)
    result = []
    for members in groups.values():
        size = _chunk_size(members[0], len(members), processes, memory)
        result += [members[start : start + size] for start in range(0, len(members), size)]
    return sorted(result, key=lambda chunk: -sum(map(seconds, chunk)))


def _chunk_size(run: Run, members: int, processes: int, memory: int | None) -> int:
    """Return how many runs like this one make a chunk."""
    network = run.network
    if not ENGINES[network.engine].many_runs:
        return 1
    if network.hidden_size == 1 and not network.by_kernels:
        return 1
    if is_gpu(run.device):
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
        if memory is not None and not is_gpu(chunk[0].device):
            fitting = min(fitting, memory.together // needed(chunk[0], len(chunk)))
        found.setdefault(max(1, fitting), []).append(chunk)
    return [(min(count, processes), found[count]) for count in sorted(found, reverse=True)]


class _Speed(NamedTuple):
    """What one core does a second in company, without recording.

    Measured with 8 to 256 units, good to a factor of two: more than the order of chunks and the
    number of processes need.

    Args:
        operations: multiplications and additions of matrix products.
        states: numbers of gates, for all else that is computed of them.
    """

    operations: float
    states: float


_KERNELS, _IN_TORCH = _Speed(1e11, 2e8), _Speed(4.5e10, 8e7)


def seconds(run: Run) -> float:
    """Estimate how long a run trains on one core in company; a rough guess, never a result."""
    updates, H = run.training.updates, run.network.hidden_size
    states = run.task.steps * run.training.batch_size * run.network.num_layers * H
    states *= run.network.kind.gates
    speed = _KERNELS if run.network.by_kernels else _IN_TORCH
    operations = 6 * states * (H + run.task.input_size)
    an_update = _AN_UPDATE + operations / speed.operations + states / speed.states
    recorded = run.recording.records(updates) * (_AN_UPDATE + states / _RECORDED)
    spectra = run.recording.spectra(updates) * _SPECTRUM * H**3
    return _A_RUN + updates * an_update + recorded + spectra


def processes_for(runs: Iterable[Run], cores: int, memory: Memory | None = None) -> int:
    """Return how many processes are worth starting: 1 (this one alone) for a small sweep.

    Args:
        runs: what they are to train.
        cores: how many there may be.
        memory: what they have together: no more are started than can train the smallest run.
    """
    runs = list(runs)
    if any(is_gpu(run.device) for run in runs):
        return 1
    most = min(cores, int(sum(map(seconds, runs)) / _WORTH_A_PROCESS))
    if most > 1 and memory is not None:
        most = min(most, memory.together // min(map(needed, runs)))
    return max(1, most)
