"""Norms that training has lost: the true value in the column, what training saw in the status."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pytest
import torch

from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import norm_statuses
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.tasks import Adding
from rnn_exp.training import lost as module
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.training.test_experiment import assert_same

FLOAT32 = math.log10(torch.finfo(torch.float32).tiny)
NORMS = {
    "log10_total": "status",
    "log10_direct": "status_direct",
    "log10_contribution": "status_contribution",
    "log10_memory": "status_memory",
    "log10_late": "status_late",
}


def gradients(T, network, gain, **training):
    """The table of gradients of one update."""
    init = TorchDefault() if gain is None else Gaussian(gain)
    [outcome] = train_runs([Run(Adding(T), network, init, Training(1, **training))])
    return outcome.gradients


CASES = {
    "plain": ({"activation": "sigmoid"}, 0.5, {}),
    "layers": ({"activation": "sigmoid", "num_layers": 2}, 0.5, {}),
    "every": ({"activation": "sigmoid", "num_layers": 2}, 0.5, {"loss_at": "every"}),
    "windows": ({"activation": "sigmoid"}, 0.2, {"truncate_every": 50, "truncate_back": 80}),
    "lstm": ({"cell": "lstm"}, 0.01, {}),
    "gru": ({"cell": "gru"}, 0.01, {}),
    "leaky": ({"cell": "leaky", "leak": 0.99, "activation": "sigmoid"}, 0.5, {}),
}


@pytest.mark.parametrize("case", list(CASES))
def test_what_float32_loses_is_what_float64_measures(case):
    settings, gain, training = CASES[case]
    given = {"hidden_size": 16, **settings}

    single = gradients(100, Network(**given), gain, **training)
    exact = gradients(100, Network(**given, dtype="float64"), gain, **training)

    for name in NORMS.keys() & single.keys():
        there = np.isfinite(exact[name])
        np.testing.assert_array_equal(np.isneginf(single[name]), np.isneginf(exact[name]), name)
        np.testing.assert_allclose(single[name][there], exact[name][there], atol=2e-2)
        status = single[NORMS[name]]
        assert set(status[there]) <= {"ok", "underflow"}
        assert (status[exact[name] < FLOAT32] != "ok").all(), name
        assert (status[there & (exact[name] > FLOAT32 + 5)] == "ok").all(), name


def test_a_norm_of_1e_minus_350_is_measured_in_either_precision():
    network = Network("sigmoid", 64)
    single = gradients(300, network, 0.3)
    double = gradients(300, dataclasses.replace(network, dtype="float64"), 0.3)

    assert double["log10_total"][0] == pytest.approx(-323.3, abs=0.1)
    np.testing.assert_allclose(single["log10_total"], double["log10_total"], atol=2e-2)
    steps = np.diff(double["log10_total"])
    np.testing.assert_allclose(steps[:30], steps[100:130].mean(), atol=0.05)
    assert double["status"][0] == "underflow"
    assert (double["status"][20:] == "ok").all()
    assert (double["status_contribution"][:2] == ["zero", "underflow"]).all(), "h_0 = 0"


def test_late_norms_and_contributions_say_what_training_saw_of_them_themselves():
    table = gradients(100, Network("sigmoid", 64), 0.5, loss_at="every")

    assert (table["status"] == "ok").all()
    assert table["status_late"][0] == "underflow"
    assert table["log10_late"][0] == pytest.approx(-85.6, abs=0.1)
    assert (table["status_contribution"][1:] == "ok").all()
    alone = gradients(100, Network("sigmoid", 64), 0.5)
    lost = alone["status_contribution"] == "underflow"
    assert lost.sum() > 40
    assert (alone["status_direct"] == ["zero"] * 99 + ["ok"]).all()


def test_a_gradient_that_overflows_has_its_true_size_and_the_status_that_says_so():
    network = Network(hidden_size=32)
    single = gradients(300, network, 8.0)
    exact = gradients(300, dataclasses.replace(network, dtype="float64"), 8.0)

    bad = np.isin(single["status"], ["inf", "nan"])
    assert bad.any()
    assert np.isfinite(single["log10_total"]).all()
    assert (single["log10_total"][bad] > 38).all()
    assert (exact["status"] == "ok").all()
    # Chaos tells the two forward passes apart: sizes agree, not numbers.
    np.testing.assert_allclose(single["log10_total"][0], exact["log10_total"][0], rtol=0.2)


@dataclasses.dataclass(frozen=True)
class Dead(Gaussian):
    """Biases so low that no relu unit ever fires."""

    name: ClassVar[str] = "dead"

    def draw(self, *given, **more):
        """Draw all parameters."""
        drawn = super().draw(*given, **more)
        return drawn | {"bias_hh_l0": torch.full_like(drawn["bias_hh_l0"], -100.0)}


def test_a_dead_relu_has_a_gradient_of_exactly_zero():
    [outcome] = train_runs([Run(Adding(20), Network("relu", 8), Dead(1.0), Training(1))])

    table = outcome.gradients
    assert (table["status"] == ["zero"] * 19 + ["ok"]).all()
    assert np.isneginf(table["log10_total"][:-1]).all()
    assert (table["status_contribution"] == "zero").all()


def test_what_truncation_does_not_reach_is_cut_off_and_asks_for_no_second_pass(monkeypatch):
    monkeypatch.setattr(RunBatch, "rescaled", lambda *_: pytest.fail("a second pass"))

    table = gradients(40, Network(hidden_size=8), None, truncate_every=5, truncate_back=10)

    cut = ["cut_off"] * 30 + ["ok"] * 10
    assert table["status"].tolist() == table["status_contribution"].tolist() == cut
    assert (table["status_direct"] == ["zero"] * 39 + ["ok"]).all()
    assert np.isneginf(table["log10_total"][:30]).all()


@pytest.mark.parametrize(
    "given",
    [
        Run(Adding(12), Network(hidden_size=4)),
        Run(Adding(12), Network(hidden_size=4, num_layers=2), training=Training(loss_at="every")),
        Run(Adding(20, "pascanu"), Network(hidden_size=4)),
        Run(Adding(12), Network(cell="lstm", hidden_size=4)),
    ],
)
def test_zeros_by_construction_ask_for_no_second_pass(given, monkeypatch):
    monkeypatch.setattr(RunBatch, "rescaled", lambda *_: pytest.fail("a second pass"))
    run = dataclasses.replace(given, training=dataclasses.replace(given.training, updates=2))

    [outcome] = train_runs([run])

    first = outcome.gradients["time"] == 1
    assert (outcome.gradients["status_contribution"][first] == "zero").all()
    assert (outcome.gradients["status"] == "ok").all()


def falling_and_rising(dtype="float32", **training):
    return [
        Run(
            Adding(90),
            Network("tanh", 12, dtype=dtype),
            Gaussian(gain),
            Training(3, **training),
            Recording(1),
            seed,
        )
        for seed, gain in enumerate((0.05, 1.0, 0.2, 9.0, 0.9))
    ]


@pytest.mark.parametrize("more", [{}, {"loss_at": "every"}])
def test_a_run_with_lost_norms_gives_the_same_bits_alone_and_in_company(more):
    runs = falling_and_rising(**more)
    together = train_runs(runs)

    column = "status_late" if more else "status"
    assert {"ok", "underflow"} <= {word for one in together for word in one.gradients[column]}
    for run, outcome in zip(runs, together, strict=True):
        assert_same(outcome, train_runs([run])[0])


def test_only_the_runs_concerned_have_a_second_pass(monkeypatch):
    asked = []
    original = RunBatch.rescaled

    def listening(batch, data, gradients, places, **more):
        asked.append([batch.runs[place].init.gain for place in places])
        return original(batch, data, gradients, places, **more)

    monkeypatch.setattr(RunBatch, "rescaled", listening)
    train_runs([run for run in falling_and_rising() if run.init.gain < 2])

    assert asked == [[0.05, 0.2]] * 3


def test_training_and_norms_that_are_not_lost_have_the_same_bits_without_a_second_pass(monkeypatch):
    with_pass = train_runs(falling_and_rising())
    monkeypatch.setattr(module, "_concerned", lambda lost: ([], 0))
    without = train_runs(falling_and_rising())

    for one, other in zip(with_pass, without, strict=True):
        assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
        for name, values in one.updates.items():
            assert np.array_equal(values, other.updates[name], equal_nan=values.dtype.kind == "f")
        for name, status in NORMS.items():
            if name in one.gradients:
                ok = one.gradients[status] == "ok"
                assert np.array_equal(one.gradients[name][ok], other.gradients[name][ok])


INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("seen", "true", "small", "spoilt", "cut", "expected"),
    [
        (-3.0, -3.0, False, False, False, "ok"),
        (-INF, -50.0, True, True, False, "underflow"),
        (-41.0, -41.2, True, True, False, "underflow"),
        (-INF, -INF, True, True, False, "zero"),
        (-INF, -INF, True, True, True, "cut_off"),
        (-3.0, -3.0, False, False, True, "ok"),
        (INF, 50.0, False, False, False, "inf"),
        (NAN, 50.0, False, False, False, "nan"),
        (INF, NAN, False, False, False, "inf"),
        (-20.0, -20.5, False, True, False, "underflow"),
        (-20.0, -20.001, False, True, False, "ok"),
        (-20.0, -20.5, False, False, False, "ok"),
    ],
)
def test_a_status_compares_what_was_seen_with_what_is_true(
    seen, true, small, spoilt, cut, expected
):
    values = (torch.tensor([[[value]]], dtype=torch.float64) for value in (seen, true))
    masks = (torch.tensor([[[value]]]) for value in (small, spoilt))

    status = norm_statuses(*values, *masks, torch.tensor([[cut]]))

    assert GRADIENT_STATUSES[int(status)] == expected
