"""The read-out: which states are read, and the gradient of a loss by them, against autograd."""

import dataclasses

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks import reading
from rnn_exp.networks.kernel import products
from rnn_exp.networks.kernel.reader import KernelReader
from rnn_exp.networks.readout import Objective, TorchReader, onto_time, read, states_read
from rnn_exp.tasks import Adding, TaskLoss, TemporalOrder
from rnn_exp.theory import drive
from tests.builders import asked_for, ends_of, normal, squares

SIZES = st.tuples(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 5), st.integers(1, 7), st.integers(1, 3)
)  # T, R, B, H, outputs


READERS = pytest.mark.parametrize("reader", [TorchReader, KernelReader])


@READERS
@given(SIZES, st.data(), st.integers(0, 10**6))
def test_gradients_of_several_answers_equal_autograd(reader, sizes, data, seed):
    T, R, B, H, outputs = sizes
    own = st.lists(st.integers(2, T + 1), min_size=B, max_size=B)
    ends = data.draw(st.none() | st.lists(own, min_size=R, max_size=R))
    answers = data.draw(st.integers(1, T)) if ends is None else 1
    h = normal(seed, T + 1, R, B, H)  # a step more than there are answers
    C, c = normal(seed + 1, R, outputs, H), normal(seed + 2, R, outputs)
    wanted = normal(seed + 3, R, answers, B, outputs)

    asked = asked_for(wanted, ends, shortest=2)
    found = read(states_read(h, asked.answers, asked.ends), reader(C, c), asked.loss_of)
    direct = onto_time(found.states, asked, T + 1, asked.first(T + 1), T + 1)

    for run in range(R):
        leaves = [tensor.clone().requires_grad_() for tensor in (h[:, run], C[run], c[run])]
        own = leaves[0][T + 1 - answers :]
        if ends is not None:
            own = torch.stack([leaves[0][end - 1, b] for b, end in enumerate(ends[run])])[None]
        y = own @ leaves[1].T + leaves[2]
        loss = ((y - wanted[run]) ** 2).mean()
        by_h, by_C, by_c = torch.autograd.grad(loss, leaves)
        torch.testing.assert_close(found.outputs[run], y.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.loss[run], loss.detach(), rtol=1e-12, atol=0)
        torch.testing.assert_close(found.weight[run], by_C, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(found.bias[run], by_c, rtol=1e-11, atol=1e-12)
        last = by_h[T + 1 - len(direct) :]
        torch.testing.assert_close(direct[:, run], last, rtol=1e-12, atol=1e-13)
        assert not by_h[: T + 1 - len(direct)].any()


@READERS
@given(
    st.tuples(
        st.integers(1, 70),
        st.integers(2, 7),
        st.integers(1, 20),
        st.integers(2, 40),
        st.integers(1, 11),
    ),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]),
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(reader, sizes, by_ends, dtype, seed):
    T, R, B, H, outputs = sizes
    answers = 1 if by_ends else 1 + seed % T
    ends = [1 + (seed + 3 * run) % T for run in range(R)] if by_ends else None
    h, wanted = normal(seed, T, R, B, H, dtype=dtype), normal(seed + 3, R, answers, B, outputs)
    C, c = normal(seed + 1, R, outputs, H, dtype=dtype), normal(seed + 2, R, outputs, dtype=dtype)
    wanted = wanted.to(dtype)

    def bits(which):
        own = None if ends is None else ends_of(ends[which], B)
        asked = Objective(squares(wanted[which].clone()), answers, own, 1)
        found = read(
            states_read(h[:, which].clone(), answers, own),
            reader(C[which].clone(), c[which].clone()),
            asked.loss_of,
        )
        direct = onto_time(found.states, asked, T, asked.first(T), T)
        return *found, direct.transpose(0, 1)

    together = bits(slice(None))
    for run in range(R):
        for many, one in zip(together, bits(slice(run, run + 1)), strict=True):
            assert torch.equal(many[run], one[0])


