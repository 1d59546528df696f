"""rnn-exp: see where the gradient of a recurrent network goes.

``train(grid(length=[10, 30], seed=range(3)))`` trains the runs of a grid and returns their
`Results`; ``run(…)`` trains one, and ``load(folder)`` reads what runs left behind. A `Run` can be
made by hand as well: of a task of ``tasks``, a `Network`, an init of ``inits``, `Training` and
`Recording`. ``theory`` says what to expect, ``figures`` draws, and `declare_page` writes down what
the page of a folder asks. Everything is imported when it is first asked for: ``import rnn_exp``
needs neither torch nor pandas.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rnn_exp import figures as figures
    from rnn_exp import tasks as tasks
    from rnn_exp import theory as theory
    from rnn_exp.api import FailedRunsWarning as FailedRunsWarning
    from rnn_exp.api import declare_page as declare_page
    from rnn_exp.api import grid as grid
    from rnn_exp.api import initial_weights as initial_weights
    from rnn_exp.api import outcomes as outcomes
    from rnn_exp.api import run as run
    from rnn_exp.api import train as train
    from rnn_exp.extensions import register as register
    from rnn_exp.extensions import use as use
    from rnn_exp.fields import SettingError as SettingError
    from rnn_exp.networks import Network as Network
    from rnn_exp.networks import inits as inits
    from rnn_exp.probe import NonFiniteError as NonFiniteError
    from rnn_exp.probe import RecorderError as RecorderError
    from rnn_exp.recorder import GradientRecording as GradientRecording
    from rnn_exp.recorder import RecordingWarning as RecordingWarning
    from rnn_exp.recorder import record_gradients as record_gradients
    from rnn_exp.recordings.trackers import TensorBoard as TensorBoard
    from rnn_exp.recordings.trackers import Tracker as Tracker
    from rnn_exp.storage.loading import DamagedWarning as DamagedWarning
    from rnn_exp.storage.loading import Results as Results
    from rnn_exp.storage.loading import load as load
    from rnn_exp.training import Outcome as Outcome
    from rnn_exp.training import Recording as Recording
    from rnn_exp.training import Run as Run
    from rnn_exp.training import Training as Training
    from rnn_exp.training.experiment import UnsettledWarning as UnsettledWarning

__all__ = [
    "DamagedWarning",
    "FailedRunsWarning",
    "GradientRecording",
    "Network",
    "NonFiniteError",
    "Outcome",
    "RecorderError",
    "Recording",
    "RecordingWarning",
    "Results",
    "Run",
    "SettingError",
    "TensorBoard",
    "Tracker",
    "Training",
    "UnsettledWarning",
    "declare_page",
    "figures",
    "grid",
    "initial_weights",
    "inits",
    "load",
    "outcomes",
    "record_gradients",
    "register",
    "run",
    "tasks",
    "theory",
    "train",
    "use",
]

# Where each public name is; an empty word: it is a module.
_PLACES: Final = {
    "DamagedWarning": ("rnn_exp.storage.loading", "DamagedWarning"),
    "FailedRunsWarning": ("rnn_exp.api", "FailedRunsWarning"),
    "GradientRecording": ("rnn_exp.recorder", "GradientRecording"),
    "Network": ("rnn_exp.networks", "Network"),
    "NonFiniteError": ("rnn_exp.probe", "NonFiniteError"),
    "Outcome": ("rnn_exp.training", "Outcome"),
    "RecorderError": ("rnn_exp.probe", "RecorderError"),
    "Recording": ("rnn_exp.training", "Recording"),
    "RecordingWarning": ("rnn_exp.recorder", "RecordingWarning"),
    "Results": ("rnn_exp.storage.loading", "Results"),
    "Run": ("rnn_exp.training", "Run"),
    "SettingError": ("rnn_exp.fields", "SettingError"),
    "TensorBoard": ("rnn_exp.recordings.trackers", "TensorBoard"),
    "Tracker": ("rnn_exp.recordings.trackers", "Tracker"),
    "Training": ("rnn_exp.training", "Training"),
    "UnsettledWarning": ("rnn_exp.training.experiment", "UnsettledWarning"),
    "declare_page": ("rnn_exp.api", "declare_page"),
    "figures": ("rnn_exp.figures", ""),
    "grid": ("rnn_exp.api", "grid"),
    "initial_weights": ("rnn_exp.api", "initial_weights"),
    "inits": ("rnn_exp.networks.inits", ""),
    "load": ("rnn_exp.storage.loading", "load"),
    "outcomes": ("rnn_exp.api", "outcomes"),
    "record_gradients": ("rnn_exp.recorder", "record_gradients"),
    "register": ("rnn_exp.extensions", "register"),
    "run": ("rnn_exp.api", "run"),
    "tasks": ("rnn_exp.tasks", ""),
    "theory": ("rnn_exp.theory", ""),
    "train": ("rnn_exp.api", "train"),
    "use": ("rnn_exp.extensions", "use"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute
    """Import a public name when it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, word = _PLACES[name]
    found = importlib.import_module(module)
    return getattr(found, word) if word else found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
