"""One contract for all tasks, and each task's own convention."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from rnn_exp.fields import SettingError
from rnn_exp.tasks import (
    TASKS,
    Adding,
    Copy,
    Digits,
    Hold,
    Latch,
    LengthRange,
    Memorization,
    Multiplication,
    Noise,
    Permutation,
    Stream,
    Task,
    TemporalOrder,
    at_length,
)
from tests.task_files import example, folder, series_file


def shortest(name):
    """Return the task with the least length that it accepts."""
    for length in range(1, 100):
        try:
            return example(name, length=length)
        except SettingError:
            continue
    raise AssertionError(f"{name} accepts no length below 100")


# What the contract asks of every task is asked of these settings as well.
MORE_SETTINGS = [
    Adding(20),
    Adding(7),
    Adding(30, "pascanu"),
    Adding(22, "hochreiter"),
    Multiplication(30),
    Noise(5, channels=4),
    Hold(4, target=-0.2),
    TemporalOrder(20),
    TemporalOrder(37),
    TemporalOrder(20, cues=3),
    Permutation(4),
    Latch(6, informative=5, noise=1.0),
    Memorization(7),
    Memorization(3, values=5, positions=10),
    Copy(6),
    Copy(1, symbols=3, values=2),
    Copy(30, symbols=5),
    Adding(4, longest=7),
    Adding(20, "pascanu", longest=23),
    Adding(22, "hochreiter", longest=23),
    Multiplication(10, longest=12),
    TemporalOrder(10, longest=13),
    Permutation(2, longest=5),
    Latch(4, longest=9),
    Noise(2, longest=4),
    Hold(1, longest=3),
    Adding(4, longest=7, lengths="sequence"),
    Adding(20, "pascanu", longest=22, lengths="sequence"),
    TemporalOrder(10, longest=13, lengths="sequence"),
    Latch(4, longest=6, lengths="sequence"),
    Noise(1, longest=4, lengths="sequence"),
    example("images", pixels_per_step=8),
    example("images", pixels_per_step=2, permuted=True),
    example("series", length=9, ahead=3, inputs="wave+noise"),
    example("series", column="noise", inputs="wave", test_share=0.5, tolerance=0.588),
    example("series", length=6, column=None, label="label", inputs="wave+noise"),
]
TASK_LIST = [*map(shortest, TASKS), *MORE_SETTINGS]


def shown(task):
    """Return a task as text, without the folder of its file, which is another in every process."""
    return str(task).replace(str(folder()), "")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def best_guess(task, generator):
    """Return the outputs, for one run, of the best predictor that sees the time step alone.

    For numbers it is their mean, for classes the logarithm of how often each one is right.
    """
    targets = task.draw(20_000, generator).targets
    if targets.is_floating_point():
        return targets.double().mean(1).view(1, -1, 1, 1)
    frequency = torch.nn.functional.one_hot(targets, task.output_size).double().mean(1)
    return frequency.clamp(min=1e-20).log().view(1, task.answers, 1, task.output_size)


def perfect_answers(task, targets):
    """Return outputs that leave no doubt, for one run."""
    if targets.is_floating_point():
        return targets.unsqueeze(0).unsqueeze(-1)
    return 100.0 * torch.nn.functional.one_hot(targets, task.output_size).double().unsqueeze(0)


def for_one_run(targets):
    """Return targets as one run's, numbers in double precision."""
    return targets.unsqueeze(0).double() if targets.is_floating_point() else targets.unsqueeze(0)


