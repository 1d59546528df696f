"""The command ``rnn-exp``: configuration in, run folders out.

Hydra is named only here and in `rnn_exp._hydra`. It is imported when it is needed, and torch when
a run is built, so that help and completion are quick.
"""

import os
import signal
import sys
from pathlib import Path

from rnn_exp._hydra.help import help_lines
from rnn_exp.sweeps import process

__all__ = ["main"]

_HERE = Path(__file__).parent


def main() -> None:
    """Run the command line: one run, a sweep (``-m``), a study (``study=…``), or a list of help."""
    lines = help_lines(sys.argv[1:])
    if lines is None:
        _run_hydra()
    else:
        _print(lines)


def _print(lines: list[str]) -> None:
    """Print lines; end quietly if the reader has enough of them, as ``head`` has."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    print("\n".join(lines))


def _run_hydra() -> None:
    """Let Hydra compose the configuration and train; errors are one line on stderr.

    Raises:
        SystemExit: with exit code 1 if anything failed, or was interrupted.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from rnn_exp._hydra.job import RunError, job, register_resolvers
    from rnn_exp._hydra.loader import use_own_loader
    from rnn_exp._hydra.messages import FAILED_RUNS, one_line_error

    process.settle()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's kill is as Ctrl-C
    with_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    sys.path.append(str(_HERE / "_hydra"))  # the namespace package hydra_plugins
    register_resolvers()
    use_own_loader()
    installed = _HERE / "conf"
    conf = installed if installed.is_dir() else _HERE.parent / "conf"
    try:
        hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(job)()
    except RunError as error:
        sys.exit(f"rnn-exp: {error}")
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        line = one_line_error(error)
        if with_traceback or line is None:
            raise
        sys.exit(f"rnn-exp: {line}")
    except KeyboardInterrupt:
        sys.exit("\nrnn-exp: stopped; the same command goes on from there")
    if FAILED_RUNS.get():
        sys.exit(1)
