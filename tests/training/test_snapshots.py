"""Snapshots: a run that goes on from one gives the bits of a run that was never interrupted."""

import hypothesis.strategies as st
import numpy as np
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
from tests.dose import dose
from tests.training.test_experiment import assert_same, groups


def interrupted(runs, at):
    """Train until so many updates are made.

    Returns the outcomes so far, the snapshots, and the tables so far of the runs in training.
    """
    chunk, outcomes = Chunk(runs), []
    for update, ended in chunk.train():
        outcomes += [chunk.outcome(run, update) for run in ended]
        if update.number + 1 == at:
            break
    snapshots = dict(chunk.snapshots())
    return outcomes, snapshots, {run: chunk.take(run) for run in snapshots}


def continued(company, snapshots, before):
    """Go on from snapshots; return the outcomes with the tables of before in front of theirs."""
    chunk = Chunk(company, [snapshots[run] for run in company])
    for update, ended in chunk.train():
        for run in ended:
            outcome = chunk.outcome(run, update)
            for name, table in outcome.tables.items():
                for column in table:
                    table[column] = np.concatenate([before[run][name][column], table[column]])
            yield outcome


@given(groups(), st.integers(1, 6), st.data())
@pytest.mark.dosed
@settings(max_examples=dose(5, 25))
def test_a_resumed_run_is_bit_identical_in_whatever_company(runs, at, data):
    expected = dict(zip(runs, train_runs(runs), strict=True))

    outcomes, snapshots, before = interrupted(runs, at)
    left = data.draw(st.permutations(list(snapshots)))
    cut = data.draw(st.integers(0, len(left)))
    for company in (left[:cut], left[cut:]):
        if company:
            outcomes += continued(company, snapshots, before)

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
    assert before.first["update"].tolist() == [0]


def test_tables_that_are_taken_while_a_run_trains_are_those_of_its_outcome_in_pieces():
    run = Run(Adding(5), Network(hidden_size=4), training=Training(9), recording=Recording(2))
    [whole] = train_runs([run])
    chunk, taken, held = Chunk([run]), [], []
    for update, ended in chunk.train():
        last = ended
        held.append(chunk.held)
        if update.number in (0, 1, 5):
            taken.append(chunk.take(run))
    rest = chunk.outcome(run, update)

    assert last == [run]
    assert held == [1, 0, 1, 1, 2, 2, 1, 1, 2]
    assert taken[1] is None
    for name, table in whole.tables.items():
        pieces = [taken[0][name], taken[2][name], rest.tables[name]]
        for column, values in table.items():
            np.testing.assert_array_equal(
                np.concatenate([piece[column] for piece in pieces]), values
            )
    assert (rest.first, rest.last, rest.last_update) == (whole.first, whole.last, 8)


def test_a_run_that_has_made_all_updates_has_no_snapshot():
    _, snapshots, _ = interrupted([Run(Adding(5), Network(hidden_size=4), training=Training(3))], 3)

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
