"""The command ``rnn-exp-status``: how a sweep stands, from its folder, while it runs or after."""

import argparse
import sys
from pathlib import Path

from rnn_exp.ledger import Standing, in_words, standing

__all__ = ["main"]


def main() -> None:
    """Print one line: how many runs of the sweep are done, diverged, failed and left."""
    options = argparse.ArgumentParser(
        "rnn-exp-status", description="Say how a sweep stands; run it from another terminal."
    )
    options.add_argument("folder", type=Path, help="the sweep's folder, such as outputs/decay")
    given = options.parse_args()
    try:
        now = standing(given.folder)
    except (OSError, ValueError) as error:
        sys.exit(f"{options.prog}: {error}")
    print(f"{given.folder}: {in_words(now)}; {_training(now)}")


def _training(now: Standing) -> str:
    if now.training:
        return f"{now.training} in training"
    return "nothing is in training" if now.left else "all have ended"
