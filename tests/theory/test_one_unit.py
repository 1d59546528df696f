"""One unit: the chain rule against autograd and the adjoint, the cliff against its closed form."""

import math

import hypothesis
import hypothesis.strategies as st
import pytest
import torch

from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.cells.elman import adjoint, forward
from rnn_exp.theory.one_unit import chain_rule, loss_surface, saddle_nodes
from tests.reference import PHI

SETTINGS = st.tuples(
    st.sampled_from(sorted(ACTIVATIONS.where(lambda phi: not phi.needs_input))),
    st.floats(-6, 6),
    st.integers(1, 30),
    st.integers(0, 99),
)


def unrolled(activation, w, b, h, T):
    """h_1…h_T, one step at a time."""
    found = []
    for t in range(T):
        h = PHI[activation](w * h + b[t])
        found.append(h)
    return found


def double(value):
    return torch.tensor(value, dtype=torch.float64)


@hypothesis.given(SETTINGS)
def test_the_chain_rule_is_the_measured_derivative_at_every_length(setting):
    activation, w, T, seed = setting
    draw = torch.Generator().manual_seed(seed)
    b = torch.randn(T, dtype=torch.float64, generator=draw)
    start = torch.randn((), dtype=torch.float64, generator=draw).requires_grad_()
    states = unrolled(activation, w, b, start, T)
    measured = [torch.autograd.grad(h, start, retain_graph=True)[0] for h in states]
    h = torch.stack(states).detach()
    found = chain_rule(h, double(w), activation)
    # Where a unit saturates, 1 − h² keeps few digits: each factor is off by 1e-16 over its slope.
    slopes = ACTIVATIONS[activation].from_output(h).clamp(min=1e-300)
    rounding = 1e-12 + (1e-15 / slopes).cumsum(0)
    assert ((found - torch.stack(measured)).abs() <= rounding * found.abs() + 1e-300).all()


def test_states_that_do_not_tell_the_slope_are_refused_by_name():
    with pytest.raises(ValueError, match="the slope of the activation gelu does not follow from"):
        chain_rule(torch.zeros(3), torch.tensor(1.0), "gelu")


@hypothesis.given(SETTINGS)
def test_the_chain_rule_is_what_the_adjoint_yields(setting):
    activation, w, T, seed = setting
    phi, draw = ACTIVATIONS[activation], torch.Generator().manual_seed(seed)
    one, none = torch.ones(1, 1, 1).double(), torch.zeros(1, 1).double()
    x = torch.randn(T, 1, 1, 1, dtype=torch.float64, generator=draw)
    weights = LayerWeights(one, w * one, none, none)
    trace = forward(x, weights, one, phi)
    total = adjoint(one.unsqueeze(0), trace, x, weights, phi).total.flatten()
    states = trace.states.flatten()
    for t in range(1, T):  # ∂h_T/∂h_t is the product over the T − t steps after t
        product = chain_rule(states[t:], double(w), activation)[-1]
        torch.testing.assert_close(total[t - 1], product, rtol=1e-12, atol=1e-300)
    back = phi.from_output(states[0]) * w * total[0]  # one more step: ∂h_T/∂h_0
    found = chain_rule(states, double(w), activation)[-1]
    torch.testing.assert_close(found, back, rtol=1e-12, atol=1e-300)


def test_weights_may_differ_between_the_factors_as_in_the_course_notes():
    h, w = double([0.5, 0.2, 0.9]), double([1.0, -3.0, 2.0])
    expected = [0.25, 0.25 * 0.16 * -3, 0.25 * 0.16 * -3 * 0.09 * 2]
    assert chain_rule(h, w, "sigmoid").tolist() == pytest.approx(expected, rel=1e-14)


@hypothesis.given(st.floats(-4, 4), st.floats(-30, 30), st.integers(1, 60))
def test_a_logistic_unit_never_explodes_up_to_a_weight_of_four(w, b, T):
    states = torch.stack(unrolled("sigmoid", w, [b] * T, double(0.5), T))
    bound = (double(abs(w)) / 4) ** torch.arange(1, T + 1)
    assert (chain_rule(states, double(w), "sigmoid").abs() <= bound * (1 + 1e-12)).all()


@hypothesis.given(st.floats(-30, 30))
def test_the_slope_of_the_logistic_is_in_zero_to_a_quarter(z):
    slope = ACTIVATIONS["sigmoid"].from_output(torch.sigmoid(double(z)))
    assert 0 < slope <= 0.25


def test_a_weight_above_one_alone_does_not_explode():
    for w in (1.5, 3.9, 40.0):  # not even one above four, where the unit saturates
        states = torch.stack(unrolled("sigmoid", w, [0.0] * 50, double(0.5), 50))
        assert chain_rule(states, double(w), "sigmoid")[-1] < 1e-3


