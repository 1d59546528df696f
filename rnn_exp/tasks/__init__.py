"""Tasks: sequences whose answer depends on inputs far in the past.

A module holds a family of tasks. A task says what it draws, what guessing would score and when an
answer is wrong (`Task`), registers itself in `TASKS`, and its module is imported here, so that
the registry is always full.
"""

# The order of these imports is the order in which messages list the tasks.
# isort: off
from rnn_exp.tasks.task import TASKS, Batch, SequenceBatch, Stream, Task
from rnn_exp.tasks.order import TemporalOrder
from rnn_exp.tasks.adding import Adding, Multiplication
from rnn_exp.tasks.recall import Copy, Memorization, Permutation
from rnn_exp.tasks.latch import Latch
from rnn_exp.tasks.digits import Digits
from rnn_exp.tasks.memoryless import Hold, Noise
# isort: on

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "Copy",
    "Digits",
    "Hold",
    "Latch",
    "Memorization",
    "Multiplication",
    "Noise",
    "Permutation",
    "SequenceBatch",
    "Stream",
    "Task",
    "TemporalOrder",
]

Drawn = SequenceBatch  # the name under which the training loop still imports it
