"""Recorded singular values: of the top layer, alone as in company, kept through a resume."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

import rnn_exp
from rnn_exp.fields import SettingError
from rnn_exp.networks.cells import CELLS
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
from tests import reference
from tests.networks.test_step import TWINS
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
        outcome.jacobians[column] = np.tile(values, 3)
    writing.write(tmp_path, outcome)
    reseal(tmp_path)

    [why] = rnn_exp.load(tmp_path).broken["why"]

    assert why == "ValueError: jacobians.parquet has 90 rows, where its run records at most 60"


def test_states_that_are_not_finite_have_no_singular_values():
    network, recording = Network("relu", 6), Recording(1, jacobian_lags=3)
    [outcome] = train_runs([Run(Latch(60), network, Gaussian(1e30), Training(3), recording)])

    assert outcome.status == "diverged"
    assert np.isnan(outcome.jacobians[VALUES]).all()


@pytest.mark.parametrize(
    ("network", "lags", "allowed"),
    [
        ({}, 21, r"recording\.jacobian_lags=21 .* at most 20, the time steps of the shortest"),
    ],
)
def test_lags_that_cannot_be_are_refused(network, lags, allowed):
    with pytest.raises(SettingError, match=allowed):
        runs(lags, **network)


def skip_of(keep, add):
    return lambda *given: (reference.skip(*given, "sigmoid", keep, add).h, None)


# From inputs, h, V, W, both biases and c to the lists of h and of c (None: there is none).
PROGRAMS = {
    "leaky": skip_of(0.75, 0.25),
    "residual": skip_of(1.0, 0.25),
    "normed": lambda *given: (reference.normed(*given[:6], "sigmoid").h, None),
    "gru": lambda *given: (reference.gru(*given[:6]).h, None),
    "lstm": lambda *given: (lambda found: (found.h, found.c))(reference.lstm(*given)),
}


def test_all_cells_of_the_package_are_compared():
    assert {"rnn", *PROGRAMS} == {name for name, kind in CELLS.items() if not kind.own_shapes}


@pytest.mark.parametrize("engine", ["scan", "torch"])
@pytest.mark.parametrize("cell", PROGRAMS)
def test_the_singular_values_of_every_cell_are_those_of_autograds_jacobian(cell, engine):
    kind, n = CELLS[cell], 4
    given = {} if kind.only_activation else {"activation": "sigmoid"}
    given |= {"leak": 0.25} if kind.has_leak else {}
    if engine == "torch" and kind.torch_module is None:
        pytest.skip("torch has no such module")
    network = Network(
        cell=cell, hidden_size=n, num_layers=2, dtype="float64", engine=engine, **given
    )
    run = Run(Latch(12), network, Gaussian(3.0), Training(1), Recording(1, jacobian_lags=11))
    [outcome] = train_runs([run])

    weights = {
        name: value.double()
        for name, value in initial_weights(network, run.init, run.task, run.seed).items()
    }
    x = run.task.draw(run.training.batch_size, generator(run.seed, "data")).inputs[:, :1].double()
    layers = [
        [weights[f"{name}_l{layer}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        for layer in (0, 1)
    ]
    start = torch.full((1, n), network.initial_state, dtype=torch.float64)
    below = torch.stack(PROGRAMS[cell](x, start, *layers[0])[0])
    h, c = PROGRAMS[cell](below, start, *layers[1])

    for lag, row in zip([1, 2, 4, 8, 11], np.split(outcome.jacobians[VALUES], 5), strict=True):

        def last(state, lag=lag):
            """The top layer's state at the end, from that so many steps before."""
            state = state.view(-1, 1, n)
            memory = state[1:2][0] if c else None
            found = PROGRAMS[cell](below[-lag:], state[0], *layers[1], *[memory] if c else [])
            return torch.cat([part[-1].flatten() for part in found if part])

        before = [part[-1 - lag].flatten() for part in (h, c) if part]
        expected = torch.linalg.svdvals(jacobian(last, torch.cat(before)))
        assert len(row) == len(expected) == n * len(before)
        known = (expected >= 1e-8 * expected[0]).numpy()
        np.testing.assert_allclose(10 ** row[known], expected[known], rtol=1e-5)
        assert 10 ** row[0] == pytest.approx(float(expected[0]), rel=1e-12)


@pytest.mark.parametrize("name", TWINS)
def test_a_step_cell_has_the_singular_values_of_the_cell_that_it_writes_out(monkeypatch, name):
    kind = TWINS[name]
    monkeypatch.setattr(CELLS, "_things", {**CELLS._things, kind.name: kind})
    own, same = (
        train_runs([runs(5, 1, cell=cell, dtype="float64")[2]])[0] for cell in (kind.name, name)
    )

    np.testing.assert_allclose(own.jacobians[VALUES], same.jacobians[VALUES], atol=1e-9)


def test_a_long_sequence_in_stretches_has_the_singular_values_of_the_whole(monkeypatch):
    def values():
        task, recording = Adding(400), Recording(1, jacobian_lags=300)
        training = Training(1, batch_size=2, truncate_every=8, truncate_back=8)
        run = Run(task, Network(cell="gru", hidden_size=4), Gaussian(3.0), training, recording)
        return train_runs([run])[0].jacobians[VALUES]

    whole = values()
    monkeypatch.setattr("rnn_exp.networks.forward._LEAST", 8)

    np.testing.assert_array_equal(values(), whole)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_of_gated_cells_a_run_has_the_same_bits_alone_and_in_company(cell):
    for run, together in zip(runs(cell=cell), train_runs(runs(cell=cell)), strict=True):
        [alone] = train_runs([run])
        np.testing.assert_array_equal(alone.jacobians[VALUES], together.jacobians[VALUES])
