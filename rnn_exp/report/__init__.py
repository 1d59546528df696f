"""A study as one HTML page: figures, captions, verdicts and the commands that reproduce it."""

from rnn_exp.report.page import write

__all__ = ["write"]
