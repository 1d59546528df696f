"""Waiting for other processes and threads, on a machine that may be busy with other programs.

A wait ends as soon as its condition holds, so the limit is reached only if something is wrong. No
test asserts how long anything takes.
"""

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PATIENCE = 300.0
"""The limit of every wait, in seconds."""
_SECONDS_BETWEEN_LOOKS = 0.02


def wait_until(condition: Callable[[], Result], what: str) -> Result:
    """Call the condition until it holds, and return what it returned.

    Args:
        condition: what is waited for; it holds if it returns something true.
        what: the condition in words, for the message of a failure.

    Raises:
        AssertionError: if it does not hold within `PATIENCE`.
    """
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s in vain until {what}"
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return found
