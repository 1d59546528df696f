"""Files that a test has used: what they registered is taken off again."""

import sys


def forget_used_files() -> None:
    """Take off what all files that were used have registered."""
    for name in [name for name in sys.modules if name.startswith("rnn_exp_use_")]:
        for remove in sys.modules.pop(name).__dict__["__rnn_exp_loading__"].remove:
            remove()