@pytest.mark.parametrize("name", TASKS)
def test_a_registered_task_is_a_frozen_value_under_its_own_name(name):
    task = example(name)
    assert isinstance(task, Task)
    assert task.name == name
    assert task == example(name)
    assert hash(task) == hash(example(name))
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.length = 3


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_draws_have_the_promised_shapes(task):
    generator = seeded()
    for batch_size in (11, 1):
        batch = task.draw(batch_size, generator)
        assert isinstance(task, Task)
        assert batch.inputs.shape == (task.steps, batch_size, task.input_size)
        assert batch.inputs.dtype == torch.float32
        assert batch.targets.shape == (task.answers, batch_size)
        assert batch.targets.dtype in (torch.float32, torch.int64)
        assert batch.cues.shape[1] == batch_size
        ends = batch.length if batch.ends is None else batch.ends
        assert ((batch.cues >= 1) & (batch.cues <= ends)).all()


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_lengths_lie_between_the_shortest_and_the_longest_and_nothing_comes_after(task):
    generator, lengths = seeded(), set()
    for _ in range(100):
        batch = task.draw(2, generator)
        assert not batch.inputs[batch.length :].any()
        own = [batch.length] if batch.ends is None else batch.ends.tolist()
        assert max(own) == batch.length
        lengths |= {*own}
    assert lengths == set(range(task.shortest, task.steps + 1))
    assert task.answers in (1, task.steps)
    assert task.answers == 1 or task.shortest == task.steps


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_draws_repeat_under_their_generator_and_differ_under_any_other(task):
    generator = seeded()
    first, second = task.draw(11, generator), task.draw(11, generator)
    again, other = task.draw(11, seeded()), task.draw(11, seeded(1))
    for old, new in zip(first[:3], again[:3], strict=True):
        assert torch.equal(old, new)
    assert first.length == again.length
    if task.chance_loss > 0:  # where guessing is perfect, one sequence is all there is
        assert not torch.equal(first.inputs, second.inputs)
        assert not torch.equal(first.inputs, other.inputs)
        assert not torch.equal(first.inputs[:, 0], first.inputs[:, 1])


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_the_best_guess_without_memory_scores_chance(task):
    generator, losses, errors = seeded(2), [], []
    guess = best_guess(task, generator)
    for _ in range(10):
        targets = for_one_run(task.draw(10_000, generator).targets)
        outputs = guess.expand(1, task.answers, 10_000, task.output_size)
        losses.append(float(task.loss(outputs, targets)))
        errors.append(float(task.error(outputs, targets)))
    assert sum(losses) / 10 == pytest.approx(task.chance_loss, rel=0.015, abs=1e-12)
    assert sum(errors) / 10 == pytest.approx(task.chance_error, rel=0.01, abs=1e-12)


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_a_perfect_answer_costs_nothing_and_any_wrong_answer_makes_its_sequence_wrong(task):
    targets = task.draw(8, seeded(3)).targets
    outputs = perfect_answers(task, targets)
    outputs = torch.cat([outputs, outputs])
    outputs[1, 0, 5] = outputs[1, 0, 5].flip(-1) + (1 if targets.is_floating_point() else 0)
    targets = targets.unsqueeze(0).repeat(2, 1, 1)

    loss, error = task.loss(outputs, targets), task.error(outputs, targets)

    assert float(loss[0]) == pytest.approx(0, abs=1e-12)
    assert float(loss[1]) > 0.1 / targets[1].numel()
    assert error.tolist() == [0, 1 / 8]


@pytest.mark.parametrize("task", TASK_LIST, ids=shown)
def test_a_loss_is_the_mean_over_however_many_answers(task):
    targets = task.draw(4, seeded(4)).targets[-1:].expand(3, 4).unsqueeze(0)
    outputs = torch.randn(1, 3, 4, task.output_size, generator=seeded(5))

    loss = task.loss(outputs, targets)

    one_by_one = [task.loss(outputs[:, [step]], targets[:, [step]]) for step in range(3)]
    torch.testing.assert_close(loss, torch.stack(one_by_one).mean(0))


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        (Adding(), 0.16667),
        (Adding(convention="pascanu"), 0.04167),
        (Adding(convention="hochreiter"), 0.04167),
        (Multiplication(), 0.04861),
        (TemporalOrder(), 1.38629),
        (TemporalOrder(cues=3), 2.07944),
        (Permutation(), 0.69315),
        (Memorization(100), 5 * 0.693147 / 110),
        (Memorization(100, values=5, positions=10), 10 * 1.609438 / 120),
        (Copy(100), 10 * 2.079442 / 120),
        (Copy(30, symbols=5), 0.25993),
    ],
    ids=str,
)
def test_chance_is_what_the_literature_has(task, loss):
    assert task.chance_loss == pytest.approx(loss, abs=1e-5)


