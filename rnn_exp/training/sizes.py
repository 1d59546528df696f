"""The size of a run in memory: what a process holds that trains runs like it, counted in numbers.

Weights in their several forms, states and gradients of every time step, and what the busiest moment
of an update needs beside them. The count is good to a factor of about 1.5, and rather too much than
too little (`tests/training/test_memory.py` measures that). Rows that were recorded are not counted:
they go to disk. Nor is what a GPU holds.
"""

import functools
import math
from typing import NamedTuple

from rnn_exp.networks.cells.step import StepCell
from rnn_exp.networks.forward import grid_of
from rnn_exp.networks.kernel.memory import row_length
from rnn_exp.networks.network import ENGINES, Network
from rnn_exp.networks.norms import MOST_NUMBERS
from rnn_exp.networks.parametrizations import PARAMETRIZATIONS
from rnn_exp.tasks import Task
from rnn_exp.tasks.lengths import has_own_ends
from rnn_exp.theory.drive import SAMPLE, sequences_for_jacobians
from rnn_exp.training.evaluation import TESTED_TOGETHER, test_task
from rnn_exp.training.loop import TEST_BATCH
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.penalties import PENALTIES, reads_states
from rnn_exp.training.run import Run

__all__ = ["PROCESS", "Sizes", "bytes_of"]

PROCESS = 300 * 1000**2
"""Bytes of a process that has imported torch and computed a little, and of the rows it keeps."""

# What torch loads to follow the step of a cell, as measured.
_FOLLOWING = 50 * 1000**2
# What numba and LLVM load for compiled kernels, as measured.
_KERNELS = 120 * 1000**2
# What freed blocks of memory that are not used again add: 15 to 65 % with T=1000, from one run of
# the program to the next, as measured.
_GAPS = 35  # per cent
_DOUBLE = 8  # bytes


class Sizes(NamedTuple):
    """What decides how much memory a run needs; counts, but ``item`` in bytes.

    ``row`` is ``hidden``, filled up to whole vectors where there are kernels. ``held`` of the
    ``steps`` are held at once: fewer than all where backpropagation is truncated. ``parameters``
    are those of a run, ``recurrent`` those of a layer through which its own states come in.
    """

    steps: int
    held: int
    batch: int
    hidden: int
    row: int
    layers: int
    inputs: int
    outputs: int
    answers: int
    gates: int
    kept: int
    item: int
    has_memory: bool
    is_orthogonal: bool
    remembered: int
    penalties: int
    has_graph: bool
    is_tested: bool
    tests: int
    test_steps: int
    has_jacobians: bool
    is_step: bool
    has_own_ends: bool
    has_kernels: bool
    parameters: int
    recurrent: int
    has_spectrum: bool

    @classmethod
    def of(cls, run: Run) -> "Sizes":
        """Return those of a run."""
        task, network, training = run.task, run.network, run.training
        return cls(
            steps=task.steps,
            held=_held_steps(run),
            batch=training.batch_size,
            hidden=network.hidden_size,
            row=_row(network),
            layers=network.num_layers,
            inputs=task.input_size,
            outputs=task.output_size,
            answers=task.steps if training.loss_at == "every" else task.answers,
            gates=network.kind.gates,
            kept=network.kind.kept_numbers(network.phi),
            item=network.torch_dtype.itemsize,
            has_memory=network.kind.has_memory,
            is_orthogonal=PARAMETRIZATIONS[network.parametrization].is_orthogonal,
            remembered=len(OPTIMIZERS[training.optimizer].remembered(training)),
            penalties=sum(bool(one.weight(training)) for one in PENALTIES.values()),
            has_graph=not ENGINES[network.engine].many_runs,
            is_tested=training.stop_when_solved,
            tests=0 if run.evaluation.every is None else TESTED_TOGETHER,
            test_steps=test_task(task, run.evaluation).steps,
            has_jacobians=bool(run.recording.jacobian_lags),
            is_step=isinstance(network.make_cell(), StepCell),
            has_own_ends=has_own_ends(task),
            has_kernels=network.by_kernels,
            parameters=_parameters(network, task),
            recurrent=network.kind.recurrent_size(network.hidden_size),
            has_spectrum=network.kind.has_matrix,
        )


def _parameters(network: Network, task: Task) -> int:
    """Return how many numbers the weights of a run are; layers above the first are alike."""
    H, own = network.hidden_size, network.kind.shapes
    first, other = (sum(map(math.prod, own(H, size).values())) for size in (task.input_size, H))
    return first + (network.num_layers - 1) * other + task.output_size * (H + 1)


def _row(network: Network) -> int:
    """Return how many numbers the states of a sequence take at a time step."""
    H = network.hidden_size
    return row_length(H, network.torch_dtype) if network.by_kernels else H


