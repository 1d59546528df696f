"""The gate: a single run is looked at before Hydra makes its folder."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from rnn_exp._hydra.described import checkpoint_seconds_of, run_of
from rnn_exp._hydra.job import THERE_ALREADY
from rnn_exp._hydra.refusal import in_one_line

__all__ = ["Gate"]


class Gate(Callback):
    """Refuse bad settings, another run's folder, and a folder that cannot be written."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:  # noqa: ANN401 - Hydra's
        """Leave with one line and exit code 1 (0 if the run is already there).

        Hydra turns a callback's exceptions into warnings; SystemExit it lets pass.
        """
        del kwargs
        from rnn_exp.storage import is_done

        try:
            run = run_of(config)
            checkpoint_seconds_of(config.hydra)
            folder = Path(config.hydra.run.dir)
            done = is_done(folder, run)
            folder.mkdir(parents=True, exist_ok=True)
        except Exception as error:
            line = in_one_line(error)
            if line is None:
                raise
            sys.exit(f"rnn-exp: {line}")
        if done:
            print(f"{folder}\n{THERE_ALREADY}")
            sys.exit(0)