def test_adding_marks_one_value_in_each_half_and_asks_for_their_sum():
    batch = Adding(9).draw(500, seeded(3))
    marker, value = batch.inputs.unbind(-1)
    assert torch.equal(marker[:4].sum(0), torch.ones(500))
    assert torch.equal(marker[4:].sum(0), torch.ones(500))
    torch.testing.assert_close((marker * value).sum(0), batch.targets[0])
    assert ((value >= 0) & (value < 1)).all()
    assert set(batch.cues[0].tolist()) == {1, 2, 3, 4}
    assert set(batch.cues[1].tolist()) == {5, 6, 7, 8, 9}


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (Adding(38, "pascanu"), lambda marked: marked.sum(0) / 2),
        (Multiplication(38), lambda marked: marked.prod(0)),
    ],
    ids=["adding", "multiplication"],
)
def test_pascanu_marks_a_value_of_the_first_tenth_and_one_of_the_rest_of_the_half(task, answer):
    generator, lengths = seeded(6), set()
    for _ in range(20):
        batch = task.draw(400, generator)
        length = batch.length
        marker, value = batch.inputs[:length].unbind(-1)
        assert ((marker == 0) | (marker == 1)).all()
        assert (marker.sum(0) == 2).all()
        assert set(batch.cues[0].tolist()) == set(range(1, length // 10 + 1))
        assert set(batch.cues[1].tolist()) == set(range(length // 10 + 1, length // 2 + 1))
        assert ((value >= 0) & (value < 1)).all()
        marked = value.gather(0, batch.cues - 1)
        torch.testing.assert_close(batch.targets[0], answer(marked))
        assert (marker.gather(0, batch.cues - 1) == 1).all()
        lengths.add(length)
    assert lengths == {38, 39, 40}


def test_hochreiter_marks_two_values_before_the_half_and_both_ends():
    generator, lengths = seeded(7), set()
    for _ in range(20):
        batch = Adding(40, "hochreiter").draw(1000, generator)
        marker, value = batch.inputs[: batch.length].unbind(-1)
        assert (marker[[0, -1]] == -1).all()
        assert ((marker[1:-1] == 0) | (marker[1:-1] == 1)).all()
        assert (marker[1:-1].sum(0) == 2).all()
        assert set(batch.cues[0].tolist()) == set(range(2, 11))
        assert set(batch.cues[1].tolist()) == set(range(2, 20))  # 19 = 40/2 − 1
        assert (value.min() < -0.99) & (value.min() >= -1) & (value.max() > 0.99)
        marked = value.gather(0, batch.cues - 1)
        torch.testing.assert_close(batch.targets[0], 0.5 + marked.sum(0) / 4)
        assert (marker.gather(0, batch.cues - 1) == 1).all()
        lengths.add(batch.length)
    assert lengths == {40, 41, 42, 43, 44}


@pytest.mark.parametrize(
    ("task", "limit"),
    [
        (Adding(), 0.04),
        (Adding(convention="hochreiter"), 0.04),
        (Adding(convention="pascanu"), 0.2),
        (Multiplication(), 0.2),
        (Noise(), 0.04),
        (Hold(), 0.04),
    ],
    ids=str,
)
def test_a_number_is_wrong_from_the_papers_limit_on(task, limit):
    off = [0.99 * limit, -0.99 * limit, 1.01 * limit, -1.01 * limit, math.nan]
    outputs = 1 + torch.tensor(off, dtype=torch.float64).view(5, 1, 1, 1)
    targets = torch.ones(5, 1, 1, dtype=torch.float64)
    assert task.error(outputs, targets).tolist() == [0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("cues", "tenths"), [(2, (1, 5)), (3, (1, 3, 6))], ids=["two cues", "three cues"]
)
@pytest.mark.parametrize("length", [10, 37, 100])
def test_temporal_order_puts_its_cues_where_the_paper_does(length, cues, tenths):
    task = TemporalOrder(length, cues)
    batch = task.draw(2000, seeded(4))
    symbols = batch.inputs.argmax(-1)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(length, 2000))
    assert ((symbols < 2).sum(0) == cues).all()
    for positions, tenth in zip(batch.cues - 1, tenths, strict=True):
        allowed = range(tenth * length // 10, (tenth + 1) * length // 10)
        assert set(positions.tolist()) == set(allowed)
    shown = symbols.gather(0, batch.cues - 1)
    assert torch.equal(batch.targets[0], sum(2**place * cue for place, cue in enumerate(shown)))
    assert set(batch.targets.flatten().tolist()) == set(range(task.output_size))
    distractors = symbols[symbols >= 2]
    assert set(distractors.tolist()) == {2, 3, 4, 5}
    assert float(distractors.double().mean()) == pytest.approx(3.5, abs=0.02)


def test_two_cues_are_drawn_as_ever():
    batch = TemporalOrder(20).draw(6, seeded(9))
    assert batch.inputs.argmax(-1)[:, 0].tolist() == [
        4,
        5,
        1,
        5,
        4,
        4,
        4,
        3,
        2,
        4,
        4,
        1,
        2,
        2,
        2,
        2,
        5,
        3,
        3,
        3,
    ]
    assert batch.targets.tolist() == [[3, 0, 0, 1, 2, 1]]


def test_two_marks_are_drawn_as_ever():
    batch = Adding(8).draw(3, seeded(9))
    assert batch.cues.tolist() == [[3, 4, 1], [7, 5, 6]]
    torch.testing.assert_close(
        batch.targets, torch.tensor([[0.7080129, 1.1578864, 0.8266746]]), rtol=0, atol=1e-6
    )


def test_permutation_asks_for_its_first_symbol():
    batch = Permutation(6).draw(3000, seeded(10))
    symbols = batch.inputs.argmax(-1)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(6, 3000))
    assert set(symbols[0].tolist()) == {0, 1}
    assert set(symbols[1:].flatten().tolist()) == set(range(2, 100))
    assert torch.equal(batch.targets[0], symbols[0])
    assert (batch.cues == 1).all()


def recalled(task, symbols, values):
    """Return how many steps come before the cue, after checking what no convention changes."""
    batch = task.draw(500, seeded(11))
    shown = batch.inputs.argmax(-1)
    assert torch.equal(batch.inputs.sum(-1), torch.ones(task.steps, 500))
    assert (task.input_size, task.output_size) == (values + 2, values + 1)
    assert torch.equal(batch.targets[-symbols:], shown[:symbols])
    assert set(shown[:symbols].flatten().tolist()) == set(range(1, values + 1))
    assert not batch.targets[:-symbols].any()
    assert batch.cues[:, 3].tolist() == list(range(1, symbols + 1))
    [cue] = set((shown == values + 1).nonzero()[:, 0].tolist())
    assert not shown[symbols:cue].any()
    assert not shown[cue + 1 :].any()
    return cue


@pytest.mark.parametrize(("values", "positions"), [(2, 5), (5, 10)])
def test_memorization_recalls_from_the_cue_on(values, positions):
    task = Memorization(7, values, positions)
    assert task.steps == 7 + 2 * positions
    assert recalled(task, positions, values) == task.steps - positions == positions + 7


@pytest.mark.parametrize(("symbols", "values", "length"), [(10, 8, 9), (5, 8, 30), (2, 3, 1)])
def test_copy_begins_one_step_after_the_marker(symbols, values, length):
    task = Copy(length, symbols, values)
    assert task.steps == length + 2 * symbols
    assert recalled(task, symbols, values) == task.steps - symbols - 1 == symbols + length - 1


def test_latch_shows_its_class_in_the_first_inputs_alone():
    batch = Latch(9, informative=4, noise=0.2).draw(20_000, seeded(12))
    signed = batch.inputs.squeeze(-1) * (2 * batch.targets - 1)
    expected = torch.tensor([1.0] * 4 + [0.0] * 5)
    torch.testing.assert_close(signed.mean(1), expected, rtol=0, atol=0.01)
    torch.testing.assert_close(signed.std(1), torch.full((9,), 0.2), rtol=0, atol=0.01)
    assert batch.cues[:, 0].tolist() == [1, 2, 3, 4]


def test_noise_has_nothing_to_do_with_its_answers():
    batch = Noise(3, channels=2).draw(50_000, seeded(13))
    everything = torch.cat([batch.inputs.permute(0, 2, 1).flatten(0, 1), batch.targets])
    torch.testing.assert_close(torch.cov(everything), torch.eye(7), rtol=0, atol=0.02)
    torch.testing.assert_close(everything.mean(1), torch.zeros(7), rtol=0, atol=0.02)
    assert batch.cues.numel() == 0


def test_hold_says_nothing_and_asks_for_its_target():
    batch = Hold(50, target=0.3).draw(4, seeded())
    assert not batch.inputs.any()
    assert batch.targets.tolist() == [[pytest.approx(0.3)] * 4]
    assert batch.cues.numel() == 0
    outputs = torch.full((1, 1, 4, 1), 0.5)
    assert float(Hold(50).loss(outputs, torch.full((1, 1, 4), 0.7))) == pytest.approx(0.04)


def test_digits_are_the_images_that_scikit_learn_brings():
    from sklearn.datasets import load_digits

    bundle = load_digits()
    images = {(*(16 * image).tolist(), digit) for image, digit in drawn_images(Digits().held_out())}
    assert images == {(*image, digit) for image, digit in pairs(bundle, slice(1437, None))}
    drawn = {
        (*(16 * image).tolist(), digit)
        for image, digit in drawn_images(Digits().draw(20_000, seeded(14)))
    }
    assert drawn == {(*image, digit) for image, digit in pairs(bundle, slice(1437))}
    assert not drawn & images


def drawn_images(batch):
    assert batch.inputs.min() == 0
    assert batch.inputs.max() == 1
    assert batch.cues[:, 0].tolist() == list(range(1, 65))
    return zip(batch.inputs.squeeze(-1).T, batch.targets[0].tolist(), strict=True)


def pairs(bundle, which):
    return zip(bundle.data[which].tolist(), bundle.target[which].tolist(), strict=True)


def test_digits_without_scikit_learn_are_refused_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(SettingError) as refused:
        Digits()
    assert str(refused.value.under("task")) == (
        "task.name=digits is not possible: allowed is what is installed; "
        "pip install 'rnn-exp[digits]' brings scikit-learn"
    )


def test_what_few_tasks_need_is_not_imported_before_they_need_it():
    frame = pd.read_csv(series_file())
    frame.to_parquet(parquet := folder() / "series.parquet")
    program = (
        "import sys, torch; from rnn_exp.tasks import Digits, Series; task = Digits();"
        f"Series({series_file()!r}, 'wave'); assert 'pyarrow' not in sys.modules;"
        f"Series({str(parquet)!r}, 'wave'); assert 'pyarrow' in sys.modules;"
        "assert 'sklearn' not in sys.modules; task.draw(1, torch.Generator());"
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


@pytest.mark.parametrize(
    ("kind", "least", "more"),
    [
        (Adding, 2, {}),
        (Adding, 10, {"convention": "pascanu"}),
        (Adding, 22, {"convention": "hochreiter"}),
        (Multiplication, 10, {}),
        (TemporalOrder, 10, {}),
        (TemporalOrder, 10, {"cues": 3}),
        (Permutation, 2, {}),
        (Memorization, 1, {}),
        (Memorization, 1, {"values": 5, "positions": 10}),
        (Copy, 1, {}),
        (Latch, 2, {"informative": 1}),
        (Noise, 1, {}),
        (Hold, 1, {}),
    ],
)
def test_sequences_too_short_for_their_cues_are_refused(kind, least, more):
    kind(least, **more).draw(200, seeded())
    with pytest.raises(SettingError, match=f"length={least - 1} .* at least {least}"):
        kind(least - 1, **more)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (TemporalOrder, {"cues": 1}, "cues=1 is not possible: allowed is 2 or 3"),
        (TemporalOrder, {"cues": 4}, "cues=4 is not possible: allowed is 2 or 3"),
        (TemporalOrder, {"cues": True}, "cues=true is not possible: allowed is 2 or 3"),
        (Adding, {"convention": "pascanus"}, r"convention=pascanus .* \(did you mean pascanu\?\)"),
        (Adding, {"length": 21, "convention": "hochreiter"}, "task.convention=hochreiter"),
        (Memorization, {"length": 0}, "length=0 .* nothing to hold it over"),
        (Memorization, {"length": -1}, "length=-1 .* at least 1"),
        (Memorization, {"values": 1}, "values=1 .* at least 2"),
        (Memorization, {"positions": 0}, "positions=0 .* at least 1"),
        (Copy, {"symbols": 0}, "symbols=0 .* at least 1"),
        (Copy, {"values": 1}, "values=1 .* at least 2"),
        (Latch, {"length": 3}, "informative=3 .* below task.length=3"),
        (Latch, {"informative": 0}, "informative=0 .* at least 1"),
        (Latch, {"noise": -0.1}, "noise=-0.1 .* at least 0"),
        (Digits, {"length": 63}, "length=63 is not possible: allowed is 64, the pixels"),
        (Noise, {"channels": 0}, "channels=0 .* at least 1"),
        (Hold, {"target": math.nan}, "target=nan"),
        (Adding, {"length": 9, "longest": 9}, r"longest=9 .* a whole number above task\.length=9"),
        (Latch, {"longest": 0}, "longest=0 .* at least 1 or null"),
        (
            Adding,
            {"lengths": "sequence"},
            "lengths=sequence is not possible: allowed is batch with task.longest=null",
        ),
        (Noise, {"longest": 99, "lengths": "each"}, "lengths=each .* one of batch, sequence"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(kind, settings, message):
    with pytest.raises(SettingError, match=message):
        kind(**settings)


RANGES = [
    task
    for task in TASK_LIST
    if getattr(task, "longest", None) is not None and task.lengths == "batch"
]


@pytest.mark.parametrize("task", RANGES, ids=shown)
def test_a_batch_out_of_a_range_is_one_of_its_length_with_nothing_behind_it(task):
    draws, found = seeded(3), set()
    for _ in range(60):
        state = draws.get_state()
        batch = task.draw(3, draws)
        length = int(torch.randint(task.length, task.longest + 1, (), generator=seeded_at(state)))
        again = seeded_at(state)
        torch.randint(task.length, task.longest + 1, (), generator=again)
        alone = at_length(task, length).draw(3, again)
        assert batch.length == alone.length
        assert torch.equal(batch.inputs[: batch.length], alone.inputs[: batch.length])
        assert torch.equal(batch.targets, alone.targets)
        found.add(length)
    assert found == set(range(task.length, task.longest + 1))


@pytest.mark.parametrize("task", RANGES, ids=shown)
def test_each_sequence_out_of_a_range_is_one_of_its_length_with_nothing_behind_it(task):
    own, draws = dataclasses.replace(task, lengths="sequence"), seeded(3)
    again = seeded_at(draws.get_state())
    batch = own.draw(40, draws)

    lengths = torch.randint(task.length, task.longest + 1, (40,), generator=again)
    assert {*lengths.tolist()} == {*range(task.length, task.longest + 1)}
    for length in range(task.length, task.longest + 1):
        places = lengths == length
        alone = at_length(task, length).draw(int(places.sum()), again)
        assert (batch.ends[places] == alone.length).all()
        assert torch.equal(batch.inputs[: alone.length, places], alone.inputs[: alone.length])
        assert not batch.inputs[alone.length :, places].any()
        assert torch.equal(batch.targets[:, places], alone.targets)
        assert torch.equal(batch.cues[:, places], alone.cues)
    assert at_length(own, task.length) == at_length(task, task.length)


def seeded_at(state):
    draws = torch.Generator()
    draws.set_state(state)
    return draws


def test_a_task_with_an_answer_at_every_step_has_no_range():
    assert {name for name, kind in TASKS.items() if issubclass(kind, LengthRange)} == {
        *("adding", "multiplication", "temporal_order", "permutation", "latch", "noise", "hold")
    }
    assert at_length(Adding(5, longest=9), 7) == Adding(7)
    assert at_length(Copy(5), 7) == Copy(7)


@pytest.mark.parametrize("task", [Adding(5), Adding(100, "pascanu")], ids=str)
def test_runs_of_one_seed_share_their_sequences_whoever_else_is_left(task):
    def stream():
        return Stream(task, [3, 8, 3], 4, torch.zeros(1))

    drawn, alone = stream().draw([0, 1, 2]), stream().draw([1])

    assert torch.equal(drawn.inputs[:, 0], drawn.inputs[:, 2])
    assert torch.equal(drawn.targets[0], drawn.targets[2])
    assert torch.equal(drawn.inputs[:, 1], alone.inputs[:, 0])
    assert not torch.equal(drawn.inputs[:, 0], drawn.inputs[:, 1])
    assert drawn.lengths == [drawn.lengths[0], *alone.lengths, drawn.lengths[0]]


@dataclasses.dataclass(frozen=True)
class Deep(Adding):
    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return batch._replace(targets=batch.targets.unsqueeze(-1))


@dataclasses.dataclass(frozen=True)
class Wide(Adding):
    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return batch._replace(inputs=batch.inputs.repeat(1, 1, 2))


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Deep(9), r"targets of the shape \(1, 4, 1\); allowed is \(1, 4\)"),
        (Wide(9), r"inputs of the shape \(9, 4, 4\); allowed is \(9, 4, 2\)"),
    ],
    ids=["targets", "inputs"],
)
def test_shapes_that_torch_would_stretch_are_refused(task, why):
    with pytest.raises(ValueError, match=f"the task adding draws {why}"):
        Stream(task, [0], 4, torch.zeros(1)).draw([0])
