"""The remedies of examples/ do what their docstrings say."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import rnn_exp as rx
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Gaussian, Orthogonal
from rnn_exp.networks.parameters import Layout
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


@pytest.mark.parametrize("given", [{}, {"percentile": 60}])
def test_autoclip_clips_to_the_percentile_of_all_norms_so_far(used, given):
    used("autoclip")
    draw = torch.Generator().manual_seed(0)
    optimizer = OPTIMIZERS["autoclip"]
    arguments = optimizer.settings_of(Training(optimizer="autoclip", more=given))
    flat = torch.zeros(3, 50, dtype=torch.float64)
    memory, norms = optimizer.memory(flat), [[], [], []]

    for _ in range(20):
        gradient = torch.randn(3, 50, dtype=torch.float64, generator=draw)
        before = flat.clone()
        optimizer.step(flat, gradient, memory, 0.5, **arguments)
        for run in range(3):
            norms[run].append(float(gradient[run].norm()))
            limit = np.percentile(norms[run], given.get("percentile", 10))
            scale = min(1.0, limit / norms[run][-1])
            expected = before[run] - 0.5 * scale * gradient[run]
            assert flat[run] == pytest.approx(expected, rel=1e-12, abs=1e-15)


SHAPES = {
    "weight_ih_l0": (8, 2),
    "weight_hh_l0": (8, 4),
    "bias_hh_l0": (8,),
    "readout.weight": (1, 4),
    "readout.bias": (1,),
}


@pytest.mark.parametrize("given", [{}, {"unit_limit": 0.7, "unit_floor": 2.0}])
def test_unit_clipping_bounds_every_units_gradient_by_its_weights(used, given):
    """Brock et al. 2021, eq. 3, one row after the other in plain numbers."""
    used("unit_clipping")
    limit, floor = given.get("unit_limit", 0.1), given.get("unit_floor", 1e-3)
    optimizer, layout = OPTIMIZERS["unit_clipping"], Layout(SHAPES)
    arguments = optimizer.arguments(Training(optimizer="unit_clipping", more=given), layout)
    draw = torch.Generator().manual_seed(0)
    size = sum(map(math.prod, SHAPES.values()))
    flat, gradient = torch.randn(2, 3, size, dtype=torch.float64, generator=draw)
    flat[0, :2] = 0  # the weights of a unit from the inputs
    gradient[:, 2:4] *= 1e-3  # and a gradient that is short already
    before, first = flat.clone(), gradient.clone()

    optimizer.step(flat, gradient, {}, 0.5, **arguments)

    for run in range(3):
        start = 0
        for name, shape in SHAPES.items():
            rows, length = (shape[0], shape[1]) if len(shape) == 2 else (1, shape[0])
            for _ in range(rows):
                unit = slice(start, start + length)
                W, G = before[run, unit].tolist(), first[run, unit].tolist()
                ratio = math.hypot(*G) / max(math.hypot(*W), floor)
                kept = limit / ratio if ratio > limit and "readout" not in name else 1.0
                expected = [w - 0.5 * kept * g for w, g in zip(W, G, strict=True)]
                assert flat[run, unit].tolist() == pytest.approx(expected, rel=1e-12)
                start += length


@pytest.mark.parametrize("name", ["autoclip", "unit_clipping"])
def test_a_run_with_a_remedy_is_the_same_alone_and_in_company(used, name):
    used(name)
    training = Training(6, batch_size=4, optimizer=name, learning_rate=0.2)
    runs = [
        Run(Adding(8), Network(hidden_size=5), Gaussian(gain), training, Recording(1), seed)
        for seed, gain in enumerate((0.5, 1.0, 1.5))
    ]

    together = train_runs(runs)

    for run, there in zip(runs, together, strict=True):
        [alone] = train_runs([run])
        for name, values in alone.tables["gradients"].items():
            np.testing.assert_array_equal(values, there.tables["gradients"][name])


@pytest.mark.parametrize("name", ["autoclip", "unit_clipping"])
def test_an_optimiser_of_examples_holds_where_it_is_verified(used, name):
    used(name)

    assert [str(one) for one in verify([f"training.optimizer={name}"]) if not one.holds] == []


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
