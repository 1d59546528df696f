"""What every cell promises: exact states and gradients, the same bits in company, exact slices."""

import dataclasses
import functools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given

from rnn_exp.networks.cells import CELLS, GRU, LSTM, Elman, LayerWeights, Normed, Skip
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.kernel.cells import kernel_cell
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective
from rnn_exp.schema import KERNEL_CELLS
from rnn_exp.tasks import Adding, TemporalOrder
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests import reference
from tests.builders import assert_tables_close
from tests.modules import to_torch


def skip_of(phi, keep, add):
    return Skip(ACTIVATIONS[phi], keep, add), functools.partial(
        reference.skip, phi=phi, keep=keep, add=add
    )


def normed_of(phi):
    return Normed(ACTIVATIONS[phi]), functools.partial(reference.normed, phi=phi)


def by_kernels(pair):
    cell, loop = pair
    return kernel_cell(cell), loop


# The cell and the loop that it must equal.
PAIRS = {
    "gru": (GRU(), reference.gru),
    "lstm": (LSTM(), reference.lstm),
    "rnn": (
        Elman(ACTIVATIONS["tanh"]),
        functools.partial(reference.skip, phi="tanh", keep=0, add=1),
    ),
    "leaky": skip_of("tanh", 0.7, 0.3),
    "leaky-sigmoid": skip_of("sigmoid", 0.5, 0.5),
    "residual": skip_of("tanh", 1.0, 0.2),
    "residual-relu": skip_of("relu", 1.0, 0.1),
    "normed": normed_of("tanh"),
    "normed-sigmoid": normed_of("sigmoid"),
    "normed-identity": normed_of("identity"),
}
PAIRS |= {
    f"{kind}-kernel": by_kernels(PAIRS[kind])
    for kind in ("rnn", "leaky", "leaky-sigmoid", "residual-relu", "gru", "lstm")
}
KINDS = st.sampled_from(list(PAIRS))
EVERY = pytest.mark.parametrize("kind", list(PAIRS))
SEEDS = st.integers(0, 10**6)
SIZES = st.tuples(
    st.integers(1, 12), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9)
)


@dataclasses.dataclass
class Problem:
    """Random inputs, weights and h_0 of some runs, and what reads every state."""

    x: torch.Tensor
    weights: LayerWeights
    start: torch.Tensor
    readers: torch.Tensor

    def of(self, runs):
        own = LayerWeights(*(tensor[runs].clone() for tensor in self.weights))
        return Problem(
            self.x[:, runs].clone(), own, self.start[runs].clone(), self.readers[:, runs].clone()
        )


def gates_of(cell):
    """How many blocks of rows the W_hh of a cell of this class has, as the registry says."""
    kinds = (
        one for one in CELLS.values() if isinstance(cell, type(one.build(ACTIVATIONS["tanh"], 0.5)))
    )
    return next(kinds).gates


def test_every_registered_cell_is_compared_with_a_slow_program():
    compared = {type(cell) for cell, _ in PAIRS.values()}
    built = {type(one.build(ACTIVATIONS["tanh"], 0.5)) for one in CELLS.values()}
    by_kernels = {
        type(kernel_cell(one.build(ACTIVATIONS["tanh"], 0.5)))
        for one in CELLS.values()
        if one.name in KERNEL_CELLS
    }
    assert compared == built | by_kernels


def problem(cell, sizes, seed, dtype=torch.float64):
    (T, R, B, width, H), n = sizes, gates_of(cell)
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64).to(dtype)

    weights = LayerWeights(
        normal(R, n * H, width),
        1.2 * normal(R, n * H, H) / math.sqrt(H),
        normal(R, n * H),
        normal(R, n * H),
    )
    return Problem(normal(T, R, B, width), weights, normal(R, B, H), normal(T, R, B, H))


