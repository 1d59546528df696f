"""Snapshots: a run that goes on from one gives the bits of a run that was never interrupted."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network, shapes
from rnn_exp.randomness import generator
from rnn_exp.tasks import Adding, TemporalOrder
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.loop import solves
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.training.test_experiment import assert_same, groups


def interrupted(runs, at):
    """Train until so many updates are made; return the outcomes so far and the snapshots."""
    chunk, ended = Chunk(runs), []
    for update, outcomes in chunk.train():
        ended += outcomes
        if update.number + 1 == at:
            break
    return ended, dict(chunk.snapshots())


@given(groups(), st.integers(1, 6), st.data())
@settings(max_examples=25)
def test_a_resumed_run_is_bit_identical_in_whatever_company(runs, at, data):
    expected = dict(zip(runs, train_runs(runs), strict=True))

    outcomes, snapshots = interrupted(runs, at)
    left = data.draw(st.permutations(list(snapshots)))
    cut = data.draw(st.integers(0, len(left)))
    for company in (left[:cut], left[cut:]):
        if company:
            chunk = Chunk(company, [snapshots[run] for run in company])
            outcomes += [outcome for _, ended in chunk.train() for outcome in ended]

    assert {outcome.run for outcome in outcomes} == set(runs)
    for outcome in outcomes:
        assert_same(outcome, expected[outcome.run])


def test_a_snapshot_does_not_change_when_training_goes_on():
    chunk = Chunk([Run(Adding(5), Network(hidden_size=4), training=Training(9, optimizer="adam"))])
    training = chunk.train()
    next(training)
    [(_, before)] = chunk.snapshots()
    kept = {name: tensor.clone() for name, tensor in before.state.items()}

    for _ in range(3):
        next(training)

    assert all(torch.equal(before.state[name], tensor) for name, tensor in kept.items())
    assert before.updates == 1
    assert before.rows["update"].tolist() == [0]


def test_a_run_that_has_made_all_updates_has_no_snapshot():
    _, snapshots = interrupted([Run(Adding(5), Network(hidden_size=4), training=Training(3))], 3)

    assert snapshots == {}


class Easy(Adding):
    """The adding problem with every answer counted as right."""

    tolerance = 10.0


def test_a_run_that_solves_its_task_leaves_without_changing_a_bit_of_the_others():
    training = Training(8, stop_when_solved=True, optimizer="adam")
    runs = [
        Run(Easy(6), Network("relu", 8), Gaussian(gain), training, Recording(4), seed)
        for seed, gain in enumerate((0.5, 1e30, 1.0))
    ]

    outcomes = train_runs(runs)

    assert [outcome.status for outcome in outcomes] == ["solved", "diverged", "solved"]
    assert outcomes[0].updates["update"].tolist() == [0]
    for run, outcome in zip(runs, outcomes, strict=True):
        assert_same(outcome, train_runs([run])[0])


def test_only_a_run_told_to_stop_when_solved_does_so():
    [outcome] = train_runs([Run(Easy(6), Network(hidden_size=4), training=Training(8))])

    assert outcome.status == "finished"
    assert outcome.updates["update"].tolist() == [0, 7]


@pytest.mark.parametrize(("wrong", "expected"), [(0, True), (99, True), (100, False), (101, False)])
def test_a_task_is_solved_when_fewer_than_one_percent_of_ten_thousand_answers_are_wrong(
    wrong, expected
):
    network = Network(hidden_size=2)
    task = TemporalOrder(20)
    sizes = shapes(network, task.input_size, task.output_size)
    parameters = {name: torch.zeros(1, *shape) for name, shape in sizes.items()}

    class Counted(TemporalOrder):
        left = wrong

        def error(self, outputs, targets):
            now = min(self.left, targets.shape[-1])
            Counted.left -= now
            return torch.tensor([now / targets.shape[-1]])

    assert solves(parameters, network, Counted(20), seed=0) is expected


def test_the_sequences_that_test_a_solution_are_not_those_of_training():
    data, test = (generator(0, purpose) for purpose in ("data", "test"))

    assert not torch.equal(torch.rand(5, generator=data), torch.rand(5, generator=test))
