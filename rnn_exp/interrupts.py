"""How a command is stopped: Ctrl-C or SIGTERM, one line, exit code 130.

This is the first module that a command imports, and it imports next to nothing, so that Ctrl-C is
answered while Python still imports the rest.
"""

import io
import os
import signal
import sys
import threading
from time import monotonic
from types import FrameType
from typing import NoReturn

__all__ = ["STOPPED", "begin", "interruptible", "stopped"]

STOPPED = 130
"""The exit code of a command that was stopped by Ctrl-C or by SIGTERM."""

_SECONDS_OF_ONE_INTERRUPT = 1.0  # `timeout` sends its signal twice: to the process and to its group


def begin(program: str) -> None:
    """Set what has to hold before anything else is imported.

    Ctrl-C and SIGTERM end the process at once, in one line: nothing is half done. A sign that the
    terminal cannot show is printed as an escape.

    Args:
        program: the name that begins each line on stderr.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (2>&-): nobody reads it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        _end_at_once(f"{program}: stopped before anything was written")

    _on_interrupt(end)


def interruptible(program: str, what_next: str) -> None:
    """From now on the first Ctrl-C or SIGTERM is a KeyboardInterrupt, which lets files be closed.

    Whoever presses again after a second does not want to wait: the process ends at once.

    Args:
        program: the name that begins the line on stderr.
        what_next: what a user can do after that.
    """
    begun: list[float] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not begun:
            begun.append(monotonic())
            raise KeyboardInterrupt
        if monotonic() - begun[0] > _SECONDS_OF_ONE_INTERRUPT:
            _end_at_once(f"{program}: stopped; {what_next}")

    _on_interrupt(interrupt)


def stopped(program: str, what_next: str) -> NoReturn:
    """Say in one line that the command was stopped, and leave."""
    print(f"{_new_line()}{program}: stopped; {what_next}", file=sys.stderr)
    sys.exit(STOPPED)


def _on_interrupt(handler: "signal.Handlers | object") -> None:
    """Answer Ctrl-C and SIGTERM so; what the caller has switched off (``nohup``) stays off."""
    if threading.current_thread() is not threading.main_thread():
        return  # only the main thread may set it
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _end_at_once(line: str) -> NoReturn:
    """End without unwinding: an interrupted import of torch or numpy raises anything at all."""
    os.write(2, f"{_new_line()}{line}\n".encode())
    os._exit(STOPPED)


def _new_line() -> str:
    """Return what ends the line on which a terminal has shown ^C, or a bar."""
    try:
        return "\n" if os.isatty(2) else ""
    except OSError:
        return ""