def close(mine, theirs, tolerance=1e-12):
    """Compare to a part of the largest entry, or of 1 where all are smaller."""
    assert mine.shape == theirs.shape
    if mine.numel():
        largest = max(1.0, float(theirs.abs().max()))
        assert float((mine - theirs).abs().max()) <= tolerance * largest


def by_autograd(program, x, start, weights, readers, **more):
    """Return the unrolled run, and the gradients by h, c, W_hh h + b_hh, the weights and x."""
    leaves = [tensor.clone().requires_grad_() for tensor in (*weights, x)]
    unrolled = program(leaves[-1], start, *leaves[:-1], **more)
    last = torch.stack(unrolled.h[len(x) - len(readers) :])
    wanted = [*unrolled.h, *unrolled.c, *unrolled.hidden, *leaves]
    found = torch.autograd.grad((last * readers).sum(), wanted, allow_unused=True)
    found = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]
    T, rest = len(x), found[len(found) - len(leaves) :]
    memory = torch.stack(found[T : 2 * T]) if unrolled.c else None
    hidden = torch.stack(found[len(found) - len(leaves) - T : len(found) - len(leaves)])
    return unrolled, torch.stack(found[:T]), memory, hidden, rest[:-1], rest[-1]


def run_of(given, run):
    return given.x[:, run], given.start[run], [tensor[run] for tensor in given.weights]


@given(KINDS, SIZES, SEEDS)
def test_states_equal_the_unrolled_loop(kind, sizes, seed):
    cell, program = PAIRS[kind]
    own = problem(cell, sizes, seed)

    trace = cell.forward(own.x, own.weights, own.start)

    for run in range(sizes[1]):
        x, start, weights = run_of(own, run)
        close(trace.states[:, run], torch.stack(program(x, start, *weights).h))
    assert torch.equal(trace.previous_states[1:], trace.states[:-1])
    assert torch.equal(trace.previous_states[0], own.start)
    assert all(len(tensor) == sizes[0] for tensor in trace.kept)


