"""What a recorder holds, as tables."""

import pandas as pd

from rnn_exp.probe.recorder import Recorder
from rnn_exp.recordings.summary import Recorded

__all__ = ["cuts_of", "recorded_of", "updates_of"]


def updates_of(recorder: Recorder) -> pd.DataFrame:
    """Return a row a recorded update, where an optimizer was given."""
    columns = ["update", "grad_norm", "clipped", "update_norm", "update_ratio"]
    return pd.DataFrame(recorder.updates, columns=columns)


def cuts_of(recorder: Recorder) -> pd.DataFrame:
    """Return a row a call that does not depend on the one before it, or begins with its copy."""
    return pd.DataFrame(recorder.cuts, columns=["update", "module", "call", "why"])


def recorded_of(recorder: Recorder) -> Recorded:
    """Return all that figures and pages are made of."""
    watching = recorder.watching
    return Recorded(
        frame=recorder.rows.to_frame(),
        updates=updates_of(recorder),
        cuts=cuts_of(recorder),
        bad=str(recorder.bad[0]) if recorder.bad else None,
        modules={name: type(each).__name__ for each, name in recorder.names.items()},
        every=1 if watching.stop_on_nonfinite else watching.every,
    )
