"""The losses by kernels, against a slow program with sixty digits, and torch."""

import dataclasses
import decimal
import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.networks.kernel.reader import KernelReader
from rnn_exp.networks.readout import TorchReader
from rnn_exp.tasks import Adding, TaskLoss, TemporalOrder
from tests.builders import normal

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 40))
PRECISIONS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def reader(classes, dtype):
    return KernelReader(torch.ones(1, classes, 2, dtype=dtype), torch.ones(1, classes, dtype=dtype))


def by_kernel(y, targets):
    return reader(y.shape[-1], y.dtype).differentiated(y, TaskLoss(TemporalOrder(24), targets))


def drawn(sizes, seed, dtype, scale):
    y = (scale * normal(seed, *sizes)).to(dtype)
    draws = torch.Generator().manual_seed(seed)
    return y, torch.randint(0, sizes[-1], sizes[:-1], generator=draws)


def exactly(y, right):
    """Return the cross-entropy of one row, and its gradient, as decimals."""
    with decimal.localcontext(prec=60):
        powers = [decimal.Decimal(one).exp() for one in y]
        whole = sum(powers)
        slope = [power / whole - (j == right) for j, power in enumerate(powers)]
        return -(powers[right] / whole).ln(), slope


@PRECISIONS
@given(SIZES, st.integers(0, 10**6), st.sampled_from([1e-3, 1.0, 30.0]))
def test_a_cross_entropy_and_its_gradient_are_rounded_once(dtype, sizes, seed, scale):
    y, targets = drawn(sizes, seed, dtype, scale)

    loss, slope = by_kernel(y, targets)

    # One rounding of a float32 number; of float64 those of its few terms, and of y_j − y_k.
    few = torch.finfo(dtype).eps * (0.51 if dtype is torch.float32 else 8 + float(y.abs().max()))
    rows, least = targets[0].numel(), torch.finfo(dtype).tiny
    for run in range(len(y)):
        pairs = zip(y[run].flatten(0, 1).tolist(), targets[run].flatten().tolist(), strict=True)
        losses, slopes = zip(*itertools.starmap(exactly, pairs), strict=True)
        assert loss[run].item() == pytest.approx(float(sum(losses) / rows), rel=few, abs=0)
        for mine, exact in zip(
            slope[run].flatten().tolist(), itertools.chain(*slopes), strict=True
        ):
            assert mine == pytest.approx(float(exact) / rows, rel=few, abs=least)


def test_the_loss_of_a_sure_answer_keeps_its_digits():
    y = torch.tensor([[[[0.0, 60.0, 3.0]]]], dtype=torch.float64)
    loss, slope = by_kernel(y, torch.tensor([[[1]]]))
    assert loss.item() == pytest.approx(math.exp(-60) + math.exp(-57), rel=1e-14)
    assert slope[0, 0, 1].item() == pytest.approx(-loss.item(), rel=1e-14)


@PRECISIONS
@given(SIZES, st.integers(0, 10**6))
def test_a_runs_cross_entropy_has_the_same_bits_in_any_company(dtype, sizes, seed):
    y, targets = drawn(sizes, seed, dtype, 3.0)
    loss, slope = by_kernel(y, targets)
    for run in range(len(y)):
        alone = by_kernel(y[[run]], targets[[run]])
        assert torch.equal(alone[0][0], loss[run])
        assert torch.equal(alone[1][0], slope[run])


@PRECISIONS
@pytest.mark.parametrize("place", [0, 1, 9])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("right", [0, 1])
def test_what_is_no_number_is_where_torch_has_it_and_other_runs_are_clean(dtype, place, bad, right):
    y, targets = drawn((3, 1, 2, 10), 5, dtype, 1.0)
    clean = by_kernel(y, targets)
    y[1, 0, 0, place], targets[1, 0, 0] = bad, right

    loss, slope = by_kernel(y, targets)
    wanted, slope_wanted = TaskLoss(TemporalOrder(24), targets).and_slope(y)

    few = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(loss, wanted, rtol=few, atol=few, equal_nan=True)
    torch.testing.assert_close(
        slope.view(y.shape), slope_wanted, rtol=8 * few, atol=few, equal_nan=True
    )
    for mine, before in zip((loss, slope), clean, strict=True):
        assert torch.equal(mine[[0, 2]], before[[0, 2]])


