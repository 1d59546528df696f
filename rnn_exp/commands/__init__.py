"""Commands beside ``rnn-exp``: on results (report, status, weights, one figure).

Each imports what it needs when it is called, so that none is slow to start.
"""

from rnn_exp.commands.results import draw, report, weights
from rnn_exp.commands.status import status

__all__ = ["draw", "report", "status", "weights"]
