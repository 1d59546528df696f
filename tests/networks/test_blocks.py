"""Large blocks of memory are kept between updates, and no two tensors have the same one."""

import gc

import pytest
import torch

from rnn_exp.networks.kernel.blocks import empty, return_blocks

LIKE, LARGE = torch.zeros(0), 9 * 1024**2  # numbers of float32: 36 MiB


@pytest.fixture(autouse=True)
def _nothing_kept():
    return_blocks()
    yield
    gc.collect()
    return_blocks()


def test_a_block_that_no_tensor_uses_is_taken_again_with_what_was_written_into_it():
    first = empty(LIKE, 3, LARGE // 3)
    first.fill_(7)
    place = first.data_ptr()
    del first
    again = empty(LIKE, LARGE // 4, 4)
    assert again.data_ptr() == place
    assert (again == 7).all()


def test_a_view_keeps_its_block_from_being_taken():
    whole = empty(LIKE, LARGE)
    view = whole.fill_(1).view(2, -1).transpose(0, 1)[5:]
    del whole
    empty(LIKE, LARGE).fill_(2)
    assert (view == 1).all()


def test_tensors_that_live_at_once_share_no_number():
    held = [empty(LIKE, LARGE).fill_(number) for number in range(4)]
    assert [float(one.max()) for one in held] == [float(one.min()) for one in held] == [0, 1, 2, 3]


def test_a_smaller_block_is_taken_from_a_larger_one_but_not_from_one_of_more_than_twice_its_size():
    first = empty(LIKE, 2 * LARGE)
    place = first.data_ptr()
    del first
    half = empty(LIKE, LARGE)
    assert half.data_ptr() == place
    del half
    first = empty(LIKE, 3 * LARGE).fill_(5)
    del first
    assert not (empty(LIKE, LARGE) == 5).any()  # the system clears what it gives


def test_what_was_kept_is_gone_after_it_is_returned():
    first = empty(LIKE, LARGE).fill_(5)
    del first
    return_blocks()
    assert not (empty(LIKE, LARGE) == 5).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("numbers", [3, LARGE])
def test_a_block_has_the_shape_and_precision_that_were_asked_for(dtype, numbers):
    made = empty(torch.zeros(0, dtype=dtype), 2, numbers)
    assert (made.dtype, made.shape, made.stride()) == (dtype, (2, numbers), (numbers, 1))
