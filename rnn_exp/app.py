"""The command ``rnn-exp``: configuration in, run folders out.

Hydra is imported only here and in `rnn_exp._hydra`: when it is needed, and torch when a run is
built, so that help and completion are quick. Nothing else is imported before Ctrl-C is answered.
"""

from rnn_exp import interrupts

__all__ = ["main"]

_NAME = "rnn-exp"
_SHOWN_BY_HYDRA = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i"}


def main() -> None:
    """Run the command line: one run, a sweep (``-m``), a study (``study=…``), or a list of help.

    Raises:
        SystemExit: with exit code 1 and one line on stderr if something is refused or fails, with
            130 if it was stopped.
    """
    interrupts.begin(_NAME)
    import os
    import sys

    from rnn_exp._hydra.quick import quick_lines

    try:
        lines = quick_lines(sys.argv[1:], os.environ.get("COMP_LINE", ""))
        if lines is None:
            from rnn_exp._hydra.help import help_lines

            lines = help_lines(sys.argv[1:])
    except ValueError as error:  # a file of users that cannot be used
        from rnn_exp.program import leave

        leave(_NAME, str(error))
    if lines is None:
        _run_hydra()
    else:
        _print(lines)


def _end_with_the_reader() -> None:
    """End quietly if the reader of what is shown has enough of it, as ``head`` has."""
    import signal

    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def _print(lines: list[str]) -> None:
    """Print lines."""
    _end_with_the_reader()
    try:
        print("\n".join(lines), flush=True)
    except OSError as error:
        from rnn_exp.program import end_after_lost_output

        end_after_lost_output(_NAME, error)


def _run_hydra() -> None:
    """Let Hydra compose the configuration and train; errors are one line on stderr."""
    import os
    import sys
    from pathlib import Path

    import hydra

    from rnn_exp._hydra import refusals
    from rnn_exp._hydra.command_line import in_hydras_order
    from rnn_exp._hydra.job import job, register_resolvers
    from rnn_exp._hydra.loader import use_own_loader
    from rnn_exp._hydra.messages import FAILED_RUNS
    from rnn_exp.program import conf_folder
    from rnn_exp.sweeps import process

    process.settle()
    if _SHOWN_BY_HYDRA & {word.partition("=")[0] for word in sys.argv[1:]}:
        _end_with_the_reader()
    refusals.WITH_TRACEBACK.set(os.environ.get("HYDRA_FULL_ERROR") == "1")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors instead of printing them
    here = Path(__file__).parent
    sys.path.append(str(here / "_hydra"))  # the namespace package hydra_plugins
    register_resolvers()
    use_own_loader()
    conf = conf_folder()
    try:
        sys.argv[1:] = in_hydras_order(sys.argv[1:], conf)
        hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(job)()
    except KeyboardInterrupt:
        interrupts.stopped(_NAME, refusals.GO_ON)
    except Exception as error:
        refusals.refuse(error)
    if FAILED_RUNS.get():
        sys.exit(1)
