"""The checker of types: it sees wrong items and shapes, and leaves the global generator alone."""

import dataclasses
import random
from collections.abc import Iterator, Sequence

import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation, BeartypeCallHintReturnViolation
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from rnn_exp.networks.cells.layout import flatten_time_batch
from rnn_exp.networks.parameters import Parameters
from rnn_exp.training.planning import processes_for
from tests.typecheck import checked, typecheck


@typecheck
def count(words: Sequence[str]) -> int:
    """Count words."""
    return len(words)


def test_a_check_of_a_list_draws_nothing_from_the_global_generator():
    before = random.getstate()

    assert count(["a", "b"]) == 2
    assert random.getstate() == before


def test_a_list_of_the_wrong_kind_is_refused():
    with pytest.raises(BeartypeCallHintParamViolation):
        count([1, 2])


Rows, Both = Float[Tensor, "row k"], list[Float[Tensor, "row k"]]


@checked
def joined(first: Rows, second: Both, *, ends: int = 0) -> Float[Tensor, "row k+k"]:
    """Put the first of the second beside the first."""
    return torch.cat([first, second[0]], dim=1)[ends:]


class Holder:
    """Every kind of method."""

    @checked
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @checked
    @property
    def whole(self) -> Float[Tensor, "row 3"]:
        """The rows."""
        return self.rows

    @checked
    @classmethod
    def of(cls, rows: Rows, same: Rows) -> "Holder":
        """Make one."""
        return cls(rows)

    @checked
    @staticmethod
    def each(rows: Rows, same: Rows) -> Iterator[Tensor]:
        """Return the rows one by one."""
        yield from rows


@checked
@dataclasses.dataclass
class Pair:
    """Two of one shape."""

    first: Rows
    second: Rows


A, B = torch.zeros(2, 3), torch.zeros(2, 4)


def test_an_axis_of_one_name_has_one_size_over_arguments_items_and_the_result():
    assert joined(A, [A]).shape == (2, 6)
    assert joined(B, [B]).shape == (2, 8), "sizes are those of one call"
    with pytest.raises(BeartypeCallHintParamViolation):
        joined(A, [B])
    with pytest.raises(BeartypeCallHintReturnViolation):
        joined(A, [A], ends=1)
    assert joined(A, [A]).shape == (2, 6), "what was refused is forgotten"


@pytest.mark.parametrize(
    "call",
    [
        lambda: Holder(A[0]),
        lambda: Holder(B).whole,
        lambda: Holder.of(A, B),
        lambda: Pair(A, B),
        lambda: joined(A.long(), [A]),
        lambda: joined(A, [A], ends=0.5),
    ],
)
def test_every_kind_of_function_is_checked(call):
    with pytest.raises((BeartypeCallHintParamViolation, BeartypeCallHintReturnViolation)):
        call()


def test_a_function_that_yields_is_checked_when_it_is_called():
    assert len([*Holder.each(A, A)]) == 2
    with pytest.raises(TypeCheckError):
        Holder.each(A, B)


@pytest.mark.parametrize(
    "call",
    [
        lambda: flatten_time_batch(A),
        lambda: Parameters(A[0], {}),
        lambda: processes_for([1], 2),
    ],
)
def test_the_functions_of_the_package_are_checked(call):
    with pytest.raises(BeartypeCallHintParamViolation):
        call()
