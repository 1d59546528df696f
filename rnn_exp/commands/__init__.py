"""Commands beside ``rnn-exp``: on results (one figure, report, status, weights) and own parts.

Each imports what it needs when it is called, so that none is slow to start.
"""

from rnn_exp.commands.figure import figure
from rnn_exp.commands.new import new
from rnn_exp.commands.results import report, weights
from rnn_exp.commands.status import status
from rnn_exp.commands.verification import verify

__all__ = ["figure", "new", "report", "status", "verify", "weights"]
