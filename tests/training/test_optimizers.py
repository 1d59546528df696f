"""Optimisers: torch's arithmetic bit for bit, for many runs at once, without its compiler."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from rnn_exp.fields import SettingError
from rnn_exp.networks import Network
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.training.test_experiment import assert_same
from tests.training.test_snapshots import continued, interrupted

TORCHS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
# What is given here, and what torch is given.
WAYS = [
    *((name, {}, {}) for name in TORCHS),
    ("sgd", {"momentum": 0.9}, {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.5, "weight_decay": 0.1}, {"momentum": 0.5, "weight_decay": 0.1}),
    ("adam", {"adam_beta1": 0.8, "adam_beta2": 0.99}, {"betas": (0.8, 0.99)}),
    ("adam", {"weight_decay": 0.1}, {"weight_decay": 0.1}),
    ("rmsprop", {"rmsprop_alpha": 0.9}, {"alpha": 0.9}),
    ("rmsprop", {"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "weight_decay": 0.1}),
]
GIVEN = [(name, ours) for name, ours, _ in WAYS]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "ours", "theirs"), WAYS)
def test_an_optimiser_takes_the_steps_of_torchs_own(name, ours, theirs, dtype):
    draws = torch.Generator().manual_seed(0)
    flat = torch.randn(3, 7, generator=draws, dtype=dtype)
    leaf = flat.clone().requires_grad_()
    training = Training(optimizer=name, **ours)
    own = OPTIMIZERS[name]
    optimizer, memory = TORCHS[name]([leaf], lr=0.03, **theirs), own.memory(flat, training)

    for _ in range(20):
        leaf.grad = torch.randn(3, 7, generator=draws, dtype=dtype)
        given = leaf.grad.clone()
        optimizer.step()
        own.step(flat, given, memory, 0.03, **own.settings_of(training))

    assert torch.equal(flat, leaf.detach())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "ours"), GIVEN)
def test_steps_beside_kernels_are_those_of_torchs_arithmetic_but_for_rounding(name, ours, dtype):
    draws = torch.Generator().manual_seed(0)
    weights = torch.randn(3, 37, generator=draws, dtype=dtype)
    training, own = Training(optimizer=name, **ours), OPTIMIZERS[name]
    settings, moved, remembered = own.settings_of(training), [], []
    gradients = 10 * torch.randn(20, 3, 37, generator=draws, dtype=dtype)
    gradients[:, 1, 5] = 0.0
    for engine in ("kernel", "scan"):
        flat, memory = weights.clone(), own.memory(weights, training)
        for gradient in gradients:
            given = gradient.clone()
            own.step_of(engine)(flat, given, memory, 0.03, **settings)
            assert torch.equal(given, gradient)
        moved.append(flat)
        remembered.append(memory)

    few = 20 * torch.finfo(dtype).eps  # a rounding or two in each of twenty steps
    torch.testing.assert_close(*moved, rtol=few, atol=few)
    for kernels, torchs in zip(*(one.values() for one in remembered), strict=True):
        torch.testing.assert_close(kernels, torchs, rtol=few, atol=few * float(torchs.abs().max()))


@pytest.mark.parametrize(("name", "ours"), GIVEN)
def test_a_step_beside_kernels_is_the_same_alone_and_does_not_spread_what_is_no_number(name, ours):
    draws = torch.Generator().manual_seed(0)
    weights, gradient = torch.randn(2, 3, 37, generator=draws)
    gradient[0, 3], gradient[2, 4] = torch.nan, torch.inf
    training, own = Training(optimizer=name, **ours), OPTIMIZERS[name]
    settings, step = own.settings_of(training), own.step_of("kernel")
    together = weights.clone()
    step(together, gradient.clone(), own.memory(weights, training), 0.03, **settings)
    alone = weights[1:2].clone()
    step(alone, gradient[1:2].clone(), own.memory(alone, training), 0.03, **settings)

    assert torch.equal(together[1:2], alone)
    assert together.isfinite().sum() == together.numel() - 2


def test_an_optimiser_with_a_step_of_its_own_makes_that_step_beside_kernels_as_well():
    def stay(flat, gradient, memory, rate, **settings):
        del flat, gradient, memory, rate, settings

    mine = dataclasses.replace(OPTIMIZERS["adam"], name="mine", step=stay)
    assert mine.step_of("kernel") is mine.step_of("scan") is stay
    assert OPTIMIZERS["adam"].step_of("kernel") is not OPTIMIZERS["adam"].step_of("scan")


@pytest.mark.parametrize("engine", ["kernel", "scan"])
def test_adam_without_a_memory_of_gradients_forgets_the_large_one_before(engine):
    training, adam = Training(optimizer="adam", adam_beta1=0.0), OPTIMIZERS["adam"]
    flat = torch.ones(1, 16, dtype=torch.float64)
    memory = adam.memory(flat, training)
    for size in (1e20, 1.0):
        gradient = torch.full_like(flat, size)
        adam.step_of(engine)(flat, gradient, memory, 0.01, **adam.settings_of(training))
    assert (memory["mean"] == 1.0).all()


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_a_step_by_kernels_refuses_rows_with_gaps_between_their_numbers(name):
    flat, own = torch.zeros(2, 6)[:, ::2], OPTIMIZERS[name]
    training = Training(optimizer=name)
    memory = own.memory(flat, training)
    with pytest.raises(ValueError, match="one behind the other"):
        own.step_of("kernel")(flat, flat, memory, 0.1, **own.settings_of(training))
    assert not flat.any()
    assert memory["step"] == 0


@pytest.mark.parametrize(("name", "ours"), GIVEN)
def test_what_an_optimiser_remembers_goes_on_from_a_snapshot_bit_for_bit(name, ours):
    training = Training(7, 3, name, **ours)
    runs = [Run(Adding(5), Network(hidden_size=4), training=training, seed=seed) for seed in (0, 1)]
    expected = dict(zip(runs, train_runs(runs), strict=True))

    _, snapshots, before = interrupted(runs, 3)

    for outcome in continued(runs[::-1], snapshots, before):
        assert_same(outcome, expected[outcome.run])


@pytest.mark.parametrize(("name", "ours"), [one for one in GIVEN if one[1]])
def test_every_setting_of_an_optimiser_changes_what_it_does(name, ours):
    usual, other = (
        train_runs([Run(Adding(5), Network(hidden_size=4), training=Training(5, 3, name, **given))])
        for given in ({}, ours)
    )

    weights = [outcome.weights["weight_hh_l0"] for [outcome] in (usual, other)]
    assert not torch.equal(*weights)


def test_weight_decay_alone_shrinks_every_number_that_is_trained():
    """Without a gradient w is multiplied by 1 − η λ at each step."""
    own, training = OPTIMIZERS["sgd"], Training(weight_decay=0.25)
    flat = torch.tensor([[1.0, -2.0]], dtype=torch.float64)

    for _ in range(3):
        settings = own.settings_of(training)
        own.step(flat, torch.zeros_like(flat), own.memory(flat, training), 0.5, **settings)

    torch.testing.assert_close(flat, torch.tensor([[1.0, -2.0]]).double() * 0.875**3)


@pytest.mark.parametrize(
    ("optimizer", "given", "allowed"),
    [
        ("adam", {"momentum": 0.9}, "0.0 with optimizer=adam: it is a setting of sgd and rmsprop"),
        ("rmsprop", {"nesterov": True}, "false with optimizer=rmsprop: it is a setting of sgd"),
        ("sgd", {"rmsprop_alpha": 0.9}, "0.99 with optimizer=sgd: it is a setting of rmsprop"),
        ("rmsprop", {"adam_beta1": 0.8}, "0.9 with optimizer=rmsprop: it is a setting of adam"),
        ("sgd", {"adam_beta2": 0.8}, "0.999 with optimizer=sgd: it is a setting of adam"),
        ("sgd", {"nesterov": True}, "false without momentum"),
        ("sgd", {"momentum": 1}, "a number of at least 0 and below 1"),
        ("sgd", {"weight_decay": -0.1}, "a number of at least 0"),
    ],
)
def test_a_setting_that_an_optimiser_does_not_have_is_refused_in_a_line(optimizer, given, allowed):
    with pytest.raises(SettingError) as caught:
        Training(optimizer=optimizer, **given)

    [(key, value)] = given.items()
    typed = str(value).lower()
    assert str(caught.value) == f"{key}={typed} is not possible: allowed is {allowed}"


def test_training_does_not_import_torchs_compiler():
    code = (
        "import sys; from rnn_exp.training.experiment import train_runs\n"
        "from rnn_exp.training.run import Run\n"
        "from rnn_exp.training.settings import Training\n"
        "for name in ('sgd', 'adam', 'rmsprop'):\n"
        "    train_runs([Run(training=Training(2, optimizer=name))])\n"
        "assert 'torch._dynamo' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
