"""Tests on sequences that training never sees: what is scored, when, and what stays."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

import rnn_exp
from rnn_exp.fields import SettingError
from rnn_exp.networks import ENGINES, Network
from rnn_exp.networks.forward import outputs
from rnn_exp.networks.inits import Gaussian
from rnn_exp.randomness import generator
from rnn_exp.storage.writing import write
from rnn_exp.tasks import Adding, Copy, Digits, HoldsOut, Latch, TemporalOrder
from rnn_exp.training.evaluation import score, test_sequences
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.memory import needed
from rnn_exp.training.outcome import in_words
from rnn_exp.training.run import Run, run_from
from rnn_exp.training.settings import Evaluation, Recording, Training
from tests.training.test_experiment import assert_same

test_sequences.__test__ = False
SMALL = Network(hidden_size=6)


def run(task, updates=7, seed=0, network=SMALL, evaluation=None, **training):
    return Run(
        task,
        network,
        training=Training(updates, 4, **training),
        recording=Recording(2),
        seed=seed,
        evaluation=Evaluation(4, sequences=150) if evaluation is None else evaluation,
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("task", [Adding(9), Copy(3, symbols=2), TemporalOrder(12)], ids=str)
def test_tests_change_no_bit_of_training(task, engine):
    tested = run(task, network=dataclasses.replace(SMALL, engine=engine))
    plain = dataclasses.replace(tested, evaluation=Evaluation())

    one, other = train_runs([tested])[0], train_runs([plain])[0]

    assert set(one.updates) - set(other.updates) == {"test_loss", "test_error"}
    for name in ("test_loss", "test_error"):
        del one.updates[name]
    assert_same(one, other)


def test_a_test_is_made_at_multiples_and_at_the_last_update():
    [outcome] = train_runs([run(Adding(9))])

    made = outcome.updates["update"][np.isfinite(outcome.updates["test_loss"])]
    assert outcome.updates["update"].tolist() == [0, 2, 4, 6]
    assert made.tolist() == [0, 4, 6]


@pytest.mark.parametrize("loss_at", ["task", "every"])
def test_scores_are_those_of_the_sequences_of_a_stream_of_its_own(loss_at):
    """The slow way: all sequences at once, at the final weights of a run that never moved."""
    still = run(
        Latch(5),
        updates=1,
        network=Network(hidden_size=6, dtype="float64"),
        evaluation=Evaluation(2, sequences=150),
        loss_at=loss_at,
        learning_rate=1e-300,
    )
    [outcome] = train_runs([still])
    weights = {name: view.unsqueeze(0) for name, view in outcome.weights.items()}
    draws = generator(still.seed, "evaluation")
    batches = [still.task.draw(size, draws) for size in (100, 50)]
    x = torch.cat([batch.inputs for batch in batches], 1).unsqueeze(1).double()
    targets = torch.cat([batch.targets for batch in batches], 1)
    y = outputs(weights, x, still.network, 5)[0]
    chosen = y if loss_at == "every" else y[-1:]
    log_p = chosen.log_softmax(-1)
    loss = -log_p.gather(-1, targets.expand(len(chosen), -1).unsqueeze(-1)).mean()
    error = (y[-1].argmax(-1) != targets[-1]).double().mean()

    assert outcome.updates["test_loss"][0] == pytest.approx(float(loss), rel=1e-12)
    assert outcome.updates["test_error"][0] == pytest.approx(float(error), rel=1e-12)


def test_a_task_that_holds_sequences_out_is_tested_on_each_of_them_once():
    batch = Digits().held_out()
    found = list(test_sequences(Digits(), 5, seed=3))

    assert isinstance(Digits(), HoldsOut)
    assert not isinstance(Adding(), HoldsOut)
    assert torch.equal(torch.cat([part.inputs for part in found], 1), batch.inputs)
    assert torch.equal(torch.cat([part.targets for part in found], 1), batch.targets)
    assert [part.inputs.shape[1] for part in found] == [100, 100, 100, 60]


def test_a_test_may_be_at_another_length_than_training():
    longer = Evaluation(2, length=40, sequences=10)
    [outcome] = train_runs([run(Latch(5), updates=1, evaluation=longer, learning_rate=1e-300)])
    [own] = train_runs([run(Latch(5), updates=1, evaluation=Evaluation(2, sequences=10))])
    weights = {name: view.unsqueeze(0) for name, view in outcome.weights.items()}
    loss, error = score(weights, SMALL, Latch(40), test_sequences(Latch(40), 10, 0), 1)

    assert outcome.updates["test_loss"].tolist() == [loss]
    assert outcome.updates["test_error"].tolist() == [error]
    assert own.updates["test_loss"].tolist() != [loss]
    told = f"wrong on {100 * error:.3g} % of the test sequences of task.length=40"
    assert told in in_words(outcome)
    assert "of the test sequences" in in_words(own)
    assert "of the test sequences of task.length" not in in_words(own)


@pytest.mark.parametrize("task", [Adding(20, "pascanu"), Digits()], ids=str)
def test_a_run_scores_the_same_alone_and_beside_others(task):
    evaluation = Evaluation(2) if isinstance(task, HoldsOut) else None
    runs = [run(task, 3, seed, evaluation=evaluation) for seed in (0, 1, 2)]
    together = train_runs(runs)

    assert len(Chunk(runs).runs) == len(runs)
    for one, outcome in zip(runs, together, strict=True):
        assert_same(outcome, train_runs([one])[0])


def test_a_run_that_solves_its_task_is_tested_where_it_ends():
    class Easy(Adding):
        """The adding problem with every answer counted as right."""

        tolerance = 10.0

    solved = run(Easy(6), stop_when_solved=True, evaluation=Evaluation(4, sequences=30))
    bad = dataclasses.replace(solved, init=Gaussian(1e30), network=Network("relu", 6))
    one, other = train_runs([dataclasses.replace(solved, network=bad.network), bad])

    assert one.status == "solved"
    assert one.updates["test_error"].tolist() == [0.0]
    assert other.status == "diverged"


def test_an_interrupted_run_scores_as_one_that_was_not():
    tested = run(Adding(9), updates=9)
    [whole] = train_runs([tested])
    chunk = Chunk([tested])
    training = chunk.train()
    for _ in range(6):
        next(training)
    [(_, snapshot)] = chunk.snapshots()
    again = Chunk([tested], [snapshot])
    *_, (last, _) = again.train()
    tail = again.outcome(tested, last).updates["test_loss"]
    np.testing.assert_array_equal(tail, whole.updates["test_loss"][-len(tail) :])


def test_run_json_has_the_last_scores_and_old_folders_load_beside(tmp_path):
    tested, plain = run(Adding(9)), run(Adding(9), evaluation=Evaluation())
    for one in (tested, plain):
        (tmp_path / one.name).mkdir()
        write(tmp_path / one.name, train_runs([one])[0])

    results = rnn_exp.load(tmp_path)
    said = json.loads((tmp_path / tested.name / "run.json").read_text())
    runs = results.runs.set_index("run")
    last = results.updates[results.updates["run"] == tested.name].iloc[-1]

    assert said["final"]["test_error"] == last["test_error"]
    assert runs.loc[tested.name, "final_test_error"] == last["test_error"]
    assert runs.loc[tested.name, "final_test_loss"] == last["test_loss"]
    assert math.isnan(runs.loc[plain.name, "final_test_error"])
    assert results.updates.loc[results.updates["run"] == plain.name, "test_loss"].isna().all()
    assert "-test4-test_sequences150-" in tested.name
    assert run_from(configuration(tested)) == tested


def configuration(described):
    """A run as nested plain values, as the command line gives them."""
    config = {"task": {"name": "adding"}, "init": {"name": "gaussian"}}
    for key, value in described.settings().items():
        group, _, name = key.rpartition(".")
        if group:
            config.setdefault(group, {})[name] = value
    return config | {"seed": described.seed, "device": described.device}


def test_a_configuration_without_tests_is_that_of_before():
    config = configuration(Run())
    del config["evaluation"]

    assert run_from(config) == Run()
    assert run_from(config).digest == Run().digest


@pytest.mark.parametrize(
    ("task", "evaluation", "message"),
    [
        (Adding(), {"every": 5}, r"evaluation\.every=5 .* a multiple of recording\.every=10"),
        (Adding(), {"length": 5}, r"every=null .* a whole number: evaluation\.length is given"),
        (Adding(), {"every": 0}, r"every=0 .* at least 1 or null"),
        (Adding(), {"every": 10, "length": 1}, r"evaluation\.length=1 .* at least 2"),
        (Digits(), {"every": 10, "length": 70}, r"evaluation\.length=70 .* 64, the pixels"),
        (Digits(), {"every": 10, "sequences": 70}, r"evaluation\.sequences=70 .* task=digits"),
    ],
)
def test_tests_that_cannot_be_are_refused_by_name(task, evaluation, message):
    with pytest.raises(SettingError, match=message) as refused:
        Run(task, evaluation=Evaluation(**evaluation))
    assert "\n" not in str(refused.value)


def test_long_tests_count_in_the_estimate_of_memory():
    plain = Run()
    long = dataclasses.replace(plain, evaluation=Evaluation(10, length=100_000))

    assert needed(long) > needed(plain) + 100 * 100_000 * 128 * 4


def test_a_score_weighs_every_sequence_alike():
    """150 sequences are 100 and 50: their mean is not the mean of the two means."""
    network = Network(hidden_size=3, dtype="float64")
    [outcome] = train_runs([run(Adding(6), 1, network=network)])
    weights = {name: view.unsqueeze(0) for name, view in outcome.weights.items()}
    whole = score(weights, network, Adding(6), test_sequences(Adding(6), 150, 0), 1)
    parts = [
        score(weights, network, Adding(6), iter([part]), 1)
        for part in test_sequences(Adding(6), 150, 0)
    ]
    assert whole[0] == pytest.approx((100 * parts[0][0] + 50 * parts[1][0]) / 150, rel=1e-12)
