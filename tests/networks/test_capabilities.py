"""What registered things say of themselves is true, and whoever asks gets it from them."""

import dataclasses
import math

import pytest
import torch

from rnn_exp.fields import SettingError
from rnn_exp.networks import ACTIVATIONS, CELLS, ENGINES, INITS, PARAMETRIZATIONS, Network
from rnn_exp.networks.network import shapes
from rnn_exp.networks.torch_modules import empty_module, states_of
from rnn_exp.theory.quadrature import gaussian_mean, nodes
from rnn_exp.theory.stationary import mean_field
from tests.builders import normal, random_network
from tests.modules import to_torch

EVERY_ACTIVATION = pytest.mark.parametrize("phi", ACTIVATIONS.values(), ids=list(ACTIVATIONS))
EVERY_CELL = pytest.mark.parametrize("kind", CELLS.values(), ids=list(CELLS))
POINTS = torch.cat([torch.linspace(-9, 9, 200, dtype=torch.float64), torch.tensor([-40.0, 40.0])])


def network_of(kind, **more):
    """A small network with this cell, and what the cell asks for."""
    return Network(cell=kind.name, hidden_size=4, leak=0.4 if kind.has_leak else None, **more)


@EVERY_ACTIVATION
def test_the_slope_is_the_derivative_and_never_above_the_largest(phi):
    u = POINTS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(phi.phi(u).sum(), u)

    slope = phi.derivative(POINTS)

    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(phi(POINTS), phi.phi(POINTS), rtol=0, atol=0)
    assert phi.needs_input or torch.equal(slope, phi.from_output(phi(POINTS)))
    close = torch.cat([torch.linspace(-1e-3, 1e-3, 10), torch.linspace(1.41, 1.42, 101)])
    largest = max(float(slope.max()), float(phi.derivative(close.double()).max()))
    assert largest <= phi.largest_slope * (1 + 1e-15)
    assert largest == pytest.approx(phi.largest_slope, rel=1e-6 if phi.name != "softsign" else 1e-3)


@EVERY_ACTIVATION
def test_what_it_says_of_its_bounds_and_its_halves_is_true(phi):
    far = phi(torch.tensor([-1e9, 1e9], dtype=torch.float64)).abs().max()
    assert (float(far) <= 1) == phi.bounded
    scaled = phi(7.5 * POINTS)
    assert bool(torch.allclose(scaled, 7.5 * phi(POINTS), rtol=1e-12)) == phi.homogeneous
    if phi.halves is not None:
        left, right = phi.halves
        torch.testing.assert_close(phi(POINTS), torch.where(POINTS < 0, left, right) * POINTS)


@EVERY_ACTIVATION
@pytest.mark.parametrize(("gain", "drive"), [(0.8, 0.3), (1.1, 0.0), (2.0, 0.5)])
def test_the_mean_field_is_a_fixed_point_of_the_length_map(phi, gain, drive):
    """By plain iteration, from above: an oracle that knows nothing of bounds or halves."""
    q = gain**2 + drive + 1.0
    least = 50.0 if phi.where_not_smooth else 1.0
    before = math.nan
    for _ in range(3000):
        if q == before:  # it stays there: all further steps give the same
            break
        before, z = q, nodes(max(least, math.sqrt(q))) if q < 1e6 else nodes()
        q = min(gain**2 * gaussian_mean(phi(math.sqrt(q) * z).square()) + drive, 1e6)
    found = mean_field(phi.name, gain, drive)
    if q == 1e6:
        assert found.q == math.inf or math.isnan(found.q)
        return
    assert found.q == pytest.approx(q, rel=1e-6, abs=1e-3)
    slopes = phi.derivative(math.sqrt(max(q, 1e-12)) * nodes(max(least, math.sqrt(q))))
    assert found.chi == pytest.approx(gain**2 * gaussian_mean(slopes.square()), rel=2e-3)


