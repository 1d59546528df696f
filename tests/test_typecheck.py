"""The checker of types: it sees a wrong item of a list, and leaves the global generator alone."""

import random
from collections.abc import Sequence

import pytest
from beartype.roar import BeartypeCallHintParamViolation

from tests.typecheck import typecheck


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
