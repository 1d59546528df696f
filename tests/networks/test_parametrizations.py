"""Parametrisations: W_hh stays orthogonal, and its gradient goes back through all that makes it."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.inits import Identity, Orthogonal
from rnn_exp.networks.matrices import matrices_of
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.parametrizations import PARAMETRIZATIONS, Free, Parametrization
from rnn_exp.randomness import generator
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests import reference
from tests.builders import normal, random_network
from tests.dose import dose

MATRICES = {engine: matrices_of(engine) for engine in ("scan", "kernel")}
NETWORK = Network(hidden_size=6, num_layers=2, parametrization="orthogonal", dtype="float64")


def run(**changes) -> Run:
    """A run whose weights stay orthogonal."""
    values = {
        "task": Adding(12),
        "network": NETWORK,
        "init": Orthogonal(),
        "training": Training(30, batch_size=4, optimizer="adam", learning_rate=0.05),
        "recording": Recording(5),
    }
    return Run(**(values | changes))


def distance(W):
    """How far W is from an orthogonal matrix."""
    W = W.double()
    return float((W.T @ W - torch.eye(len(W), dtype=torch.float64)).abs().max())


@pytest.mark.dosed
@pytest.mark.parametrize(("dtype", "allowed"), [("float32", 1e-6), ("float64", 1e-12)])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_weights_stay_orthogonal_however_long_they_are_trained(dtype, allowed, optimizer):
    network = Network(hidden_size=16, num_layers=2, parametrization="orthogonal", dtype=dtype)
    training = Training(dose(25, 100), optimizer=optimizer, learning_rate=0.05)
    here = run(network=network, training=training)

    [outcome] = train_runs([here])

    drawn = here.init.draw(shapes(network, 2, 1), 0)
    for name in ("weight_hh_l0", "weight_hh_l1"):
        assert distance(outcome.weights[name]) < allowed
        assert float((outcome.weights[name] - drawn[name]).abs().max()) > 1e-3, "it was trained"
    assert outcome.updates["spectral_radius"] == pytest.approx(1.0, abs=allowed)
    assert outcome.updates["largest_singular_value"] == pytest.approx(1.0, abs=allowed)


def test_a_gain_stays_as_it_is():
    [outcome] = train_runs([run(init=Orthogonal(0.5))])
    assert distance(2 * outcome.weights["weight_hh_l0"]) < 1e-12


@pytest.mark.parametrize("engine", MATRICES)
@pytest.mark.parametrize("init", [Orthogonal(), Identity(), Orthogonal(0.7)])
def test_at_the_start_the_weights_are_those_of_the_init(init, engine):
    given = Parameters.stack([init.draw(shapes(NETWORK, 2, 1), s) for s in (0, 1)], torch.float64)
    parametrization = PARAMETRIZATIONS[NETWORK.parametrization](given, MATRICES[engine])

    trained = Parameters(parametrization.start(given.flat), given.shapes).views()

    assert isinstance(parametrization, Parametrization)
    assert not trained["weight_hh_l0"].any()
    for name, value in parametrization.network(trained).items():
        assert torch.equal(value, given.views()[name]), name


@given(st.integers(1, 9), st.integers(1, 3), st.sampled_from(list(MATRICES)), st.integers(0, 10**6))
def test_the_gradient_by_what_is_trained_equals_autograd_through_the_whole(H, R, engine, seed):
    network = Network(hidden_size=H, num_layers=2, parametrization="orthogonal", dtype="float64")
    given = random_network(network, seed, R)
    parametrization = PARAMETRIZATIONS[network.parametrization](given, MATRICES[engine])
    trained = Parameters(parametrization.start(given.flat), given.shapes).views()
    for place, value in enumerate(trained.values()):
        value += normal(seed + place, *value.shape)
    weights = {name: normal(seed + 99, *value.shape) for name, value in trained.items()}

    found = parametrization.pull_back(trained, weights)

    for run_number in range(R):
        for name, value in trained.items():
            if not name.startswith("weight_hh"):
                assert torch.equal(found[name], weights[name])
                continue
            A = value[run_number].clone().requires_grad_()
            W = given.views()[name][run_number] @ reference.cayley(A)
            made = parametrization.network(trained)[name][run_number]
            torch.testing.assert_close(made, W.detach(), rtol=1e-10, atol=1e-11)
            (expected,) = torch.autograd.grad((W * weights[name][run_number]).sum(), A)
            torch.testing.assert_close(found[name][run_number], expected, rtol=1e-9, atol=1e-10)


def test_training_equals_the_usual_loop_over_what_is_trained():
    """Gradient descent on A itself, by autograd through the recurrence and the Cayley transform."""
    here = run(training=Training(10, batch_size=4, learning_rate=0.1))
    drawn = {
        name: value.double() for name, value in here.init.draw(shapes(NETWORK, 2, 1), 0).items()
    }
    first = {name: value for name, value in drawn.items() if name.startswith("weight_hh")}
    leaves = {
        name: torch.zeros_like(value) if name in first else value.clone()
        for name, value in drawn.items()
    }

    def network():
        made = {name: W @ reference.cayley(leaves[name]) for name, W in first.items()}
        return leaves | made

    draws = generator(0, "data")
    for _ in range(10):
        batch = here.task.draw(4, draws)
        leaves = {name: value.detach().requires_grad_() for name, value in leaves.items()}
        own = network()
        h = reference.states(reference.layers_of(own, 2), batch.inputs.double(), "tanh")
        loss = ((reference.read(own, h[-1][-1])[:, 0] - batch.targets[0].double()) ** 2).mean()
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        leaves = {
            name: value.detach() - 0.1 * slope
            for (name, value), slope in zip(leaves.items(), slopes, strict=True)
        }

    [outcome] = train_runs([here])

    for name, expected in network().items():
        torch.testing.assert_close(outcome.weights[name], expected, rtol=1e-9, atol=1e-11)


def test_a_run_that_leaves_takes_its_first_weights_along():
    """The others go on as if it had never been."""
    wild = Network("relu", 6, parametrization="orthogonal")
    runs = [
        run(network=wild, init=Orthogonal(gain), seed=seed, task=Adding(60))
        for seed, gain in enumerate((1.0, 40.0, 0.9, 30.0, 1.0))
    ]

    outcomes = train_runs(runs)

    assert [outcome.status for outcome in outcomes].count("diverged") == 2
    for one, outcome in zip(runs, outcomes, strict=True):
        [alone] = train_runs([one])
        assert alone.status == outcome.status
        for name, value in alone.weights.items():
            assert torch.equal(outcome.weights[name], value)


def test_a_snapshot_holds_what_is_trained_and_not_what_is_made_of_it():
    chunk = Chunk([run()])
    next(chunk.train())
    [(_, snapshot)] = chunk.snapshots()
    trained = Parameters(snapshot.state["weights"].unsqueeze(0), chunk._parameters.shapes).views()
    assert float(trained["weight_hh_l0"].abs().max()) < 0.06, "A is small after one update"


def test_a_free_parametrisation_is_nothing_in_between():
    network = Network(hidden_size=3)
    parameters = random_network(network, 0)
    free = PARAMETRIZATIONS[network.parametrization](parameters, MATRICES["scan"])
    views = parameters.views()
    assert isinstance(free, Free)
    assert free.network(views) is views
    assert free.pull_back(views, views) is views
    started = free.start(parameters.flat)
    assert torch.equal(started, parameters.flat)
    assert started.data_ptr() != parameters.flat.data_ptr()


@pytest.mark.parametrize("engine", MATRICES)
@pytest.mark.parametrize("H", [2, 3, 5])
def test_weights_beyond_all_measure_are_a_divergence_and_no_crash(H, engine):
    """In float32 1 + S can be singular where S is huge."""
    network = Network(hidden_size=H, parametrization="orthogonal")
    given = random_network(network, 0, runs=2)
    parametrization = PARAMETRIZATIONS[network.parametrization](given, MATRICES[engine])
    trained = Parameters(parametrization.start(given.flat), given.shapes).views()
    trained["weight_hh_l0"][0] = 1e30 * torch.arange(H * H, dtype=torch.float32).view(H, H)

    made = parametrization.network(trained)["weight_hh_l0"]

    assert made.shape == (2, H, H)
    assert torch.equal(made[1], given.views()["weight_hh_l0"][1])


@given(
    st.tuples(st.integers(2, 5), st.integers(2, 40)),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from(list(MATRICES)),
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(sizes, dtype, engine, seed):
    R, H = sizes
    A, of_Q = (normal(seed + n, R, H, H, dtype=dtype) for n in range(2))
    matrices = MATRICES[engine]

    def bits(which):
        own = A[which].clone(), of_Q[which].clone()
        return matrices.cayley(own[0]), matrices.before_cayley(*own), matrices.product(*own)

    together = bits(slice(None))
    for run_number in range(R):
        for many, one in zip(together, bits(slice(run_number, run_number + 1)), strict=True):
            assert torch.equal(many[run_number], one[0])


@pytest.mark.parametrize("size", [0.1, 10.0, 1e3, 1e6])
@pytest.mark.parametrize("n", [1, 3, 40, 51])
def test_kernels_invert_as_exactly_as_lapack(size, n):
    """With an odd n some column of S is nearly a sum of others: pivots must be chosen."""
    A, one = size * normal(0, 5, n, n), torch.eye(n, dtype=torch.float64)
    errors = {
        engine: float((Q.mT @ Q - one).abs().max())
        for engine, Q in ((engine, made.cayley(A)) for engine, made in MATRICES.items())
    }
    assert errors["kernel"] < 20 * errors["scan"] + 1e-15