def test_what_is_put_on_the_time_axis_has_the_length_of_the_task_not_of_the_company():
    gradient = normal(0, 2, 1, 3, 4)
    for ends in ([7, 8], [10, 9], [[7, 9, 8], [10, 7, 10]]):
        asked = Objective(squares(gradient), 1, ends_of(ends, 3), shortest=7)
        assert asked.first(10) == 6
        assert len(onto_time(gradient, asked, 10, asked.first(10), 10)) == 4


class ByParts:
    """A loss without what lets a reader take its shorter way."""

    def __init__(self, loss_of):
        self.and_slope = loss_of.and_slope

    def __call__(self, outputs):
        return self.and_slope(outputs)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(SIZES, st.integers(0, 10**6))
def test_a_squared_error_read_at_once_has_the_gradients_of_its_parts_to_the_bit(dtype, sizes, seed):
    answers, R, B, H, _ = sizes
    h = 3 * normal(seed, R, answers, B, H).to(dtype)
    C, c = normal(seed + 1, R, 1, H).to(dtype), normal(seed + 2, R, 1).to(dtype)
    wanted = normal(seed + 3, R, answers, B).to(dtype)
    loss_of = TaskLoss(Adding(5), wanted)

    found = read(h, KernelReader(C, c), loss_of)
    parts = read(h, KernelReader(C, c), ByParts(loss_of))

    assert KernelReader(C, c).at_once(h, loss_of) is not None
    assert KernelReader(C, c).at_once(h, ByParts(loss_of)) is None
    for name in ("outputs", "weight", "bias", "states"):
        assert torch.equal(getattr(found, name), getattr(parts, name)), name
    assert found.loss.untyped_storage().nbytes() == found.loss.nbytes  # it is kept for the tables
    few = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(found.loss, parts.loss, rtol=few, atol=0)
    for run in range(R):
        alone = read(h[[run]], KernelReader(C[[run]], c[[run]]), TaskLoss(Adding(5), wanted[[run]]))
        assert all(torch.equal(one[0], all_[run]) for one, all_ in zip(alone, found, strict=True))


def test_a_run_that_is_no_number_is_read_at_once_without_touching_the_others():
    h, C, c = normal(0, 3, 1, 4, 5), normal(1, 3, 1, 5), normal(2, 3, 1)
    wanted, spoilt = normal(3, 3, 1, 4), h.clone()
    spoilt[1, 0, 2, 3] = torch.inf

    clean = read(h, KernelReader(C, c), TaskLoss(Adding(5), wanted))
    found = read(spoilt, KernelReader(C, c), TaskLoss(Adding(5), wanted))

    assert not found.loss[1].isfinite()
    for mine, expected in zip(found, clean, strict=True):
        assert torch.equal(mine[[0, 2]], expected[[0, 2]])


@dataclasses.dataclass(frozen=True)
class Halved(Adding):
    """A loss of its own."""

    def loss(self, outputs, targets):
        return super().loss(outputs, targets) / 2


def test_targets_of_another_shape_are_not_read_at_once():
    h, C, c = normal(0, 2, 1, 3, 4), normal(1, 2, 1, 4), normal(2, 2, 1)
    assert KernelReader(C, c).at_once(h, TaskLoss(Adding(5), normal(3, 1, 1, 3))) is None
    assert KernelReader(C, c).at_once(h, TaskLoss(Adding(5), normal(3, 2, 1, 1))) is None


def test_only_the_mean_squared_error_itself_is_read_as_one():
    wanted = normal(0, 2, 1, 3)
    assert TaskLoss(Adding(5), wanted).squared_from() is wanted
    assert TaskLoss(Halved(5), wanted).squared_from() is None
    assert TaskLoss(TemporalOrder(24), wanted.abs().long()).squared_from() is None
    h, C, c = normal(1, 2, 1, 3, 4), normal(2, 2, 1, 4), normal(3, 2, 1)
    halved, whole = (
        read(h, KernelReader(C, c), TaskLoss(kind(5), wanted)) for kind in (Halved, Adding)
    )
    torch.testing.assert_close(2 * halved.weight, whole.weight)


def test_blocks_of_rows_are_whole_numbers_of_what_kernels_add_up_at_a_time():
    assert reading._ROWS % products._STRETCH == 0
    assert drive._ROWS % reading._ROWS == 0