def _held_steps(run: Run) -> int:
    """Return of how many time steps a run holds states at once (`networks.forward`)."""
    training, T = run.training, run.task.steps
    if training.truncation is None or reads_states(training) or has_own_ends(run.task):
        return T
    grid = grid_of(run.network, training.batch_size, T, training.truncation.back)
    if grid is None:
        return T
    # The last stretch is up to half as long again, and a window reaches back from its beginning.
    return min(T, 3 * grid.stretch // 2 + training.truncation.back)


@functools.cache
def bytes_of(s: Sizes, runs: int) -> int:
    """Return about how many bytes a process needs that trains so many runs of these sizes.

    Args:
        s: the sizes of each.
        runs: how many train together.
    """
    weights = runs * s.parameters * s.item
    first = runs * s.recurrent
    # The network's and the trained weights, those at first, the optimiser's memory, gradients by
    # name and as one row, and a spare row for a step.
    held = weights * (5 + s.remembered) + first * s.item
    if s.is_orthogonal:
        held += first * s.item * (2 * s.layers + 8)
    held += _sequences(s, runs) + _states(s, runs)
    # In float64, and what LAPACK needs.
    spectrum = runs * s.hidden**2 * (20 + s.item) * s.has_spectrum
    if s.has_jacobians:
        spectrum = max(spectrum, _jacobians(s))
    one_step = max(MOST_NUMBERS, first) * (s.item + _DOUBLE)
    drawing = weights * (3 + s.remembered) + runs * s.parameters * _DOUBLE
    saving = weights * (5 + s.remembered) + 3 * (1 + s.remembered) * weights // runs
    tests = _test(s, s.tests, s.test_steps)
    by_lag = _by_lag(s, runs, s.item)
    moved = 3 * weights  # before a step, after it, and the difference
    second = _second_pass(s, runs) + _by_lag(s, runs, _DOUBLE)
    moments = (
        held + max(tests, _in_an_update(s, runs), spectrum, one_step + by_lag, second, moved),
        drawing + _theory(s),
        saving,
        weights * (5 + s.remembered) + _test(s, TEST_BATCH * s.is_tested, s.steps),
    )
    beside = _FOLLOWING * s.is_step + _KERNELS * s.has_kernels
    return PROCESS + beside + max(moments) * (100 + _GAPS) // 100


def _jacobians(s: Sizes) -> int:
    """Return the bytes of products of Jacobians of one run: of h, or of h and c side by side."""
    n = s.hidden * (1 + s.has_memory)
    # W, factor, product before and after, and what LAPACK needs; and of a step back of all rows
    # what the cell has kept, its factors and their products.
    return n * (8 * n + s.hidden * (s.kept + 2 + 3 * s.gates)) * _DOUBLE


def _layer_states(s: Sizes, runs: int) -> int:
    """Return the bytes of a number for each unit of a layer, sequence and time step."""
    return s.held * runs * s.batch * s.row * s.item


def _sequences(s: Sizes, runs: int) -> int:
    """Return the bytes of inputs, as drawn, put together, and with a 1 beside them."""
    return 3 * s.steps * runs * s.batch * (s.inputs + s.outputs + 2) * max(4, s.item)


def _states(s: Sizes, runs: int) -> int:
    """Return the bytes of what an update holds of states and gradients until it ends."""
    one = _layer_states(s, runs)
    each = 2 + s.kept + s.has_memory  # states, what the cell keeps, gradients
    late = (1 + s.has_memory) * s.layers if s.answers > 1 else 0
    answers = one * min(s.answers, s.held) // s.held
    return one * (each * s.layers + (s.layers - 1) + late) + answers


def _in_an_update(s: Sizes, runs: int) -> int:
    """Return the bytes of the busiest moment: factors of δ of a layer, or the loss's own.

    Kernels hold factors of a few steps alone, and rows of what a layer gets.
    """
    one = _layer_states(s, runs)
    at_answers = 4 * one * min(s.answers, s.held) // s.held
    graph = 4 * s.gates * s.layers * one if s.has_graph else 0
    # Of a cell by its step: states and gradients with sequences behind them, and what the step has
    # made of them beforehand and leaves behind, as measured.
    step = (5 + s.gates) * one if s.is_step else 0
    factors = one if s.has_kernels else 3 * s.gates * one
    return max(factors, step, at_answers, graph, 6 * one if s.penalties else 0)


def _second_pass(s: Sizes, runs: int) -> int:
    """Return the bytes of the pass without a floor, in float64 (`networks.rescaled`)."""
    one = s.held * runs * s.batch * _DOUBLE
    wide = 1 + s.has_memory
    below = (s.layers - 1) * (2 + wide) * s.hidden
    own = wide * s.hidden + s.inputs + 2
    return one * (own + below) + _layer_states(s, runs) + runs * s.parameters * _DOUBLE


def _by_lag(s: Sizes, runs: int, item: int) -> int:
    """Return the bytes of a layer's steps moved to their lags, where sequences end on their own."""
    wide = s.hidden * (4 + s.kept + 2 * s.has_memory)
    return s.has_own_ends * s.held * runs * s.batch * wide * item


def _theory(s: Sizes) -> int:
    """Return the bytes of the sequences that theory looks at before a run trains."""
    if s.layers == 1:
        read = SAMPLE * (s.inputs + 1) * s.item * 3 // 2  # as drawn, and put together
    else:
        below = s.hidden * s.item * (1 + s.kept) * (s.layers - 1)
        read = SAMPLE * max(below, s.hidden * (s.item + 3 * _DOUBLE))
    few = sequences_for_jacobians(s.steps, s.hidden)
    return s.steps * (read + few * s.hidden * s.item * (2 + s.kept + 3 * s.gates))


def _test(s: Sizes, sequences: int, steps: int) -> int:
    """Return the bytes of so many sequences that a network is tested on, and of its states."""
    states = s.hidden * (1 + s.kept) * s.layers * s.item
    return sequences * steps * (states + 3 * (s.inputs + 1) * s.item)
