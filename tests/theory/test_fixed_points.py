"""Fixed points of one logistic unit: on the diagonal, and as many as the saddle-nodes say."""

import subprocess
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from rnn_exp.theory import fixed_points, one_unit


@hypothesis.given(st.floats(-30, 30), st.floats(0.001, 0.999))
def test_a_state_is_a_fixed_point_of_its_bias(w, x):
    b = float(fixed_points.bias_of(w, x))

    assert 1 / (1 + np.exp(-(w * x + b))) == pytest.approx(x, rel=1e-12)


@hypothesis.given(st.floats(4, 1000))
def test_at_a_saddle_node_the_map_touches_the_diagonal(w):
    for b, sign in zip(fixed_points.saddle_nodes(w), (1, -1), strict=True):
        x = (1 + sign * np.sqrt(1 - 4 / w)) / 2
        assert x * (1 - x) * w == pytest.approx(1, rel=1e-9)
        assert float(b) == pytest.approx(float(fixed_points.bias_of(w, x)), rel=1e-9)


def test_many_weights_at_once_have_the_saddle_nodes_of_each():
    w = np.linspace(4, 30, 53)

    found = np.transpose(fixed_points.saddle_nodes(w))

    np.testing.assert_array_equal(found, [one_unit.saddle_nodes(float(one)) for one in w])


def test_weights_without_saddle_nodes_have_none():
    assert np.isnan(fixed_points.saddle_nodes([3.99, -5.0, np.inf, np.nan])).all()


def test_theory_that_a_figure_draws_needs_no_torch():
    program = "import sys, rnn_exp.theory.fixed_points; print('torch' in sys.modules)"

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert told.stdout == "False\n"
