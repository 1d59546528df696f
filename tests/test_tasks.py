"""One contract for all tasks, and each task's own convention."""

import math

import pytest
import torch

from rnn_exp.settings import SettingError
from rnn_exp.tasks import TASKS, Adding, Stream, Task, TemporalOrder

TASK_LIST = [Adding(20), Adding(7), TemporalOrder(20), TemporalOrder(37)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("task", TASK_LIST, ids=str)
def test_draws_have_the_promised_shapes_and_repeat_under_their_generator(task):
    assert isinstance(task, Task)
    assert TASKS[task.name] is type(task)
    batch = task.draw(11, seeded())
    again, other = task.draw(11, seeded()), task.draw(11, seeded(1))
    assert batch.inputs.shape == (task.length, 11, task.input_size)
    assert batch.targets.shape == (11,)
    assert torch.equal(batch.inputs, again.inputs)
    assert torch.equal(batch.targets, again.targets)
    assert not torch.equal(batch.inputs, other.inputs)
    assert (batch.cues >= 1).all()
    assert (batch.cues <= task.length).all()


def best_blind_guess(task):
    """Return the outputs of the best predictor that has seen no input."""
    if isinstance(task, Adding):
        return torch.ones(1, 100_000, 1, dtype=torch.float64)
    return torch.zeros(1, 100_000, 4, dtype=torch.float64)


@pytest.mark.parametrize("task", [Adding(20), TemporalOrder(20)], ids=str)
def test_the_best_blind_guess_scores_chance(task):
    targets = task.draw(100_000, seeded(2)).targets.unsqueeze(0)
    targets = targets.double() if targets.is_floating_point() else targets

    loss = task.loss(best_blind_guess(task), targets)
    error = task.error(best_blind_guess(task), targets)

    assert float(loss) == pytest.approx(task.chance_loss, abs=0.005)
    assert float(error) == pytest.approx(task.chance_error, abs=0.005)


def test_adding_marks_one_value_in_each_half_and_asks_for_their_sum():
    batch = Adding(9).draw(500, seeded(3))
    marker, value = batch.inputs.unbind(-1)
    assert torch.equal(marker[:4].sum(0), torch.ones(500))
    assert torch.equal(marker[4:].sum(0), torch.ones(500))
    torch.testing.assert_close((marker * value).sum(0), batch.targets)
    assert ((value >= 0) & (value < 1)).all()
    assert set(batch.cues[0].tolist()) == {1, 2, 3, 4}
    assert set(batch.cues[1].tolist()) == {5, 6, 7, 8, 9}


def test_adding_answer_is_wrong_from_four_hundredths_on():
    targets = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    outputs = torch.tensor([[1.03, 0.97, 1.05, math.nan]]).unsqueeze(-1)
    assert Adding().error(outputs, targets).tolist() == [0.5]


@pytest.mark.parametrize("length", [10, 37, 100])
def test_temporal_order_puts_its_cues_where_the_paper_does(length):
    batch = TemporalOrder(length).draw(2000, seeded(4))
    symbols = batch.inputs.argmax(-1)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(length, 2000))
    assert ((symbols < 2).sum(0) == 2).all()
    first, second = batch.cues - 1
    assert (first >= length // 10).all()
    assert (first < 2 * length // 10).all()
    assert (second >= 5 * length // 10).all()
    assert (second < 6 * length // 10).all()
    cues = symbols.gather(0, batch.cues - 1)
    assert torch.equal(batch.targets, cues[0] + 2 * cues[1])
    distractors = symbols[symbols >= 2]
    assert set(distractors.tolist()) == {2, 3, 4, 5}
    assert float(distractors.double().mean()) == pytest.approx(3.5, abs=0.02)


@pytest.mark.parametrize(("kind", "least"), [(Adding, 2), (TemporalOrder, 10)])
def test_sequences_too_short_for_their_cues_are_refused(kind, least):
    kind(least)
    with pytest.raises(SettingError, match=f"length={least - 1} .* at least {least}"):
        kind(least - 1)


def test_runs_of_one_seed_share_their_sequences_whoever_else_is_left():
    def stream():
        return Stream(Adding(5), [3, 8, 3], 4, torch.zeros(1))

    inputs, targets = stream().draw([0, 1, 2])
    alone, _ = stream().draw([1])

    assert torch.equal(inputs[:, 0], inputs[:, 2])
    assert torch.equal(targets[0], targets[2])
    assert torch.equal(inputs[:, 1], alone[:, 0])
    assert not torch.equal(inputs[:, 0], inputs[:, 1])
