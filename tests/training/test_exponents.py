"""Recorded exponents: those of the top layer, alone as in company, kept through a resume."""

import numpy as np
import pytest

import rnn_exp
from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.storage import writing
from rnn_exp.tasks import Latch
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training


def runs(exponents: int = 3, updates: int = 4, **network: object) -> list[Run]:
    """Four runs that differ in gain and seed."""
    made = Network(hidden_size=6, dtype="float64", **network)  # type: ignore[arg-type]
    return [
        Run(Latch(20), made, Gaussian(gain), Training(updates), Recording(2, exponents), seed)
        for seed, gain in enumerate((0.5, 1.0, 1.5, 2.0))
    ]


def test_a_linear_unit_has_the_exponent_of_its_weight():
    network = Network(hidden_size=1, activation="identity", dtype="float64")
    [outcome] = train_runs(
        [Run(Latch(20), network, Gaussian(2.0), Training(1), Recording(1, exponents=1))]
    )

    # The only update has moved W by the learning rate times a gradient; before it, W is as drawn.
    W = Gaussian(2.0).draw({"weight_hh_l0": (1, 1), "readout.weight": (2, 1)}, 0)["weight_hh_l0"]
    assert outcome.exponents["update"].tolist() == [0]
    assert outcome.exponents["index"].tolist() == [1]
    assert outcome.exponents["exponent"][0] == pytest.approx(float(W.abs().log()), rel=1e-12)


def test_there_is_a_row_a_recorded_update_and_index_largest_first():
    table = train_runs(runs()[:1])[0].exponents

    assert table["update"].tolist() == [0, 0, 0, 2, 2, 2, 3, 3, 3]
    assert table["index"].tolist() == [1, 2, 3] * 3
    assert (np.diff(table["exponent"].reshape(3, 3)) <= 0).all()


def test_alone_and_in_company_a_run_has_the_same_bits():
    company = train_runs(runs())

    for run, together in zip(runs(), company, strict=True):
        [alone] = train_runs([run])
        np.testing.assert_array_equal(alone.exponents["exponent"], together.exponents["exponent"])


def test_a_resumed_run_keeps_its_exponents():
    whole, chunk = train_runs(runs()), Chunk(runs())
    for update, _ in chunk.train():
        if update.number == 1:
            break
    # The generator stops behind its yield: an update is whole when the next one is asked for.
    snapshots = [snapshot for _, snapshot in chunk.snapshots()]
    before = [chunk.take(run)["exponents"]["exponent"] for run in runs()]
    resumed = Chunk(runs(), snapshots)
    outcomes = [resumed.outcome(run, update) for update, ended in resumed.train() for run in ended]

    for one, early, other in zip(whole, before, outcomes, strict=True):
        both = np.concatenate([early, other.exponents["exponent"]])
        np.testing.assert_array_equal(one.exponents["exponent"], both)


def test_states_that_are_not_finite_have_no_exponents():
    network = Network(hidden_size=6, activation="identity")
    [outcome] = train_runs(
        [Run(Latch(60), network, Gaussian(1e30), Training(3), Recording(1, exponents=2))]
    )

    assert outcome.status == "diverged"
    assert np.isnan(outcome.exponents["exponent"]).all()


def test_the_table_is_written_and_loaded_only_where_asked_for(tmp_path):
    asked, not_asked = train_runs([runs(3)[0], runs(0)[1]])
    for outcome in (asked, not_asked):
        folder = tmp_path / outcome.run.name
        folder.mkdir()
        writing.write(folder, outcome)
        assert writing.is_done(folder, outcome.run)

    results = rnn_exp.load(tmp_path)

    assert [path.parent.name for path in tmp_path.glob("*/exponents.parquet")] == [asked.run.name]
    assert results.exponents["run"].unique().tolist() == [asked.run.name]
    np.testing.assert_array_equal(results.exponents["exponent"], asked.exponents["exponent"])
    assert set(results.exponents["init.gain"]) == {0.5}
    assert results.broken.empty


def test_where_none_were_asked_for_the_table_is_empty_and_has_its_columns(tmp_path):
    [outcome] = train_runs(runs(0)[:1])
    writing.write(tmp_path, outcome)

    exponents = rnn_exp.load(tmp_path).exponents

    assert exponents.empty
    assert list(exponents)[:4] == ["update", "index", "exponent", "run"]


def test_a_run_without_its_table_is_not_done(tmp_path):
    [outcome] = train_runs(runs(2)[:1])
    writing.write(tmp_path, outcome)
    (tmp_path / "exponents.parquet").unlink()

    assert not writing.is_done(tmp_path, outcome.run)
    assert len(rnn_exp.load(tmp_path).broken) == 1


@pytest.mark.parametrize(
    ("network", "exponents", "allowed"),
    [
        ({"cell": "gru"}, 1, r"recording\.exponents=1 .* 0 with network\.cell=gru"),
        ({"cell": "leaky", "leak": 0.5}, 1, r"0 with network\.cell=leaky"),
        ({}, 7, r"at most 6 with network\.hidden_size=6"),
    ],
)
def test_exponents_that_cannot_be_are_refused(network, exponents, allowed):
    with pytest.raises(SettingError, match=allowed):
        runs(exponents, **network)
