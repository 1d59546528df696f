"""The remedies of examples/ do what their docstrings say."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnn_exp as rx
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Gaussian, Orthogonal
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.verification import verify
from tests.using import forget_used_files

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def used():
    """Use an example as a user does; what it registers is gone after the test."""
    yield lambda name: rx.use(EXAMPLES / f"{name}.py")
    forget_used_files()


def test_autoclip_clips_to_the_percentile_of_all_norms_so_far(used):
    used("autoclip")
    draw = torch.Generator().manual_seed(0)
    optimizer = OPTIMIZERS["autoclip"]
    flat = torch.zeros(3, 50, dtype=torch.float64)
    memory, norms = optimizer.memory(flat), [[], [], []]

    for _ in range(20):
        gradient = torch.randn(3, 50, dtype=torch.float64, generator=draw)
        before = flat.clone()
        optimizer.step(flat, gradient, memory, 0.5)
        for run in range(3):
            norms[run].append(float(gradient[run].norm()))
            limit = np.percentile(norms[run], 10)
            scale = min(1.0, limit / norms[run][-1])
            expected = before[run] - 0.5 * scale * gradient[run]
            assert flat[run] == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_a_run_with_autoclip_is_the_same_alone_and_in_company(used):
    used("autoclip")
    training = Training(6, batch_size=4, optimizer="autoclip", learning_rate=0.2)
    runs = [
        Run(Adding(8), Network(hidden_size=5), Gaussian(gain), training, Recording(1), seed)
        for seed, gain in enumerate((0.5, 1.0, 1.5))
    ]

    together = train_runs(runs)

    for run, there in zip(runs, together, strict=True):
        [alone] = train_runs([run])
        for name, values in alone.tables["gradients"].items():
            np.testing.assert_array_equal(values, there.tables["gradients"][name])


def test_the_spectral_margin_is_exact_and_draws_singular_values_back(used):
    used("spectral_margin")
    assert [str(one) for one in verify(["penalty=spectral_margin"]) if not one.holds] == []
    more = {"spectral_margin": 5.0, "margin": 0.2}
    training = Training(60, learning_rate=0.02, more=more)
    run = Run(Adding(8), Network(hidden_size=8, dtype="float64"), Orthogonal(1.6), training)

    [outcome] = train_runs([run])

    values = torch.linalg.svdvals(outcome.weights["weight_hh_l0"])
    assert float(values.max()) < 1.25
    assert run.settings()["training.margin"] == 0.2
