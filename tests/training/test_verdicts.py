"""What is said of whole runs: the carrier, its verdict beside the status, and theory's word."""

import json
import math

import numpy as np
import pytest

from rnn_exp.api import outcomes
from rnn_exp.networks.inits import Chrono, Gaussian, Identity, Orthogonal, TorchDefault
from rnn_exp.networks.network import Network
from rnn_exp.profiles import mean_interval, summarize
from rnn_exp.schema import RUN_JSON, VERDICTS
from rnn_exp.storage.writing import write
from rnn_exp.tasks import Copy, Hold, Latch, Noise, TemporalOrder
from rnn_exp.training.outcome import in_words
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.training.verdicts import Carried, carried_in_words
from rnn_exp.words import counted, number

ONCE = Training(updates=1)


def outcome(**settings):
    [found] = outcomes([Run(**{"training": ONCE, **settings})])
    return found


def test_of_the_copy_task_the_last_answer_speaks_and_keeps_its_norm_with_the_identity():
    network = Network(activation="identity", dtype="float64")
    found = outcome(task=Copy(30, symbols=5), network=network, init=Identity())
    assert found.first.carrier == "log10_late"
    assert found.first.summary.rate == pytest.approx(1, abs=1e-12)
    assert found.first.summary.rate <= found.theory.bound * (1 + 1e-9)
    assert found.first.summary.half_life == math.inf
    assert found.first.summary.verdict == "stable"
    assert "half-life" not in in_words(found)


def test_of_the_copy_task_a_default_tanh_network_vanishes_as_theory_says():
    found = outcome(task=Copy(20), network=Network(), init=TorchDefault())
    summary = found.first.summary
    assert summary.verdict == "vanishing"
    assert summary.log10_change < -8
    assert summary.rate == pytest.approx(0.57, abs=0.02)
    assert found.theory.rate == pytest.approx(0.566, abs=0.01)
    assert found.theory.log10_measured == pytest.approx(found.theory.log10_change, abs=0.6)
    assert math.isnan(found.theory.middle_rate)  # theory does not speak of all lags


@pytest.mark.parametrize("gain", [0.5, 0.9, 1.0, 1.2])
def test_a_linear_network_with_an_orthogonal_matrix_has_exactly_the_gain_as_its_rate(gain):
    network = Network(activation="identity", dtype="float64")
    found = outcome(task=Noise(40), network=network, init=Orthogonal(gain))
    assert found.first.summary.rate == pytest.approx(gain, rel=1e-10)
    assert found.first.summary.log10_change == pytest.approx(39 * math.log10(gain), abs=1e-9)


@pytest.mark.parametrize("leak", [0.1, 0.5])
@pytest.mark.parametrize("gain", [0.5, 1.0, 1.5])
def test_a_leaky_linear_network_with_the_identity_keeps_what_its_leak_says(leak, gain):
    network = Network(cell="leaky", leak=leak, activation="identity", dtype="float64")
    found = outcome(task=Noise(40), network=network, init=Identity(gain))
    assert found.first.summary.rate == pytest.approx(1 - leak + leak * gain, rel=1e-10)


def test_what_truncation_cuts_off_is_undetermined_and_has_no_half_life():
    training = Training(updates=1, truncate_every=20, truncate_back=20)
    found = outcome(task=TemporalOrder(200), init=Gaussian(1.0), training=training)
    summary = found.first.summary
    assert summary.verdict == "undetermined"
    assert summary.reason == "cut off at lag 20 by truncated backpropagation"
    assert math.isnan(summary.half_life)
    assert (found.gradients["status"] == "cut_off").sum() == 180
    assert not found.theory.holds
    assert "truncates" in found.theory.because


def test_of_a_bent_profile_the_line_gives_what_is_left_and_no_one_rate():
    by_lag = -0.9 * (np.arange(50) / 49) ** 2
    summary = summarize(by_lag[::-1], ["ok"] * 50)
    assert math.isfinite(summary.rate)
    assert math.isfinite(summary.half_life)

    assert carried_in_words(Carried("log10_total", summary)) == (
        "the gradient is undetermined (bent: no one rate describes the profile): "
        "49 steps back 0.126 of it is left"
    )


def test_a_late_loss_is_never_truncated_and_has_its_theory():
    training = Training(updates=1, truncate_every=10, truncate_back=10, loss_at="every")
    found = outcome(task=TemporalOrder(50), init=Gaussian(0.7), training=training)
    assert found.first.carrier == "log10_late"
    assert found.first.summary.verdict == "vanishing"
    assert found.theory.holds


def test_of_an_lstm_the_memory_speaks_and_the_state_stands_beside_it():
    found = outcome(
        task=TemporalOrder(100), network=Network(hidden_size=64, cell="lstm"), init=Chrono()
    )
    assert found.first.carrier == "log10_memory"
    assert found.first.summary.log10_change == pytest.approx(-0.7, abs=0.25)
    assert found.first.state.log10_change == pytest.approx(-3.15, abs=0.4)
    assert found.first.state.verdict == "vanishing"


