"""What is predicted of one network, how far it goes, and why nothing is."""

import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.inits import (
    Chrono,
    ForgetBias,
    Gaussian,
    Identity,
    Orthogonal,
    TorchDefault,
    Unit,
)
from rnn_exp.networks.network import Network, shapes
from rnn_exp.randomness import generator
from rnn_exp.tasks import TASKS
from rnn_exp.theory.edge import initial_weights
from rnn_exp.theory.prediction import Prediction, layer_drive, layer_drives, predict
from rnn_exp.theory.stationary import mean_field
from tests.theory.networks import measured_on_task

NOISE = TASKS["noise"](length=60)


def predicted(network, init, task=NOISE, seed=0):
    return predict(network, init, task, seed, initial_weights(network, init, task, seed))


def test_the_drive_of_each_step_is_the_mean_square_of_what_inputs_and_biases_give():
    network, task = Network(hidden_size=9, num_layers=2), TASKS["temporal_order"](length=12)
    p = TorchDefault().draw(shapes(network, task.input_size, task.output_size), 3)
    x = task.draw(256, generator(3, "drive")).inputs.double()
    V, b = p["weight_ih_l0"].double(), (p["bias_ih_l0"] + p["bias_hh_l0"]).double()
    expected = [(x_t @ V.T + b).square().mean().item() for x_t in x]
    found = layer_drives(network, task, 3, p, 0)
    assert found.tolist() == pytest.approx(expected, rel=1e-6)
    for number in range(2):
        drives = layer_drives(network, task, 3, p, number)
        assert float(drives.mean()) == pytest.approx(layer_drive(network, task, 3, p, number))


def test_a_plain_network_is_predicted_by_the_mean_field():
    found = predicted(Network(hidden_size=256), Gaussian(1.5))
    assert found.holds
    assert (found.form, found.because) == ("mean field", None)
    assert found.rate == mean_field("tanh", 1.5, found.drive).rate


@pytest.mark.parametrize(
    ("network", "init"),
    [
        (Network(cell="leaky", leak=0.1), Gaussian()),
        (Network(cell="residual", leak=0.1), Gaussian()),
        (Network(cell="gru"), TorchDefault()),
        (Network(cell="gru"), ForgetBias(2.0)),
        (Network(cell="lstm"), TorchDefault()),
        (Network(cell="lstm"), ForgetBias(1.0)),
        (Network(cell="gru", hidden_size=16), TorchDefault()),
        (Network(cell="lstm", hidden_size=16), TorchDefault()),
    ],
)
def test_cells_that_keep_part_of_their_gradient_are_predicted_at_two_times(network, init):
    found = predicted(network, init)
    assert (found.form, found.because) == ("two-time", None)
    assert found.lags == network.hidden_size // 4


WHY = [
    (Network(), Identity(), "W is not random (init=identity)"),
    (Network(hidden_size=8), Gaussian(), "8 units: theory needs at least 16"),
    (Network(hidden_size=1), Unit(), "W is not random (init=unit); 1 unit: theory needs at "),
    (Network(cell="normed"), Gaussian(), "the cell normed has no theory"),
    (Network(cell="gru"), Gaussian(1.0, 20.0), "the gates vary between units and inputs (standard"),
    (Network(cell="lstm"), Chrono(40), "the gates vary between units and inputs (standard"),
    (Network(cell="gru", hidden_size=2), Chrono(9), "2 units: theory needs at least 16; the gates"),
    (Network(), Gaussian(1.0, 1e30), "nothing goes back through W"),
    (
        Network(cell="residual", leak=1.0, activation="relu"),
        Gaussian(1e30),
        "its states overflow",
    ),
]


@pytest.mark.parametrize(("network", "init", "why"), WHY)
def test_every_premise_that_fails_is_named(network, init, why):
    found = predicted(network, init)
    assert why in found.because
    assert (found.holds, found.rate, found.form, found.lags) == (False, None, None, 0)
    assert found.profile(9).tolist() == []


@pytest.mark.parametrize("length", [1, 2, 3])
def test_the_shortest_sequences_have_a_prediction_or_a_reason(length):
    task = TASKS["noise"](length=length)
    plain = predicted(Network(), Gaussian(), task)
    leaky = predicted(Network(cell="leaky", leak=0.1), Gaussian(), task)
    assert len(plain.profile(length)) == length
    assert math.isfinite(plain.rate)
    if length == 1:
        assert leaky.because == "its sequences have a single time step"
    else:
        assert len(leaky.profile(length)) == length
        assert math.isfinite(leaky.rate)


def test_a_drive_that_is_not_finite_is_named():
    network, task = Network(), NOISE
    weights = initial_weights(network, Gaussian(), task, 0)
    weights["weight_ih_l0"] = torch.full_like(weights["weight_ih_l0"], math.inf)
    found = predict(network, Gaussian(), task, 0, weights)
    assert math.isnan(found.drive)
    assert "the drive of its inputs is not finite" in found.because


def test_a_profile_is_the_sum_of_the_steps_as_far_as_they_go():
    found = Prediction(0.0, 0.5, "two-time", None, (-1.0, 0.5, -math.inf))
    assert found.profile(9).tolist() == [0.0, -1.0, -0.5, -math.inf]
    assert found.profile(2).tolist() == [0.0, -1.0]
    assert found.profile(0).tolist() == []


def test_weakly_driven_networks_are_predicted_up_to_a_quarter_of_the_units():
    linear = Network(activation="identity", hidden_size=64)
    weak, strong = Network(hidden_size=64), Network(hidden_size=64, activation="relu")
    assert predicted(linear, Gaussian(0.9)).lags == predicted(weak, Gaussian(0.9)).lags == 16
    assert (
        predicted(strong, Gaussian(1.0)).lags == len(predicted(strong, Gaussian()).profile(60)) - 1
    )
    assert predicted(strong, Gaussian(1.0)).lags == 59


@pytest.mark.parametrize(
    ("network", "init"),
    [
        (Network(hidden_size=256), Gaussian(1.5)),
        (Network(hidden_size=256), Orthogonal(1.5)),
        (Network(hidden_size=256, initial_state=0.5), Gaussian(2.0)),
        (Network(hidden_size=256, activation="relu"), Gaussian(1.4)),
        (Network(hidden_size=256, cell="leaky", leak=0.2), Gaussian(1.5)),
        (Network(hidden_size=256, cell="residual", leak=0.1), Gaussian()),
        (Network(hidden_size=256, cell="gru"), TorchDefault()),
        (Network(hidden_size=256, cell="lstm"), ForgetBias(1.0)),
    ],
)
def test_a_predicted_profile_is_that_of_networks_at_every_lag(network, init):
    """Over 4 seeds, within .2 decades; the inputs of all units are the same number."""
    found, expected = [], []
    for seed in range(4):
        weights = initial_weights(network, init, NOISE, seed)
        expected.append(predict(network, init, NOISE, seed, weights).profile(60))
        found.append(measured_on_task(network, NOISE, weights, seed) / math.log(10))
    lags = len(expected[0])
    off = np.mean(found, axis=0)[:lags] - np.mean(expected, axis=0)
    assert lags in (60, 65)
    assert np.abs(off).max() < 0.3
