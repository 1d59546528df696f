"""The activation, the init, the study and the figure of examples/ do what they say."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import rnn_exp as rx
from rnn_exp.networks import INITS, Network
from rnn_exp.networks.network import shapes
from rnn_exp.tasks import Adding
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from rnn_exp.verification import verify
from tests.in_process import command
from tests.using import forget_used_files

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def forgotten():
    """What an example registers is gone after the test."""
    yield
    forget_used_files()


@pytest.mark.parametrize(
    ("name", "word"), [("erf", "network.activation=erf"), ("np_rnn", "init=np_rnn")]
)
def test_a_part_of_the_examples_passes_its_verification(name, word):
    findings = list(verify([word], use=[EXAMPLES / f"{name}.py"]))

    assert findings
    assert [str(finding) for finding in findings if not finding.holds] == []


@pytest.mark.parametrize("gain", [0.8, 1.5])
def test_the_mean_field_of_erf_is_the_one_in_closed_form(gain):
    rx.use(EXAMPLES / "erf.py")
    drive = 0.25
    q = 1.0
    for _ in range(2000):
        q = gain**2 * 2 / math.pi * math.asin(math.pi * q / (2 + math.pi * q)) + drive

    found = rx.theory.mean_field("erf", gain=gain, drive=drive)

    assert found.q == pytest.approx(q, rel=1e-8)
    assert found.rate == pytest.approx(gain * (1 + math.pi * q) ** -0.25, rel=1e-8)


def test_the_matrix_of_np_rnn_is_positive_and_its_largest_eigenvalue_is_the_gain():
    rx.use(EXAMPLES / "np_rnn.py")
    network = Network("relu", 40)
    init = INITS["np_rnn"](0.9)

    W = init.draw(shapes(network, 2, 1), seed=3)["weight_hh_l0"].double()

    values = torch.linalg.eigvalsh(W)
    torch.testing.assert_close(W, W.mT, rtol=0, atol=1e-12)
    assert float(values[-1]) == pytest.approx(0.9, rel=1e-6)
    # the smallest of RᵀR/n + 1 is above 1, its largest below 1 + (1 + 1)² by the law of large n
    assert 0.9 / 6 < float(values[0]) < float(values[-2]) < 0.9


def test_the_study_compares_three_inits_and_brings_its_file_with_it(tmp_path):
    told = command(tmp_path, "--config-dir", str(EXAMPLES), "study=np_rnn")

    assert told.code == 0, told.err
    assert told.out.startswith("18 runs: 18 done")


def test_the_figure_plots_the_ratio_of_every_step_and_says_what_is_seen():
    rx.use(EXAMPLES / "step_sizes.py")
    runs = [Run(Adding(6), Network(hidden_size=4), training=Training(5), seed=s) for s in (0, 1)]
    results = rx.train(runs)

    drawn = rx.figures.figure("step_sizes")
    plotted = drawn.table(results)

    expected = results.updates[["run", "update", "update_ratio"]]
    pd.testing.assert_frame_equal(plotted.table, expected)
    lines = drawn.draw(plotted).axes[0].get_lines()
    np.testing.assert_array_equal(
        lines[1].get_ydata(), expected[expected["run"] == max(expected["run"])]["update_ratio"]
    )
    assert drawn.caption(plotted).startswith("Each line is one of 2 runs. ")


def test_a_figure_without_any_step_says_so():
    rx.use(EXAMPLES / "step_sizes.py")
    results = rx.train([Run(Adding(6), Network(hidden_size=4), training=Training(2))])
    results.updates["update_ratio"] = np.nan

    with pytest.raises(rx.figures.CannotDraw, match="No update has moved the weights"):
        rx.figures.figure("step_sizes").table(results)
