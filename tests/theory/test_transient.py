"""The mean field of every time step: closed forms, the stationary one, and measured networks."""

import math

import numpy as np
import pytest

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.tasks import TASKS
from rnn_exp.theory.edge import initial_weights
from rnn_exp.theory.prediction import predict
from rnn_exp.theory.quadrature import gaussian_mean, nodes
from rnn_exp.theory.stationary import critical_gain, mean_field
from rnn_exp.theory.transient import balanced, edge_gain, log_steps, transient
from tests.theory.networks import measured_on_task


@pytest.mark.parametrize(("activation", "share"), [("identity", 1.0), ("relu", 0.5)])
def test_a_homogeneous_network_has_one_chi_and_a_length_that_is_a_sum(activation, share):
    drives, g = [0.3, 0.0, 2.0, 0.0, 0.0], 1.3
    found = transient(activation, g, drives, initial_state=0.5)
    c = share * g * g
    q = [g * g * 0.25 + 0.3]
    for drive in drives[1:]:
        q.append(c * q[-1] + drive)
    assert found.q == pytest.approx(q, rel=1e-12)
    assert found.chi == pytest.approx([c] * 5, rel=1e-12)


def test_the_first_step_has_the_variance_of_the_initial_state_and_of_its_own_drive():
    assert transient("tanh", 2.0, [0.1, 0.0], initial_state=0.5).q[0] == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("activation", "gain", "drive"),
    [("tanh", 2.0, 0.1), ("tanh", 0.9, 0.25), ("sigmoid", 4.0, 0.1)],
)
def test_a_stationary_start_gives_the_stationary_rate_at_every_step(activation, gain, drive):
    still = mean_field(activation, gain, drive)
    start = math.sqrt(still.q - drive) / gain
    found = transient(activation, gain, [drive] * 9, start)
    assert found.q == pytest.approx([still.q] * 9, abs=1e-7)
    assert log_steps(found.chi) == pytest.approx([still.exponent] * 8, abs=1e-7)


def test_any_start_ends_at_the_stationary_state():
    still = mean_field("tanh", 2.0, 0.01)
    found = transient("tanh", 2.0, [0.01] * 300, 0.0)
    assert found.q[0] < still.q / 100
    assert found.q[-1] == pytest.approx(still.q, abs=1e-7)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("length", [1e-6, 0.1, 2.0, 19.9, 30.0, 950.0])
def test_each_step_is_the_integral(activation, length):
    phi, s = ACTIVATIONS[activation], length
    h = phi(s * nodes(s))
    found = transient(activation, 1.0, [s * s, 0.0])
    assert found.q[1] == pytest.approx(gaussian_mean(h.square()), abs=1e-8)
    assert found.chi[0] == pytest.approx(gaussian_mean(phi.from_output(h).square()), abs=1e-8)


def test_what_is_too_steep_has_no_numbers_from_there_on():
    found = transient("tanh", 1.0, [0.0, 2e6, 0.0])
    assert np.isnan(found.q).tolist() == np.isnan(found.chi).tolist() == [False, True, True]


def test_a_length_that_overflows_leaves_the_chi_of_relu():
    found = transient("relu", 1e3, [1.0] * 200)
    assert found.q[-1] == math.inf
    assert log_steps(found.chi) == pytest.approx([math.log(1e3 / math.sqrt(2))] * 199)


def test_the_steps_begin_at_the_last_and_leave_out_the_way_to_the_initial_state():
    assert log_steps(np.exp([8.0, 2.0, 4.0])).tolist() == [2.0, 1.0]
    assert log_steps(np.array([1.0, 0.0])).tolist() == [-math.inf]


@pytest.mark.parametrize(("gain", "drives"), [(-1.0, [0.0]), (1.0, [0.1, -0.1]), (1.0, [math.nan])])
def test_a_negative_gain_or_drive_is_refused(gain, drives):
    with pytest.raises(ValueError, match="at least 0"):
        transient("tanh", gain, drives)


@pytest.mark.parametrize("drives", [[0.0, 0.0], [1.0, 0.0, 30.0]])
def test_the_edge_of_homogeneous_networks_is_one_gain_whatever_drives_them(drives):
    assert edge_gain("identity", drives) == pytest.approx(1, rel=1e-9)
    assert edge_gain("relu", drives, 0.5) == pytest.approx(math.sqrt(2), rel=1e-9)


@pytest.mark.parametrize(
    ("activation", "drive"), [("tanh", 0.25), ("tanh", 0.01), ("sigmoid", 1.0)]
)
def test_a_long_sequence_has_the_stationary_edge(activation, drive):
    assert edge_gain(activation, [drive] * 4000) == pytest.approx(
        critical_gain(activation, drive), rel=2e-3
    )


def test_at_the_edge_the_first_gradient_is_as_large_as_the_last():
    drives = [20.0] * 3 + [0.01] * 40
    gain = edge_gain("tanh", drives, 0.1)
    assert log_steps(transient("tanh", gain, drives, 0.1).chi).sum() == pytest.approx(0, abs=1e-9)
    mean = sum(drives) / len(drives)
    assert gain < critical_gain("tanh", mean) - 0.1, "the mean over time drives it too much"


@pytest.mark.parametrize(
    ("drives", "message"),
    [
        ([1.0], "at least two time steps"),
        ([0.0, math.inf], "finite number of at least 0"),
        ([0.0, math.nan], "finite number of at least 0"),
        ([1e6] * 3, "the critical gain of tanh at drive 1e\\+06 is too large"),
    ],
)
def test_an_edge_that_is_not_known_is_refused_by_name(drives, message):
    with pytest.raises(ValueError, match=message):
        edge_gain("tanh", drives)


def test_a_change_that_never_crosses_zero_has_no_balance():
    assert balanced(lambda gain: 1.0 + gain, 1.0) is None
    assert balanced(lambda gain: math.nan, 1.0) is None
    assert balanced(lambda gain: gain**3 - 8e6, 1.0) == pytest.approx(200, rel=1e-9)


@pytest.mark.parametrize(("length", "change", "still"), [(10, 3.79, 1.39), (30, 6.89, 4.48)])
def test_the_profile_of_temporal_order_is_the_reference_and_not_the_stationary_line(
    length, change, still
):
    """Measured with n = 512: 3.89 and 7.16 (by an independent program; natural logarithms)."""
    network, init = Network(hidden_size=512), Gaussian(2.0)
    task = TASKS["temporal_order"](length=length)
    found = predict(network, init, task, 0, initial_weights(network, init, task, 0))
    assert found.profile(length)[-1] * math.log(10) == pytest.approx(change, abs=0.01)
    assert (length - 1) * math.log(found.rate) == pytest.approx(still, abs=0.01)


def test_a_latch_decays_as_the_drive_of_each_step_says():
    """n = 512, T = 50, input scale 60, 3 seeds: the mean over time would say a third more."""
    network, init, task = Network(hidden_size=512), Gaussian(1.0, 60.0), TASKS["latch"](length=50)
    found, expected, still = [], [], []
    for seed in range(3):
        weights = initial_weights(network, init, task, seed)
        prediction = predict(network, init, task, seed, weights)
        found.append(measured_on_task(network, task, weights, seed)[-1])
        expected.append(prediction.profile(50)[-1] * math.log(10))
        still.append(49 * math.log(prediction.rate))
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=0.8)
    assert np.mean(still) < np.mean(found) - 3