@given(KINDS, SIZES, SEEDS, st.sampled_from(["last", "some", "every"]))
def test_every_gradient_equals_autograd_through_the_unrolled_loop(kind, sizes, seed, asked):
    cell, program = PAIRS[kind]
    own, T = problem(cell, sizes, seed), sizes[0]
    readers = own.readers[{"last": T - 1, "some": T // 2, "every": 0}[asked] :]

    trace = cell.forward(own.x, own.weights, own.start)
    found = cell.adjoint(readers, trace, own.x, own.weights, with_inputs=True)
    deltas = cell.deltas(trace, found)

    for run in range(sizes[1]):
        _, total, memory, hidden, weights, inputs = by_autograd(
            program, *run_of(own, run)[:2], run_of(own, run)[2], readers[:, run]
        )
        close(found.total[:, run], total)
        close(found.inputs[:, run], inputs)
        close(deltas[:, run], hidden)
        for mine, theirs in zip(found.weights, weights, strict=True):
            close(mine[run], theirs)
        if memory is None:
            assert found.memory is None
        else:
            close(found.memory[:, run], memory)


@EVERY
def test_long_sequences_are_exact_over_all_chunks_of_time(kind):
    """T · B · H · gates is several times what is worked on at once."""
    cell, program = PAIRS[kind]
    own = problem(cell, (150, 1, 12, 3, 40), seed=1)
    trace = cell.forward(own.x, own.weights, own.start)

    found = cell.adjoint(own.readers, trace, own.x, own.weights, with_inputs=True)

    x, start, weights = run_of(own, 0)
    _, total, memory, hidden, of_weights, inputs = by_autograd(
        program, x, start, weights, own.readers[:, 0]
    )
    close(found.total[:, 0], total)
    close(found.inputs[:, 0], inputs)
    close(cell.deltas(trace, found)[:, 0], hidden)
    for mine, theirs in zip(found.weights, of_weights, strict=True):
        close(mine[0], theirs)
    if memory is not None:
        close(found.memory[:, 0], memory)


@given(KINDS, SIZES, SEEDS)
def test_deltas_and_the_states_before_them_sum_to_the_gradient_of_w_hh(kind, sizes, seed):
    cell, _ = PAIRS[kind]
    own = problem(cell, sizes, seed)
    trace = cell.forward(own.x, own.weights, own.start)
    found = cell.adjoint(own.readers[-1:], trace, own.x, own.weights)

    deltas = cell.deltas(trace, found)

    close(torch.einsum("trbk,trbh->rkh", deltas, trace.previous_states), found.weights.weight_hh)


@given(KINDS, SIZES, SEEDS)
def test_saturation_is_the_mean_slope_over_batch_units_and_gates(kind, sizes, seed):
    cell, program = PAIRS[kind]
    own = problem(cell, sizes, seed)

    found = cell.saturation(cell.forward(own.x, own.weights, own.start))

    for run in range(sizes[1]):
        x, start, weights = run_of(own, run)
        expected = torch.stack([s.mean() for s in program(x, start, *weights).slopes])
        close(found[:, run], expected)


@given(KINDS, SIZES, SEEDS, st.data())
def test_the_adjoint_of_a_slice_holds_what_was_before_it_constant(kind, sizes, seed, data):
    cell, program = PAIRS[kind]
    own = problem(cell, sizes, seed)
    start = data.draw(st.integers(0, sizes[0] - 1))
    stop = data.draw(st.integers(start + 1, sizes[0]))
    first = data.draw(st.integers(start, stop - 1))
    trace = cell.forward(own.x, own.weights, own.start)

    found = cell.adjoint(
        own.readers[first:stop],
        trace.between(start, stop),
        own.x[start:stop],
        own.weights,
        with_inputs=True,
    )

    x, h, weights = run_of(own, 0)
    whole, more = program(x, h, *weights), {}
    if start:
        h = whole.h[start - 1].detach()
        more = {"c": whole.c[start - 1].detach()} if whole.c else {}
    _, total, memory, _, of_weights, inputs = by_autograd(
        program, x[start:stop], h, weights, own.readers[first:stop, 0], **more
    )
    close(found.total[:, 0], total)
    close(found.inputs[:, 0], inputs)
    for mine, theirs in zip(found.weights, of_weights, strict=True):
        close(mine[0], theirs)
    if memory is not None:
        close(found.memory[:, 0], memory)


@given(
    KINDS,
    st.tuples(
        st.integers(1, 40),
        st.integers(2, 9),
        st.integers(1, 20),
        st.integers(1, 7),
        st.integers(1, 70),
    ),
    SEEDS,
    st.sampled_from([torch.float32, torch.float64]),
)
@example("gru", (30, 5, 7, 2, 33), 1, torch.float32)
@example("lstm", (30, 5, 7, 2, 33), 2, torch.float32)
@example("lstm", (30, 4, 7, 1, 2), 3, torch.float32)
@example("gru", (30, 4, 7, 1, 2), 3, torch.float32)
@example("normed-sigmoid", (30, 5, 7, 2, 33), 4, torch.float32)
@example("leaky-sigmoid", (30, 5, 7, 2, 33), 4, torch.float32)
@example("lstm", (60, 3, 16, 2, 64), 5, torch.float32)
@example("gru", (60, 3, 16, 2, 64), 5, torch.float32)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(kind, sizes, seed, dtype):
    cell, _ = PAIRS[kind]
    whole, run = problem(cell, sizes, seed, dtype), seed % sizes[1]

    def bits(own):
        trace = cell.forward(own.x, own.weights, own.start)
        found = cell.adjoint(own.readers[-1:], trace, own.x, own.weights, with_inputs=True)
        memory = [] if found.memory is None else [found.memory]
        over_time = [trace.states, found.total, found.inputs, cell.deltas(trace, found), *memory]
        return [*(tensor.transpose(0, 1) for tensor in over_time), *found.weights]

    together, alone = bits(whole), bits(whole.of(slice(run, run + 1)))
    for many, one in zip(together, alone, strict=True):
        assert torch.equal(many[run], one[0])


SETTINGS = {
    "rnn": {},
    "leaky": {"leak": 0.3},
    "residual": {"leak": 0.1},
    "normed": {},
    "gru": {},
    "lstm": {},
}


@pytest.mark.parametrize("cell", list(SETTINGS))
def test_every_cell_learns(cell):
    """A short task that each can do: the loss at the end is well below that of the start."""
    network = Network(cell=cell, hidden_size=12, **SETTINGS[cell])
    training = Training(updates=60, batch_size=20, optimizer="adam", learning_rate=0.03)

    [outcome] = train_runs([Run(Adding(4), network, TorchDefault(), training)])

    assert outcome.status == "finished"
    assert np.isfinite(outcome.gradients["log10_total"]).all()
    assert outcome.updates["loss"][-3:].mean() < 0.5 * outcome.updates["loss"][0]


@pytest.mark.parametrize("cell", list(SETTINGS))
def test_runs_of_every_cell_are_the_same_alone_and_side_by_side(cell):
    network = Network(cell=cell, hidden_size=7, **SETTINGS[cell])
    runs = [
        Run(Adding(8), network, TorchDefault(), Training(updates=4, batch_size=5), seed=seed)
        for seed in range(3)
    ]

    together, alone = train_runs(runs), [train_runs([run])[0] for run in runs]

    for many, one in zip(together, alone, strict=True):
        for name in many.gradients:
            assert (many.gradients[name] == one.gradients[name]).all(), name
        for name, weights in many.weights.items():
            assert torch.equal(weights, one.weights[name])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_all_engines_give_the_same_tables(cell, num_layers):
    training = Training(updates=8, batch_size=5, optimizer="adam", clip_norm=1.0)
    scan, *others = (
        train_runs(
            [
                Run(
                    TemporalOrder(12),
                    Network(
                        "tanh",
                        9,
                        num_layers,
                        cell=cell,
                        engine=engine,
                        dtype="float64",
                        initial_state=0.1,
                    ),
                    Gaussian(0.8),
                    training,
                )
            ]
        )[0]
        for engine in ("scan", "kernel", "torch")
    )
    for outcome in others:
        assert_tables_close(outcome, scan, rtol=1e-6, atol=1e-9)
        for name, weights in scan.weights.items():
            torch.testing.assert_close(outcome.weights[name], weights, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_two_layers_equal_torchs_own_module(cell):
    network, task = Network(cell=cell, hidden_size=6, num_layers=2, dtype="float64"), Adding(15)
    parameters = Parameters.stack([Gaussian().draw(shapes(network, 2, 1), 3)], torch.float64)
    batch = task.draw(4, torch.Generator().manual_seed(0))
    x, y = batch.inputs.double(), batch.targets.double()
    asked = Objective(lambda outputs: task.loss(outputs, y.unsqueeze(0)))

    found = scan_engine(parameters.views(), x.unsqueeze(1), asked, network)

    own = parameters.of_run(0)
    module = to_torch(own, network)
    out, _ = module(x)
    answers = out[-1] @ own["readout.weight"].T + own["readout.bias"]
    (answers[:, 0] - y[0]).square().mean().backward()
    close(found.states[-1][:, 0], out.detach())
    for name, parameter in module.named_parameters():
        close(found.parameters[name][0], parameter.grad)


def test_the_recurrent_layers_have_one_three_and_four_times_as_many_parameters():
    def count(cell):
        network = Network(cell=cell, hidden_size=11, num_layers=2, **SETTINGS[cell])
        sizes = shapes(network, 3, 1)
        return sum(math.prod(size) for name, size in sizes.items() if "readout" not in name)

    assert [count(cell) / count("rnn") for cell in SETTINGS] == [1, 1, 1, 1, 3, 4]