@EVERY_ACTIVATION
def test_the_torch_engine_computes_an_activation_or_refuses_it_by_name(phi):
    if phi.torch_form is None:
        able = ", ".join(name for name, one in ACTIVATIONS.items() if one.torch_form is not None)
        with pytest.raises(SettingError, match=f"activation={phi.name} .*allowed is {able} with"):
            Network(phi.name, engine="torch")
        return
    network = Network(phi.name, 4, 2, initial_state=0.3, dtype="float64", engine="torch")
    parameters = random_network(network, 0, 1)
    own, x = parameters.of_run(0), normal(1, 6, 3, 2)

    states = states_of(empty_module(network, 2, "cpu"), own, x, network)

    h = torch.full((2, 3, 4), 0.3, dtype=torch.float64)
    for t, inputs in enumerate(x):
        for depth in range(2):
            V, W = own[f"weight_ih_l{depth}"], own[f"weight_hh_l{depth}"]
            bias = own[f"bias_ih_l{depth}"] + own[f"bias_hh_l{depth}"]
            below = h[depth - 1] if depth else inputs
            h[depth] = phi(below @ V.T + h[depth] @ W.T + bias)
        torch.testing.assert_close(states[t], h[1], rtol=1e-12, atol=1e-12)


@EVERY_CELL
def test_a_cell_has_the_parameters_that_its_gates_ask_for(kind):
    sizes = shapes(network_of(kind), 3, 2)
    assert sizes["weight_hh_l0"] == (4 * kind.gates, 4)
    for block in (kind.candidate, kind.forget_gate, kind.input_gate):
        assert block is None or 0 <= block < kind.gates


@EVERY_CELL
def test_torch_has_a_module_for_a_cell_or_refuses_it_by_name(kind):
    if kind.torch_module is None:
        able = ", ".join(name for name, one in CELLS.items() if one.torch_module is not None)
        with pytest.raises(SettingError, match=f"cell={kind.name} .*allowed is {able} with"):
            network_of(kind, engine="torch")
        return
    network = network_of(kind, engine="torch")
    module = to_torch(random_network(network, 0, 1).of_run(0), network)
    assert type(module).__name__ == kind.torch_module


@EVERY_CELL
def test_a_bound_on_a_step_holds_for_every_state_or_is_not_given(kind):
    network = network_of(kind, dtype="float64")
    cell, parameters = network.make_cell(), random_network(network, 3, 1)
    own = parameters.views()
    largest = float(torch.linalg.svdvals(kind.candidate_block(own["weight_hh_l0"]))[0, 0])
    bound = cell.step_bound(largest)
    if bound is None:
        return
    from rnn_exp.networks.parameters import layer_weights

    weights, x = layer_weights(own, 0), normal(4, 30, 1, 8, 2)
    trace = cell.forward(x, weights, torch.zeros(1, 8, 4, dtype=torch.float64))
    total = cell.adjoint(normal(5, 1, 1, 8, 4), trace, x, weights).total
    norms = torch.linalg.vector_norm(total, dim=-1)
    assert bool((norms[:-1] <= bound * norms[1:] * (1 + 1e-12)).all())


def test_lists_in_refusals_grow_with_the_registry(monkeypatch):
    more = dataclasses.replace(ACTIVATIONS["identity"], name="halved")
    monkeypatch.setitem(ACTIVATIONS._things, "halved", more)

    assert Network("halved").phi is more
    allowed = ", ".join([*ACTIVATIONS])
    assert allowed.endswith(", halved")
    with pytest.raises(SettingError, match=f"one of {allowed}"):
        Network("halve")


@pytest.mark.parametrize("registry", [ACTIVATIONS, CELLS, ENGINES, INITS, PARAMETRIZATIONS])
def test_every_thing_is_registered_under_its_own_name(registry):
    assert all(thing.name == name for name, thing in registry.items())


@pytest.mark.parametrize("kind", INITS.values(), ids=list(INITS))
@pytest.mark.parametrize("cell", CELLS.values(), ids=list(CELLS))
def test_an_init_draws_for_a_cell_or_refuses_it(kind, cell):
    network, init = network_of(cell), kind().for_length(20)
    refused = list(init.refusals(network, 1))
    if refused:
        assert all(isinstance(reason, str) and reason for _, _, reason in refused)
        return
    sizes = shapes(network, 3, 1)
    drawn = init.draw(sizes, 0, cell)
    assert {name: tuple(value.shape) for name, value in drawn.items()} == sizes
    if init.is_orthogonal and not cell.gated:
        W = drawn["weight_hh_l0"].double()
        torch.testing.assert_close(W @ W.T, torch.eye(4, dtype=torch.float64))
