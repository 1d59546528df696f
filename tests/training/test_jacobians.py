"""Recorded singular values: of the top layer, alone as in company, kept through a resume."""

import numpy as np
import pytest

import rnn_exp
from rnn_exp.fields import SettingError
from rnn_exp.networks.forward import ForwardPass
from rnn_exp.networks.inits import Gaussian, Orthogonal
from rnn_exp.networks.network import Network
from rnn_exp.randomness import generator
from rnn_exp.storage import writing
from rnn_exp.tasks import Adding, Latch
from rnn_exp.theory.directions import log10_singular_values
from rnn_exp.theory.edge import initial_weights
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.sealing import reseal
from tests.training.test_snapshots import continued, interrupted

VALUES = "log10_singular_value"


def runs(lags: int = 9, updates: int = 4, **network: object) -> list[Run]:
    """Four runs that differ in gain and seed."""
    made = Network(hidden_size=6, **network)  # type: ignore[arg-type]
    recording = Recording(2, jacobian_lags=lags)
    return [
        Run(Latch(20), made, Gaussian(gain), Training(updates), recording, seed)
        for seed, gain in enumerate((0.5, 1.0, 1.5, 2.0))
    ]


def test_a_linear_orthogonal_network_keeps_every_direction_alike():
    network = Network("identity", 5, dtype="float64")
    recording = Recording(1, jacobian_lags=20)
    [outcome] = train_runs([Run(Latch(20), network, Orthogonal(0.5), Training(1), recording)])

    table = outcome.jacobians
    assert table["lag"].tolist() == [lag for lag in (1, 2, 4, 8, 16, 20) for _ in range(5)]
    assert table["index"].tolist() == [1, 2, 3, 4, 5] * 6
    assert set(table["update"]) == {0}
    np.testing.assert_allclose(table[VALUES], table["lag"] * np.log10(0.5), rtol=1e-12)


@pytest.mark.parametrize("task", [Latch(20), Adding(30, "pascanu")], ids=str)
def test_they_are_those_of_the_first_sequence_and_the_weights_before_training(task):
    network = Network("tanh", 6, num_layers=2, dtype="float64")
    run = Run(task, network, Gaussian(1.5), Training(1), Recording(1, jacobian_lags=11))
    [outcome] = train_runs([run])

    weights = initial_weights(network, run.init, task, run.seed)
    batch = task.draw(run.training.batch_size, generator(run.seed, "data"))
    named = {name: value.double().unsqueeze(0) for name, value in weights.items()}
    inputs = batch.inputs[: batch.length].double().unsqueeze(1)
    states = ForwardPass(named, inputs, network, None, None).between(0, batch.length)[1].states
    W = named["weight_hh_l1"][0]
    expected = log10_singular_values(W, states[:, 0, 0], "tanh", [1, 2, 4, 8, 11])

    np.testing.assert_allclose(
        outcome.jacobians[VALUES], expected.flatten(), rtol=1e-9, equal_nan=True
    )


def test_alone_and_in_company_a_run_has_the_same_bits():
    for run, together in zip(runs(), train_runs(runs()), strict=True):
        [alone] = train_runs([run])
        np.testing.assert_array_equal(alone.jacobians[VALUES], together.jacobians[VALUES])


def test_a_resumed_run_keeps_its_singular_values():
    expected = train_runs(runs())
    _, snapshots, before = interrupted(runs(), 1)

    for outcome, whole in zip(continued(runs(), snapshots, before), expected, strict=True):
        for column, values in whole.jacobians.items():
            np.testing.assert_array_equal(outcome.jacobians[column], values)


def test_nobody_who_did_not_ask_has_the_table(tmp_path):
    [asked] = train_runs([runs()[0]])
    [other] = train_runs([runs(lags=0)[0]])
    for outcome in (asked, other):
        (tmp_path / outcome.run.name).mkdir()
        writing.write(tmp_path / outcome.run.name, outcome)

    results = rnn_exp.load(tmp_path)

    assert results.broken.empty
    assert [path.parent.name for path in tmp_path.glob("*/jacobians.parquet")] == [asked.run.name]
    assert results.jacobians["run"].unique().tolist() == [asked.run.name]
    np.testing.assert_array_equal(results.jacobians[VALUES], asked.jacobians[VALUES])


def test_a_table_with_more_rows_than_its_run_can_have_recorded_is_broken(tmp_path):
    [outcome] = train_runs([runs(updates=1)[0]])
    for column, values in outcome.jacobians.items():
        outcome.jacobians[column] = np.tile(values, 2)
    writing.write(tmp_path, outcome)
    reseal(tmp_path)

    [why] = rnn_exp.load(tmp_path).broken["why"]

    assert why == "ValueError: jacobians.parquet has 60 rows, where its run records at most 30"


def test_states_that_are_not_finite_have_no_singular_values():
    network, recording = Network("relu", 6), Recording(1, jacobian_lags=3)
    [outcome] = train_runs([Run(Latch(60), network, Gaussian(1e30), Training(3), recording)])

    assert outcome.status == "diverged"
    assert np.isnan(outcome.jacobians[VALUES]).all()


@pytest.mark.parametrize(
    ("network", "lags", "allowed"),
    [
        ({"cell": "gru"}, 1, r"recording\.jacobian_lags=1 .* 0 with network\.cell=gru"),
        ({}, 21, r"recording\.jacobian_lags=21 .* at most 20, the time steps of the shortest"),
    ],
)
def test_lags_that_cannot_be_are_refused(network, lags, allowed):
    with pytest.raises(SettingError, match=allowed):
        runs(lags, **network)
