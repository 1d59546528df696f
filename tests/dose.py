"""How much of a long test is run: a small dose in the quick suite, all of it in ``make slow``."""

import os

FULL = os.environ.get("RNN_EXP_DOSE") == "full"


def dose(quick: int, full: int) -> int:
    """The number of examples, in the quick suite and in full."""
    return full if FULL else quick