def test_of_an_lstm_with_several_losses_the_last_ones_memory_speaks():
    found = outcome(
        task=Copy(12), network=Network(hidden_size=16, cell="lstm"), init=TorchDefault()
    )
    assert found.first.carrier == "log10_late_memory"
    assert {"log10_late_memory", "status_late_memory"} <= set(found.gradients)


def test_the_verdict_is_not_overwritten_when_a_run_diverges():
    training = Training(updates=20, learning_rate=1.0)
    network = Network(activation="relu")
    found = outcome(task=TemporalOrder(60), network=network, init=Gaussian(2.5), training=training)
    assert found.status == "diverged"
    assert found.first.summary.verdict == "exploding"
    assert "exploding" in in_words(found)
    assert "diverged" in in_words(found)


def test_what_overflows_on_the_way_forward_says_so():
    network = Network(activation="relu")
    found = outcome(task=TemporalOrder(1000), network=network, init=Gaussian(2.5))
    assert found.status == "diverged"
    assert found.first.summary.verdict == "undetermined"
    assert "not a number" in found.first.summary.reason


@pytest.mark.parametrize("T", [1, 2, 3, 4, 5])
def test_the_shortest_sequences_have_a_sentence(T):
    found = outcome(task=Hold(T), network=Network(hidden_size=4), init=Gaussian(1.0))
    assert found.first.summary.verdict in VERDICTS
    assert ("no lag" in in_words(found)) == (T == 1)


def test_what_anyone_runs_first_vanishes_for_every_seed_beside_its_theory():
    runs = [Run(training=ONCE, seed=seed) for seed in range(8)]
    found = outcomes(runs)
    assert {one.first.summary.verdict for one in found} == {"vanishing"}
    changes = [one.first.summary.log10_change for one in found]
    assert all(one.theory.lags == one.first.summary.lags for one in found)
    assert np.mean(changes) == pytest.approx(found[0].theory.log10_change, abs=np.std(changes))


def test_seeds_that_disagree_are_said_to_and_the_interval_over_seeds_holds_a_rate_of_one():
    """A cell of the study `decay`: each seed has a verdict, and one of them is no word for all."""
    runs = [
        Run(TemporalOrder(100), Network(hidden_size=64), Gaussian(1.3), ONCE, seed=seed)
        for seed in range(16)
    ]
    found = [one.first.summary for one in outcomes(runs)]
    verdicts = [one.verdict for one in found]
    assert len(set(verdicts)) >= 3
    assert "seeds disagree" in counted(verdicts, VERDICTS)
    over_seeds = mean_interval([one.slope for one in found])
    assert over_seeds.low < 0 < over_seeds.high
    assert over_seeds.seeds == 16


def test_theory_is_drawn_from_the_measured_norm_at_lag_0_as_far_as_it_speaks():
    found = outcome(task=TemporalOrder(40), network=Network(hidden_size=64), init=Gaussian(0.7))
    table = found.gradients
    first = table["lag"] == 0
    assert table["log10_predicted"][first] == table["log10_total"][first]
    known = np.isfinite(table["log10_predicted"])
    assert table["lag"][known].max() == found.theory.lags < 39


def test_run_json_names_the_premises_that_fail(tmp_path):
    found = outcome(task=TemporalOrder(20), network=Network(hidden_size=8), init=Identity())
    write(tmp_path, found)
    said = json.loads((tmp_path / RUN_JSON).read_text(encoding="utf-8"))
    assert said["theory"]["holds"] is False
    assert "W is not random" in said["theory"]["because"]
    assert "8 units" in said["theory"]["because"]
    assert said["prediction"]["decay_rate"] is None
    assert "log10_predicted" not in found.gradients


def test_first_and_last_update_are_summarized_apart():
    training = Training(updates=30, learning_rate=0.5)
    found = outcome(
        task=TemporalOrder(20), init=Gaussian(0.7), training=training, recording=Recording(every=30)
    )
    assert found.first.summary != found.last.summary
    assert f"at update {found.updates['update'][-1]}" in in_words(found)


def test_the_line_of_a_run_says_its_last_loss_and_error_beside_those_of_a_guess():
    found = outcome(task=Latch(5), training=Training(updates=40), recording=Recording(every=13))
    loss, wrong = number(found.updates["loss"][-1]), number(100 * found.updates["error"][-1])

    assert in_words(found).startswith(
        f"finished; at update 39 the loss is {loss} (chance 0.693), wrong on {wrong} % of the "
        "batch (chance 50 %); at update 0 the gradient is "
    )


def test_a_guess_that_the_task_does_not_know_and_a_loss_that_is_none_are_left_out(monkeypatch):
    found = outcome(task=Latch(5))
    monkeypatch.setattr(Latch, "chance_error", math.nan)
    monkeypatch.setattr(Latch, "chance_loss", math.nan)
    assert "chance" not in in_words(found)
    assert "; at update 0 the loss is " in in_words(found)

    found.updates["loss"][-1] = math.inf
    assert "loss" not in in_words(found)
