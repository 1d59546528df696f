"""Every activation, given in full or as φ alone: its slope, exact adjoints, the same bits."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.cells import ACTIVATIONS, CELLS, Activation
from rnn_exp.networks.forward import forward
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.network import Network
from rnn_exp.tasks import TASKS, Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.training.sizes import Sizes
from tests import reference
from tests.builders import asked_for, assert_tables_close, normal, random_network
from tests.networks.test_cells import by_autograd, close, problem, run_of

FREE = CELLS.where(lambda kind: kind.only_activation is None)
ALONE = {name: Activation(name, phi.phi) for name, phi in ACTIVATIONS.items()}
"""The same, of which nothing is known but φ."""
WAYS = {"built in": dict(ACTIVATIONS), "alone": ALONE}
EVERY = pytest.mark.parametrize("name", list(ACTIVATIONS))
EVERY_WAY = pytest.mark.parametrize("way", list(WAYS))
EVERY_CELL = pytest.mark.parametrize("cell", FREE)
LEAK = 0.3


def build(cell, phi):
    """The cell, and the loop that it must equal."""
    made = CELLS[cell].build(phi, LEAK if CELLS[cell].has_leak else None)
    if cell == "normed":
        return made, lambda *given: reference.normed(*given, phi=phi.name)
    keep = {"rnn": 0.0, "leaky": 1 - LEAK, "residual": 1.0}[cell]
    add = LEAK if CELLS[cell].has_leak else 1.0
    return made, lambda *given: reference.skip(*given, phi=phi.name, keep=keep, add=add)


@EVERY
@EVERY_WAY
def test_the_slope_is_that_of_differences(name, way):
    phi, step = WAYS[way][name], 1e-5
    u = torch.linspace(-6, 6, 1201, dtype=torch.float64) + 0.00137
    differences = (reference.PHI[name](u + step) - reference.PHI[name](u - step)) / (2 * step)
    close(phi.derivative(u), differences, 1e-9)
    close(phi(u), reference.PHI[name](u), 1e-14)


@EVERY
def test_what_is_found_of_a_phi_alone_is_what_is_known_of_it(name):
    known, alone = ACTIVATIONS[name], ALONE[name]
    assert alone.largest_slope == pytest.approx(known.largest_slope, rel=1e-9)
    assert alone.needs_input
    assert not alone.bounded, "which asks for no more than a look at the states"
    beside = torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    jumps = [
        at for at in known.where_not_smooth if known.derivative(at + beside).diff().abs() > 0.1
    ]
    assert set(alone.where_not_smooth) == {0.0, *jumps}


def test_a_jump_is_found_wherever_it_lies():
    bent = Activation("bent", lambda u: torch.where(u < math.pi, u, 2 * u - math.pi))
    assert bent.where_not_smooth == pytest.approx((0.0, math.pi), abs=1e-11)
    assert bent.largest_slope == 2


def test_gelu_is_steepest_at_the_root_of_two():
    u = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    slopes = reference.slope("gelu", u)
    assert ACTIVATIONS["gelu"].largest_slope == pytest.approx(float(slopes.max()), rel=1e-9)
    assert float(u[slopes.argmax()]) == pytest.approx(math.sqrt(2), abs=1e-4)
    far = torch.tensor([-math.inf, -60.0, 60.0, math.inf], dtype=torch.float64)
    assert ACTIVATIONS["gelu"].derivative(far).tolist() == [0, 0, 1, 1]


@EVERY_CELL
@EVERY_WAY
@EVERY
@pytest.mark.parametrize("T", [1, 3, 6])
def test_every_gradient_equals_autograd_through_the_unrolled_loop(cell, way, name, T):
    made, program = build(cell, WAYS[way][name])
    own = problem(made, (T, 2, 3, 2, 5), T)

    trace = made.forward(own.x, own.weights, own.start)
    found = made.adjoint(own.readers, trace, own.x, own.weights, with_inputs=True)
    deltas, saturation = made.deltas(trace, found), made.saturation(trace)
    later = made.step_back(found.total, None, trace, own.weights, True)

    for run in range(2):
        x, start, weights = run_of(own, run)
        unrolled, total, _, hidden, of_weights, inputs = by_autograd(
            program, x, start, weights, own.readers[:, run]
        )
        close(trace.states[:, run], torch.stack(unrolled.h).detach())
        close(found.total[:, run], total)
        close(found.inputs[:, run], inputs)
        close(later.inputs[:, run], inputs)
        close(later.total[1:, run] + own.readers[:-1, run], total[:-1])
        close(deltas[:, run], hidden)
        close(saturation[:, run], torch.stack([s.mean() for s in unrolled.slopes]).detach())
        for mine, theirs in zip(found.weights, of_weights, strict=True):
            close(mine[run], theirs)


@EVERY_CELL
@EVERY_WAY
@EVERY
def test_what_is_kept_of_a_unit_is_as_many_numbers_as_memory_is_planned_for(cell, way, name):
    phi = WAYS[way][name]
    made, _ = build(cell, phi)
    own = problem(made, (4, 2, 3, 2, 5), 0)

    kept = made.forward(own.x, own.weights, own.start).kept

    assert sum(part.shape[-1] == 5 for part in kept) == CELLS[cell].kept_numbers(phi)
    leak = LEAK if CELLS[cell].has_leak else None
    run = Run(Adding(9), Network(name, cell=cell, leak=leak))
    assert Sizes.of(run).kept == CELLS[cell].kept_numbers(ACTIVATIONS[name])


@given(
    st.sampled_from(FREE),
    st.sampled_from(list(WAYS)),
    st.sampled_from(list(ACTIVATIONS)),
    st.tuples(
        st.integers(1, 20),
        st.integers(2, 7),
        st.integers(1, 20),
        st.integers(1, 5),
        st.integers(2, 50),
    ),
    st.integers(0, 10**6),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(cell, way, name, sizes, seed, dtype):
    made, _ = build(cell, WAYS[way][name])
    whole, run = problem(made, sizes, seed, dtype), seed % sizes[1]

    def bits(own):
        trace = made.forward(own.x, own.weights, own.start)
        found = made.adjoint(own.readers[-1:], trace, own.x, own.weights, with_inputs=True)
        deltas = made.deltas(trace, found)
        over_time = [trace.states, found.total, found.inputs, deltas, made.saturation(trace)]
        return [*(tensor.transpose(0, 1) for tensor in over_time), *found.weights]

    together, alone = bits(whole), bits(whole.of(slice(run, run + 1)))
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_array_equal(many[run].numpy(), one[0].numpy())


@pytest.mark.parametrize("length", [1, 31, 32, 33, 70_000, 140_001])
def test_a_slope_by_autograd_has_the_same_bits_wherever_a_number_lies(length):
    phi = Activation("mish", torch.nn.functional.mish)
    u = 3 * torch.randn(length, generator=torch.Generator().manual_seed(length))
    with torch.inference_mode():
        whole = phi.derivative(u)
        assert torch.equal(whole.flip(0), phi.derivative(u.flip(0)))
        assert torch.equal(whole[length // 3 :], phi.derivative(u[length // 3 :]))
        assert torch.equal(whole[::3], phi.derivative(u[::3]))


def run_with(activation, **more):
    cell = more.pop("cell", "rnn")
    leak = LEAK if CELLS[cell].has_leak else None
    network = Network(activation, 16, 2, cell, leak, dtype="float64")
    return Run(Adding(24), network, training=Training(3, 5, learning_rate=1e-3, **more))


@EVERY_CELL
@pytest.mark.parametrize("way", ["plain", "every answer", "truncated"])
@pytest.mark.parametrize("name", ["tanh", "hard_tanh", "elu", "gelu"])
def test_a_phi_alone_trains_to_the_tables_of_what_is_built_in(monkeypatch, cell, way, name):
    alone = Activation(f"{name}_alone", ALONE[name].phi)
    monkeypatch.setitem(ACTIVATIONS._things, alone.name, alone)
    more = {
        "plain": {},
        "every answer": {"loss_at": "every"},
        "truncated": {"loss_at": "every", "truncate_every": 4, "truncate_back": 8},
    }[way]

    [known], [own] = (train_runs([run_with(one, cell=cell, **more)]) for one in (name, alone.name))

    assert_tables_close(own, known, rtol=1e-7, atol=1e-7)
    assert own.theory.because == known.theory.because
    if known.theory.holds:
        assert own.theory.rate == pytest.approx(known.theory.rate, rel=1e-6)


def test_exponents_and_omega_of_a_slope_that_needs_the_input_are_those_of_the_states(monkeypatch):
    alone = Activation("tanh_alone", torch.tanh)
    monkeypatch.setitem(ACTIVATIONS._things, alone.name, alone)
    known, own = (
        train_runs(
            [
                Run(
                    Adding(24),
                    Network(name, 7, dtype="float64"),
                    training=Training(3, 5, omega=0.5),
                    recording=Recording(1, exponents=7),
                )
            ]
        )[0]
        for name in ("tanh", "tanh_alone")
    )
    np.testing.assert_allclose(own.exponents["exponent"], known.exponents["exponent"], rtol=1e-9)
    np.testing.assert_allclose(own.updates["omega"], known.updates["omega"], rtol=1e-9)


@EVERY_CELL
@pytest.mark.parametrize("phi", ["elu", "gelu", "identity"])
def test_what_overflows_after_the_end_of_a_sequence_leaves_its_gradient_alone(cell, phi):
    leak = LEAK if CELLS[cell].has_leak else None
    network = Network(phi, 4, cell=cell, leak=leak)
    parameters = random_network(network, 3, 2)
    parameters.views()["weight_hh_l0"].copy_(30 * torch.eye(4).expand(2, 4, 4))
    x = normal(1, 60, 2, 3, 2, dtype=torch.float32)
    ends = [[5, 5, 5], [60, 60, 5]]
    asked = asked_for(normal(2, 2, 1, 3, 3, dtype=torch.float32), ends=ends, shortest=5)

    late = forward(parameters.views(), x, network)[0].states
    found = scan_engine(parameters.views(), x, asked, network)

    assert cell == "normed" or not bool(late[-1, 0].isfinite().all()), "it does overflow"
    assert all(bool(value[0].isfinite().all()) for value in found.parameters.values())


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        (torch.log, r"the activation mine: φ\(-100\) is not finite"),
        (lambda u: u - u.mean(), "φ must be a function of every number on its own"),
        (lambda u: u.detach(), "autograd knows no slope of it; give `slope` or `slope_at`"),
        (torch.sign, "its φ' is 0 wherever it was looked at"),
        (lambda u: u.sum(), "φ of a tensor is one of the same shape and precision"),
        (lambda u: u.float(), "φ of a tensor is one of the same shape and precision"),
        (lambda u: u.abs().sqrt(), r"φ'\(0\) is not finite"),
    ],
)
def test_a_phi_that_cannot_be_one_is_refused_when_it_is_defined(phi, message):
    with pytest.raises(ValueError, match=message):
        Activation("mine", phi)


def test_a_slope_that_is_the_output_itself_is_not_overwritten():
    phi = Activation("exp", torch.exp, lambda h: h, largest_slope=math.inf)
    h = torch.ones(3)
    phi.from_output(h).mul_(5)
    assert h.tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", ["elu", "gelu", "hard_tanh", "leaky_relu", "softsign"])
def test_a_critical_init_scales_by_a_gain_or_says_that_there_is_none(name):
    from rnn_exp.networks.inits import INITS
    from rnn_exp.theory.edge import initial_weights

    network = Network(name, 64)
    weights = initial_weights(network, INITS["critical"](), TASKS["noise"](length=30), 0)

    assert 0.9 < float(weights["weight_hh_l0"].norm()) / math.sqrt(64) < 4