def test_a_logistic_unit_explodes_where_its_slope_stays_above_one_over_its_weight():
    states = torch.full((50,), 0.5).double()  # the unstable fixed point x = ½ of b = −w/2
    assert chain_rule(states, double(5.0), "sigmoid")[-1].item() == pytest.approx(1.25**50)


def test_saddle_nodes_grad_weight_five_equal_the_reference():
    assert saddle_nodes(5.0) == pytest.approx((-2.65561, -2.34439), abs=1e-5)


def test_the_saddle_nodes_meet_in_the_cusp():
    assert saddle_nodes(4.0) == (-2.0, -2.0)


@hypothesis.given(st.floats(4.05, 30))
def test_the_number_of_fixed_points_changes_at_the_saddle_nodes(w):
    first, second = saddle_nodes(w)
    assert first < second
    eps = 0.01 * (second - first)
    counts = [fixed_points(w, b) for b in (first - eps, first + eps, second - eps, second + eps)]
    assert counts == [1, 3, 3, 1]


def fixed_points(w, b):
    """Count the sign changes of σ(w x + b) − x on a grid that is fine in ln x and ln (1 − x)."""
    x = torch.sigmoid(torch.linspace(-40, 40, 400_001, dtype=torch.float64))
    above = torch.sigmoid(w * x + b) > x
    return int((above[1:] != above[:-1]).sum())


@pytest.mark.parametrize("w", [3.99, -5.0, math.inf, math.nan])
def test_weights_without_saddle_nodes_are_refused(w):
    with pytest.raises(ValueError, match="saddle-nodes for w of at least 4"):
        saddle_nodes(w)


@hypothesis.given(
    st.sampled_from(["tanh", "sigmoid", "identity"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 20),
    st.integers(0, 99),
)
def test_the_surface_is_the_loss_and_gradient_of_every_pair_by_autograd(
    activation, weights, biases, T, seed
):
    draw = torch.Generator().manual_seed(seed)
    w = torch.randn(weights, dtype=torch.float64, generator=draw)
    b = torch.randn(biases, dtype=torch.float64, generator=draw)
    found = loss_surface(w, b, T=T, initial=0.3, target=-0.4, activation=activation)
    for i in range(weights):
        for j in range(biases):
            own = [w[i].clone().requires_grad_(), b[j].clone().requires_grad_()]
            h = unrolled(activation, own[0], own[1].expand(T), double(0.3), T) or [own[0] * 0 + 0.3]
            loss = (h[-1] + 0.4) ** 2
            expected = torch.autograd.grad(loss, own, allow_unused=True)
            expected = [torch.zeros(()).double() if e is None else e for e in expected]
            measured = torch.stack([found.loss[i, j], found.grad_w[i, j], found.grad_b[i, j]])
            torch.testing.assert_close(
                measured, torch.stack([loss.detach(), *expected]), rtol=1e-9, atol=1e-12
            )


def test_the_wall_is_ten_thousand_times_steeper_than_the_plain_and_follows_the_saddle_node():
    w = torch.linspace(4.5, 6.5, 201, dtype=torch.float64)
    b = torch.linspace(-3, -2, 1001, dtype=torch.float64)
    surface = loss_surface(w, b)
    steepness = surface.gradient_norm
    assert steepness.max() > 1e4 * steepness.median()
    # From x_0 = ½ the unit jumps where ½ is the unstable fixed point, b = −w/2, between the two.
    steepest = b[steepness[50].argmax()].item()
    first, second = saddle_nodes(w[50].item())
    assert first < steepest < second
    assert steepest == pytest.approx(-2.5, abs=0.001)


@hypothesis.given(st.integers(0, 32), st.integers(1, 60))
def test_on_the_wall_the_gradient_is_a_geometric_sum(sixteenths, T):
    w = double([4.5 + sixteenths / 16])  # exact in binary, so that x stays at ½ exactly
    surface = loss_surface(w, -w / 2, T=T)
    by_b = 0.25 * sum((w.item() / 4) ** k for k in range(T))
    assert surface.loss.item() == pytest.approx(0.04)
    assert surface.grad_b.item() == pytest.approx(-0.4 * by_b, rel=1e-12)
    assert surface.grad_w.item() == pytest.approx(-0.2 * by_b, rel=1e-12)


def test_the_wall_is_too_thin_for_a_grid_that_misses_its_line():
    w, b = torch.linspace(4.5, 6.5, 100).double(), torch.linspace(-3, -2, 100).double()
    steepness = loss_surface(w, b).gradient_norm
    assert steepness.max() < 100 * steepness.median()