@PRECISIONS
def test_an_answer_that_is_not_scored_counts_as_in_torch_and_changes_no_other_run(dtype):
    y, targets = drawn((2, 1, 3, 4), 7, dtype, 1.0)
    clean = by_kernel(y, targets)
    targets[0, 0, 1] = -100

    loss, slope = by_kernel(y, targets)
    torchs = TorchReader(normal(1, 1, 4, 2), normal(2, 1, 4))
    wanted, slope_wanted = torchs.differentiated(y, TaskLoss(TemporalOrder(24), targets))

    few = 8 * torch.finfo(dtype).eps
    torch.testing.assert_close(loss, wanted, rtol=few, atol=0)
    torch.testing.assert_close(slope, slope_wanted, rtol=few, atol=few / 10)
    assert not slope[0, 1].any()
    for mine, before in zip((loss, slope), clean, strict=True):
        assert torch.equal(mine[1], before[1])


@PRECISIONS
@given(SIZES, st.integers(0, 10**6))
def test_a_squared_error_read_in_blocks_is_that_which_is_read_at_once(dtype, sizes, seed):
    R, answers, B, H = sizes
    h, C, c = normal(seed, R, answers, B, H), normal(seed + 1, R, 1, H), normal(seed + 2, R, 1)
    h, C, c, wanted = (one.to(dtype) for one in (h, C, c, normal(seed + 3, R, answers, B)))
    loss_of, own = TaskLoss(Adding(5), wanted), KernelReader(C, c)

    at_once = own.at_once(h, loss_of)
    y = own.outputs(own.rows(h)).view(R, answers, B, 1)
    loss, slope = own.differentiated(y, loss_of)

    assert torch.equal(loss, at_once.loss)
    assert torch.equal(own.losses(y, loss_of), at_once.loss)
    torch.testing.assert_close(slope, loss_of.and_slope(y)[1].flatten(1, 2), rtol=1e-6, atol=0)
    odd = TaskLoss(Adding(5), wanted.double() if dtype is torch.float32 else wanted.float())
    torch.testing.assert_close(own.losses(y, odd).to(dtype), loss, rtol=1e-5, atol=1e-12)


def test_a_target_beyond_the_classes_is_refused_as_by_torch():
    y, targets = drawn((1, 1, 3, 4), 7, torch.float32, 1.0)
    targets[0, 0, 2] = 4
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        by_kernel(y, targets)


@dataclasses.dataclass(frozen=True)
class Weighted(TemporalOrder):
    """A task with a loss of its own."""

    def loss(self, outputs, targets):
        return 3 * super().loss(outputs, targets)


def test_only_the_cross_entropy_itself_is_computed_as_one():
    y, targets = drawn((2, 1, 3, 4), 7, torch.float32, 1.0)
    assert TaskLoss(TemporalOrder(24), targets).classes_from() is targets
    assert TaskLoss(Weighted(24), targets).classes_from() is None
    assert TaskLoss(Adding(5), normal(0, 2, 1, 3)).classes_from() is None

    own, plain = (TaskLoss(task(24), targets) for task in (Weighted, TemporalOrder))
    (loss, slope), (wanted, slope_wanted) = (
        reader(4, torch.float32).differentiated(y, one) for one in (own, plain)
    )

    torch.testing.assert_close(loss, 3 * wanted)
    torch.testing.assert_close(slope, 3 * slope_wanted)
    assert torch.equal(reader(4, torch.float32).losses(y, plain), wanted)
