"""A course's notes on the plain RNN, claim by claim; where a claim needs care, the test says so."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from rnn_exp.networks.inits import Gaussian, Unit
from rnn_exp.networks.network import Network
from rnn_exp.tasks import Adding, Hold
from rnn_exp.theory.one_unit import chain_rule
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

T = 30
STEEPEST = {"sigmoid": 0.25, "tanh": 1.0}
REST = {"sigmoid": 0.5, "tanh": 0.0}  # where φ is steepest


@pytest.fixture(autouse=True)
def _own_randomness():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def unit(activation: str, weight: float, bias: float | None = None) -> Run:
    """A single unit; without a bias given, the one that keeps it where φ is steepest."""
    rest = REST[activation]
    return Run(
        task=Hold(length=T, target=-1.0),
        network=Network(activation=activation, hidden_size=1, dtype="float64", initial_state=rest),
        init=Unit(weight=weight, bias=-weight * rest if bias is None else bias),
        training=Training(updates=1, batch_size=1),
    )


def far_end(outcome: Outcome) -> float:
    """|∂h_T/∂h_1|."""
    size = outcome.gradients["log10_total"]
    return float(10.0 ** (size[0] - size[-1]))


# 1.1 The inside of the network


def test_the_state_is_tanh_of_one_layer_over_input_and_state_side_by_side():
    rnn = nn.RNN(5, 6, 1)
    x, h = torch.randn(7, 3, 5), torch.zeros(3, 6)
    output, _ = rnn(x, h[None])
    W = torch.cat([rnn.weight_ih_l0, rnn.weight_hh_l0], dim=1)
    b = rnn.bias_ih_l0 + rnn.bias_hh_l0
    for t in range(7):
        h = torch.tanh(torch.cat([x[t], h], dim=1) @ W.T + b)
        torch.testing.assert_close(h, output[t])


def test_tanh_squashes_to_between_minus_one_and_one():
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    assert (torch.tanh(x).abs() < 1).all()
    assert (torch.tanh(x).diff() > 0).all()


# 1.2 torch.nn.RNN


@pytest.mark.parametrize(
    ("layers", "steps"), [(1, 1), (1, 20), (2, 1)], ids=["first", "second", "third"]
)
def test_the_shapes_of_the_three_examples_are_those_of_the_notes(layers, steps):
    output, h_n = nn.RNN(5, 6, layers)(torch.randn(steps, 3, 5), torch.randn(layers, 3, 6))

    assert output.shape == (steps, 3, 6)
    assert h_n.shape == (layers, 3, 6)


@pytest.mark.parametrize("steps", [1, 20])
def test_with_one_layer_the_last_output_is_h_n(steps):
    output, h_n = nn.RNN(5, 6, 1)(torch.randn(steps, 3, 5), torch.randn(1, 3, 6))

    assert torch.equal(output[-1], h_n[0])
    assert torch.equal(output, h_n) == (steps == 1)  # "output equals hn" is meant for one step


def test_with_two_layers_h_n_holds_both_and_output_is_the_last_layers():
    # The notes say it the other way round: that output has two and hn is the last layer.
    output, h_n = nn.RNN(5, 6, 2)(torch.randn(1, 3, 5), torch.randn(2, 3, 6))

    assert len(h_n) == 2
    assert torch.equal(output[-1], h_n[-1])
    assert not torch.allclose(output[-1], h_n[0])


@pytest.mark.parametrize(("layers", "words"), [(1, "RNN(5, 6)"), (2, "RNN(5, 6, num_layers=2)")])
def test_a_module_prints_as_in_the_notes(layers, words):
    assert repr(nn.RNN(5, 6, layers)) == words


def test_tanh_is_the_default_nonlinearity():
    assert nn.RNN(5, 6).nonlinearity == "tanh"


# 1.3 Strengths and weaknesses


def test_a_gru_has_three_times_and_an_lstm_four_times_the_parameters_of_a_plain_rnn():
    rnn, gru, lstm = (
        sum(p.numel() for p in kind(5, 6).parameters()) for kind in (nn.RNN, nn.GRU, nn.LSTM)
    )

    assert (gru, lstm) == (3 * rnn, 4 * rnn)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("bias", [None, 0.5])
@pytest.mark.parametrize("weight", [0.5, 0.9, 1.5, 2.0, 4.0, 5.0, 8.0, -3.0])
def test_the_gradient_of_one_unit_is_the_product_of_slopes_and_weights(activation, bias, weight):
    run = unit(activation, weight, bias)

    [outcome] = train_runs([run])

    # With one unit and one sequence the saturation *is* φ'(z_t), and the state is known up to sign.
    slopes = outcome.gradients["saturation"]
    product = np.cumprod((slopes * abs(weight))[::-1])
    measured = 10.0 ** (outcome.gradients["log10_total"] - outcome.gradients["log10_total"][-1])
    np.testing.assert_allclose(measured[::-1][1:], product[:-1], rtol=1e-8)
    # 2e-16 of a saturated state are 1e-10 of its slope of 1e-6, at each of 29 steps.


def test_the_product_formula_is_the_derivative_of_the_last_state_by_the_first():
    w, b = torch.tensor(5.0, dtype=torch.float64), -2.4
    first = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    states, h = [], first
    for _ in range(T):
        h = torch.sigmoid(w * h + b)
        states.append(h)
    [derivative] = torch.autograd.grad(h, first)

    product = chain_rule(torch.stack(states).detach(), w, "sigmoid")[-1]

    torch.testing.assert_close(product, derivative, rtol=1e-12, atol=0)


def test_the_slope_of_the_sigmoid_lies_between_zero_and_a_quarter():
    # The notes write [0, 0.25]; 0 itself is only approached.
    z = torch.linspace(-30, 30, 10001, dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(torch.sigmoid(z).sum(), z)

    assert (slope > 0).all()
    assert slope.max() == 0.25
    assert abs(z[slope.argmax()]) < 1e-6


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("bias", [None, 0.0, 0.5, -2.5])
def test_with_a_weight_below_one_the_gradient_vanishes(activation, bias):
    for outcome in train_runs([unit(activation, 0.5, bias), unit(activation, 0.9, bias)]):
        assert far_end(outcome) < 0.1
    [sigmoid] = train_runs([unit("sigmoid", 0.9, bias)])
    assert far_end(sigmoid) <= (0.9 / 4) ** (T - 1) * (1 + 1e-9)


@pytest.mark.parametrize("weight", [1.5, 2.0, 3.0, 3.9])
def test_a_weight_above_one_does_not_explode_with_the_sigmoid_up_to_four(weight):
    # The notes say that w > 1 may explode; with σ' ≤ 1/4 it cannot before w > 4.
    for bias in (None, -4.0, -2.5, -1.0, 0.0, 1.0):
        [outcome] = train_runs([unit("sigmoid", weight, bias)])
        assert far_end(outcome) <= (weight / 4) ** (T - 1) * (1 + 1e-9)


@pytest.mark.parametrize("weight", [5.0, 8.0])
def test_a_weight_above_four_is_necessary_but_not_sufficient_with_the_sigmoid(weight):
    steepest, saturated = train_runs([unit("sigmoid", weight), unit("sigmoid", weight, 0.0)])

    assert far_end(steepest) == pytest.approx((weight / 4) ** (T - 1), rel=1e-9)
    assert far_end(saturated) < 1e-20


def test_a_weight_above_one_explodes_with_tanh_at_rest_and_vanishes_when_saturated():
    rest, saturated = train_runs([unit("tanh", 1.5), unit("tanh", 1.5, 0.5)])

    assert far_end(rest) == pytest.approx(1.5 ** (T - 1), rel=1e-9)
    assert far_end(saturated) < 1e-20


# The harms


def loud(length: int = 50) -> Run:
    return Run(
        task=Adding(length=length),
        network=Network(activation="relu", hidden_size=32),
        init=Gaussian(gain=3.0),
        training=Training(updates=50, batch_size=4),
    )


def test_an_exploded_gradient_makes_a_huge_update_and_then_numbers_that_are_none():
    [outcome] = train_runs([loud()])

    assert outcome.status == "diverged"
    assert outcome.divergence is not None
    assert outcome.divergence.update > 0
    assert outcome.updates["grad_norm"][0] > 1e6
    assert not math.isfinite(outcome.updates["loss"][-1])


def test_where_the_numbers_stopped_is_a_row_and_no_error():
    [outcome] = train_runs([loud()])

    assert outcome.divergence is not None
    last = outcome.gradients["update"] == outcome.divergence.update
    assert outcome.divergence.direction in ("forward", "backward")
    assert {"inf", "nan"} & set(outcome.gradients["status"][last])


def test_a_vanished_gradient_does_not_reach_the_first_step():
    quiet = Run(
        task=Adding(length=50),
        network=Network(activation="sigmoid", hidden_size=32),
        init=Gaussian(gain=0.5),
        training=Training(updates=1, batch_size=4),
    )

    [outcome] = train_runs([quiet])

    # What the first step adds to ∂L/∂W_hh, beside what the last one adds.
    share = outcome.gradients["log10_contribution"]
    assert share[2] < share[-1] - 30
