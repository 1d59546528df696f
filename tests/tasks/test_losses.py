"""The losses whose gradients are written out have autograd's, to the bit."""

import functools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.readout import differentiated
from rnn_exp.tasks import Adding, Series, TaskLoss, TemporalOrder

SIZES = st.tuples(*(st.integers(1, most) for most in (4, 6, 30)))


def by_autograd(task, outputs, targets):
    leaf = outputs.clone().requires_grad_()
    loss = task.loss(leaf, targets)
    (slope,) = torch.autograd.grad(loss.sum(), leaf)
    return loss.detach(), slope


@given(
    SIZES,
    st.integers(0, 10**6),
    st.sampled_from([torch.float32, torch.float64]),
    st.sampled_from([1e-3, 1.0, 100.0]),
    st.booleans(),
)
def test_written_out_gradients_are_autograds_to_the_bit(sizes, seed, dtype, scale, of_classes):
    draws = torch.Generator().manual_seed(seed)
    task = TemporalOrder(20) if of_classes else Adding(20)
    outputs = scale * torch.randn(*sizes, task.output_size, generator=draws, dtype=torch.float64)
    outputs, targets = outputs.to(dtype), torch.randn(sizes, generator=draws)
    if of_classes:
        targets = torch.randint(0, task.output_size, sizes, generator=draws)

    loss, slope = TaskLoss(task, targets).and_slope(outputs)
    wanted, slope_wanted = by_autograd(task, outputs, targets)

    assert torch.equal(loss, wanted)
    assert torch.equal(slope, slope_wanted)


class Doubled(Adding):
    """A task whose loss replaces that of a built-in one."""

    def loss(self, outputs, targets):
        return 2 * super().loss(outputs, targets)


class Wrapped(Adding):
    """The same, by a function that has all attributes of the loss in whose place it is."""

    @functools.wraps(Adding.loss)
    def loss(self, outputs, targets):
        return 2 * super().loss(outputs, targets)


class Given(Adding):
    """The same, by a function that one task is given, and not its class."""

    def __init__(self, length):
        super().__init__(length)
        object.__setattr__(self, "loss", lambda *given: 3 * Adding.loss(self, *given))


@pytest.mark.parametrize("task", [Adding(5), Doubled(5), Wrapped(5), Given(5)])
def test_a_loss_that_replaces_a_written_out_one_is_left_to_autograd(task):
    outputs, targets = torch.ones(2, 1, 4, 1), torch.linspace(0, 1, 8).view(2, 1, 4)

    loss, slope = differentiated(outputs.clone(), TaskLoss(task, targets))
    wanted, slope_wanted = by_autograd(task, outputs, targets)

    assert torch.equal(loss, wanted)
    assert torch.equal(slope, slope_wanted.flatten(1, 2))
    assert (TaskLoss(task, targets).and_slope(outputs) is None) == (type(task) is not Adding)


def test_an_answer_that_is_not_scored_has_no_gradient():
    task, outputs = TemporalOrder(20), torch.linspace(-1, 1, 24).view(1, 2, 3, 4)
    targets = torch.tensor([[[0, -100, 2], [3, 1, -100]]])

    _, slope = differentiated(outputs.clone(), TaskLoss(task, targets))

    assert torch.equal(slope, by_autograd(task, outputs, targets)[1].flatten(1, 2))
    assert (slope[0].norm(dim=-1) == 0).tolist() == (targets < 0).flatten().tolist()


@pytest.mark.parametrize("label", [None, "kind"])
def test_the_loss_of_a_series_is_that_of_its_answers_with_its_gradient(label, tmp_path):
    file = tmp_path / "series.csv"
    rows = "".join(f"{i / 7},{'abc'[i % 3]}\n" for i in range(60))
    file.write_text("value,kind\n" + rows)
    own = {"label": label, "inputs": "value"} if label else {"column": "value"}
    task = Series(length=5, file=str(file), **own)
    outputs = torch.linspace(-1, 2, 6 * task.output_size, dtype=torch.float64)
    outputs = outputs.view(2, 1, 3, task.output_size)
    targets = torch.tensor([[[0, 1, 2]], [[2, 0, 1]]])
    targets = targets if label else targets.double()
    loss_of = TaskLoss(task, targets)

    loss, slope = loss_of.and_slope(outputs)
    wanted, slope_wanted = by_autograd(task, outputs, targets)

    assert torch.equal(loss, wanted)
    assert torch.equal(slope, slope_wanted)
    assert (loss_of.classes_from() if label else loss_of.squared_from()) is targets
