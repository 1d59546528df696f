"""Schedules: torch's learning rates, from the number of an update alone."""

import pytest
import torch
from torch.optim import lr_scheduler

from rnn_exp.fields import SettingError
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Gaussian
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.schedules import SCHEDULES
from rnn_exp.training.settings import Recording, Training
from rnn_exp.training.steps import rate_at
from tests.training.test_experiment import assert_same
from tests.training.test_snapshots import continued, interrupted

UPDATES = 23
# What is given here, and the schedule of torch after the warming up.
WAYS = {
    "constant": ({}, lambda optimizer, rest: lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)),
    "step": (
        {"schedule_every": 5, "schedule_factor": 0.3},
        lambda optimizer, rest: lr_scheduler.StepLR(optimizer, 5, 0.3),
    ),
    "cosine": ({}, lambda optimizer, rest: lr_scheduler.CosineAnnealingLR(optimizer, rest)),
}


def torchs_rates(make, warm_up):
    """The rate of every update of a loop with torch's schedulers."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.7)
    scheduler = make(optimizer, UPDATES - warm_up)
    if warm_up:
        rising = lr_scheduler.LinearLR(optimizer, 1 / (warm_up + 1), total_iters=warm_up)
        scheduler = lr_scheduler.SequentialLR(optimizer, [rising, scheduler], [warm_up])
    rates = []
    for _ in range(UPDATES):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_every_schedule_is_compared_with_torchs():
    assert list(SCHEDULES) == list(WAYS)


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("warm_up", [0, 1, 6])
@pytest.mark.parametrize("schedule", WAYS)
def test_a_schedule_has_the_rates_of_torchs_own(schedule, warm_up):
    given, make = WAYS[schedule]
    training = Training(UPDATES, learning_rate=0.7, schedule=schedule, warm_up=warm_up, **given)

    rates = [rate_at(training, update) for update in range(UPDATES)]

    assert rates == pytest.approx(torchs_rates(make, warm_up), rel=1e-12, abs=1e-15)


def test_without_a_schedule_the_rate_has_the_bits_that_were_given():
    assert {rate_at(Training(5, learning_rate=0.1), u) for u in range(5)} == {0.1}


@pytest.mark.parametrize("schedule", WAYS)
def test_plain_descent_moves_by_the_scheduled_rate_times_the_gradient(schedule):
    given = WAYS[schedule][0] | {"schedule": schedule, "warm_up": 3}
    training = Training(9, learning_rate=0.2, **given)
    run = Run(Adding(5), Network(hidden_size=4, dtype="float64"), training=training)
    run = Run(run.task, run.network, training=training, recording=Recording(every=1))

    [outcome] = train_runs([run])

    rates = outcome.updates["update_norm"] / outcome.updates["grad_norm"]
    expected = [rate_at(training, update) for update in range(9)]
    assert rates.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("schedule", WAYS)
@pytest.mark.parametrize("at", [1, 4])
def test_a_run_goes_on_from_a_snapshot_at_the_rate_of_its_update(schedule, at):
    given = WAYS[schedule][0] | {"schedule": schedule, "warm_up": 2}
    training = Training(9, 3, "adam", **given)
    runs = [Run(Adding(5), Network(hidden_size=4), training=training, seed=seed) for seed in (0, 1)]
    expected = dict(zip(runs, train_runs(runs), strict=True))

    _, snapshots, before = interrupted(runs, at)

    for outcome in continued(runs, snapshots, before):
        assert_same(outcome, expected[outcome.run])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"schedule": "step"},
            "schedule_every=null is not possible: allowed is a whole number of at least 1 with "
            "schedule=step",
        ),
        (
            {"schedule_every": 3},
            "schedule_every=3 is not possible: allowed is null with schedule=constant: it is a "
            "setting of step",
        ),
        (
            {"schedule": "cosine", "schedule_factor": 0.5},
            "schedule_factor=0.5 is not possible: allowed is 0.1 with schedule=cosine: it is a "
            "setting of step",
        ),
        (
            {"updates": 5, "warm_up": 5},
            "warm_up=5 is not possible: allowed is a whole number below updates=5",
        ),
    ],
)
def test_what_makes_no_sense_with_a_schedule_is_refused_in_a_line(given, words):
    with pytest.raises(SettingError) as caught:
        Training(**given)

    assert str(caught.value) == words


@pytest.mark.parametrize("schedule", WAYS)
def test_updates_have_the_learning_rate_of_torchs_schedule(schedule):
    settings, make = WAYS[schedule]
    training = Training(
        UPDATES, batch_size=2, learning_rate=0.7, schedule=schedule, warm_up=3, **settings
    )
    [outcome] = train_runs([Run(Adding(4), Network(hidden_size=2), training=training)])

    rates = torchs_rates(make, 3)
    recorded = outcome.updates["update"]
    assert outcome.updates["learning_rate"].tolist() == pytest.approx(
        [rates[update] for update in recorded], rel=1e-12
    )


GROWING = {"schedule": "step", "schedule_every": 1}


@pytest.mark.parametrize(
    ("engine", "settings", "key"),
    [
        ("kernel", {"schedule_factor": 1e30, **GROWING}, "schedule_factor"),
        ("scan", {"schedule_factor": 1e20, **GROWING}, "schedule_factor"),
        ("scan", {"optimizer": "adam", "learning_rate": 3e38}, "learning_rate"),
    ],
)
def test_a_rate_that_grows_beyond_the_precision_is_refused(engine, settings, key):
    training = Training(updates=400, batch_size=2, **settings)
    with pytest.raises(SettingError, match=f"training.{key}=.* less: the largest learning rate"):
        Run(Adding(5), Network(hidden_size=3, engine=engine), Gaussian(), training)


def test_a_rate_that_grows_within_the_precision_is_none_to_refuse():
    training = Training(updates=3, learning_rate=1e-30, schedule_factor=1e30, **GROWING)
    assert rate_at(Run(Adding(5), Network(), Gaussian(), training).training, 2) == pytest.approx(
        1e30
    )
