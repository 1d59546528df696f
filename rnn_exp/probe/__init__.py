"""Recording other people's networks: the exact ∂L/∂h_t of every time step, and nothing changed."""

from rnn_exp.probe.bad import BadValue, NonFiniteError
from rnn_exp.probe.modules import RecorderError, StepsOf
from rnn_exp.probe.recorder import Recorder
from rnn_exp.probe.updates import Watching

__all__ = ["BadValue", "NonFiniteError", "Recorder", "RecorderError", "StepsOf", "Watching"]
