"""The weights of `init=critical`: theory then predicts that the gradient keeps its size."""

import math

import numpy as np
import pytest

from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import Critical, Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.tasks import TASKS
from rnn_exp.theory.drive import inputs_of_layer, jacobian_of_layer, layer_drives
from rnn_exp.theory.edge import initial_weights
from rnn_exp.theory.stationary import critical_gain
from rnn_exp.theory.transient import edge_gain
from rnn_exp.theory.two_time import coupling, kept, log_sizes
from tests.theory.networks import measured_on_task

NOISE = TASKS["noise"](length=40)


def gain_of(network, init, task=NOISE, layer=0, seed=0):
    """Return by how much the drawn W_hh was multiplied."""
    own = initial_weights(network, init, task, seed)[f"weight_hh_l{layer}"]
    plain = initial_weights(network, Gaussian(1.0, init.input_scale), task, seed)
    return float((own / plain[f"weight_hh_l{layer}"]).median())


def test_an_init_that_does_not_want_it_is_drawn_as_it_is():
    network = Network(hidden_size=8)
    assert gain_of(network, Gaussian()) == 1


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_a_plain_layer_has_the_edge_under_the_drive_of_each_step(activation):
    network, task = Network(activation=activation, hidden_size=32), TASKS["latch"](length=30)
    init = Critical(0.9, 20.0)
    weights = initial_weights(network, Gaussian(1.0, 20.0), task, 0)
    drives = layer_drives(network, task, 0, weights, 0).tolist()
    assert gain_of(network, init, task) == pytest.approx(
        0.9 * edge_gain(activation, drives), rel=1e-6
    )


def test_a_single_time_step_has_the_stationary_edge():
    network, task = Network(hidden_size=32), TASKS["noise"](length=1)
    weights = initial_weights(network, Gaussian(), task, 0)
    drive = float(layer_drives(network, task, 0, weights, 0)[0])
    assert gain_of(network, Critical(), task) == pytest.approx(
        critical_gain("tanh", drive), rel=1e-6
    )


@pytest.mark.parametrize(
    ("network", "least"),
    [
        (Network(cell="leaky", leak=0.2, dtype="float64"), 1.0),
        (Network(cell="leaky", leak=0.2, dtype="float64", activation="sigmoid"), 5.0),
        (Network(cell="gru", dtype="float64"), 2.0),
        (Network(cell="lstm", dtype="float64"), 2.0),
    ],
)
def test_a_layer_that_keeps_part_of_its_gradient_has_no_predicted_change(network, least):
    """Without change of b the gain is that of a + g √(E b²) = 1, a little more for k^(−1/4)."""
    weights, gain = initial_weights(network, Critical(), NOISE, 0), gain_of(network, Critical())
    x = inputs_of_layer(network, NOISE, 0, weights, 0)
    jacobian, _ = jacobian_of_layer(network, x, weights, 0)
    pairs = coupling(jacobian, [gain] * network.kind.gates)
    assert log_sizes(kept(jacobian), pairs)[-1] == pytest.approx(0, abs=1e-3)
    assert least < gain < 6 * least


def test_every_layer_has_an_edge_of_its_own():
    network = Network(num_layers=2, hidden_size=32)
    first, second = (gain_of(network, Critical(), layer=number) for number in (0, 1))
    assert first != second
    assert first == gain_of(Network(hidden_size=32), Critical())


@pytest.mark.parametrize("network", [Network(cell="gru"), Network(cell="lstm")])
def test_gates_that_the_inputs_move_have_no_known_edge(network):
    with pytest.raises(SettingError) as refused:
        initial_weights(network, Critical(1.0, 8.0), NOISE, 0)
    assert "init=critical" in str(refused.value)
    assert "the gates vary between units and inputs" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_drive_beyond_the_mean_field_is_refused_by_the_scale_of_the_inputs():
    with pytest.raises(SettingError, match=r"init\.input_scale=100000"):
        initial_weights(Network(), Critical(1.0, 1e5), NOISE, 0)


def test_one_step_has_no_change_to_balance_at_two_times():
    with pytest.raises(SettingError, match="no gain at which its gradient keeps its size"):
        initial_weights(Network(cell="leaky", leak=0.1), Critical(), TASKS["noise"](length=1), 0)


def test_at_the_edge_of_a_latch_measured_gradients_keep_their_size():
    """n = 512, T = 50, 3 seeds; at the gain of the stationary mean field they would not."""
    network, init, task = Network(hidden_size=512), Critical(1.0, 60.0), TASKS["latch"](length=50)
    changes = [
        measured_on_task(network, task, initial_weights(network, init, task, seed), seed)[-1]
        for seed in range(3)
    ]
    assert np.mean(changes) == pytest.approx(0, abs=math.log(2))
