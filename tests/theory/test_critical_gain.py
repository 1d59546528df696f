"""The critical gain against reference values, closed forms and a scan over gains."""

import math

import hypothesis
import hypothesis.strategies as st
import pytest

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.theory.stationary import bound_gain, critical_gain, mean_field


@pytest.mark.parametrize(
    ("activation", "drive", "gain", "tolerance"),
    [
        # Computed for this project by adaptive quadrature.
        ("tanh", 0.01, 1.19340, 1e-5),
        ("tanh", 0.05, 1.32701, 1e-5),
        ("tanh", 0.25, 1.54967, 1e-5),
        ("tanh", 1.0, 1.85559, 1e-5),
        ("sigmoid", 0.0, 10.149, 1e-3),
    ],
)
def test_critical_gains_equal_the_reference(activation, drive, gain, tolerance):
    assert critical_gain(activation, drive) == pytest.approx(gain, abs=tolerance)


@pytest.mark.parametrize("drive", [0.0, 0.25, 1e6])
def test_relu_and_identity_are_critical_at_one_gain_whatever_the_drive(drive):
    assert critical_gain("relu", drive) == pytest.approx(math.sqrt(2), rel=1e-11)
    assert critical_gain("identity", drive) == 1


def test_tanh_without_drive_is_critical_at_one():
    assert critical_gain("tanh", 0.0) == pytest.approx(1, abs=1e-12)


@hypothesis.settings(max_examples=10)
@hypothesis.given(st.sampled_from(["tanh", "sigmoid"]), st.floats(1e-3, 10))
def test_chi_is_one_at_the_critical_gain(activation, drive):
    gain = critical_gain(activation, drive)
    assert mean_field(activation, gain, drive).chi == pytest.approx(1, abs=1e-9)


@hypothesis.given(
    st.sampled_from(sorted(ACTIVATIONS)),
    st.floats(0.05, 20),
    st.floats(1.001, 1.2),
    st.sampled_from([0.0, 1e-3, 0.25, 4.0, 100.0]),
)
def test_chi_rises_with_the_gain_so_that_the_critical_gain_is_the_only_one(
    activation, gain, factor, drive
):
    more = mean_field(activation, gain * factor, drive).chi
    less = mean_field(activation, gain, drive).chi
    if math.isnan(more):  # its states grow without end there
        assert not ACTIVATIONS[activation].bounded
    else:
        assert more > less


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_bound_promises_vanishing_at_half_the_least_critical_gain(activation):
    phi = ACTIVATIONS[activation]
    # Only of a subhomogeneous φ is there always a critical gain without drive.
    assert bound_gain(activation) <= critical_gain(activation, 0.0 if phi.subhomogeneous else 1) / 2
    assert 2 * bound_gain(activation) * phi.largest_slope == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize("drive", [-0.1, math.inf, math.nan])
def test_a_drive_that_cannot_be_is_refused(drive):
    with pytest.raises(ValueError, match="finite number of at least 0"):
        critical_gain("tanh", drive)


def test_a_drive_beyond_the_integrals_is_refused_by_name():
    with pytest.raises(ValueError, match="the critical gain of tanh at drive 1e\\+06"):
        critical_gain("tanh", 1e6)
