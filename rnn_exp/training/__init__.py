"""Training: a run as a value, the loop that trains many at once, and the tables a run leaves.

The main path reads in this order: experiment, batch, loop, recorder, outcome.
"""

from rnn_exp.training.experiment import train_runs
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.penalties import PENALTIES
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

__all__ = ["OPTIMIZERS", "PENALTIES", "Outcome", "Recording", "Run", "Training", "train_runs"]
