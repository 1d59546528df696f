"""What the commands have in common: refusals of one line, options, and how they are stopped.

Everything here needs the standard library alone, so that Ctrl-C is answered from the first moment
on, while Python still imports the rest.
"""

import argparse
import io
import os
import re
import signal
import sys
import threading
import traceback
from time import monotonic
from types import FrameType
from typing import NoReturn

__all__ = [
    "STOPPED",
    "Options",
    "begin",
    "interruptible",
    "leave",
    "line_of",
    "one_line",
    "printable",
    "stopped",
]

STOPPED = 130
"""The exit code of a command that was stopped by Ctrl-C or by SIGTERM."""

_LONGEST_LINE, _LONGEST_PATH = 2000, 200
_SECONDS_OF_ONE_INTERRUPT = 1.0  # `timeout` sends its signal twice: to the process and to its group


def begin(program: str) -> None:
    """Set what has to hold before anything else is imported.

    Ctrl-C and SIGTERM end the process at once, in one line: nothing is half done. A sign that the
    terminal cannot show is printed as an escape.

    Args:
        program: the name that begins each line on stderr.
    """
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


def leave(program: str, why: str) -> NoReturn:
    """Refuse in one line on stderr, with exit code 1."""
    sys.exit(f"{program}: {one_line(why)}")


def printable(text: object) -> str:
    r"""Return a text without what would move or colour a terminal.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode()
        for sign in str(text)
    )


def one_line(text: str) -> str:
    r"""Return a text as one line that a terminal can show, of a length that can be read.

    Example:
        >>> one_line("no\n   such\tfile\0")
        'no such file\\x00'
    """
    # What torch's C++ appends: the frames of its own stack.
    line = printable(" ".join(text.partition("\nException raised from")[0].split()))
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]} … {line[-half:]}"


def line_of(error: BaseException) -> str:
    """Return one line about an error of the operating system, or one that nobody foresaw.

    Example:
        >>> line_of(FileNotFoundError(2, "No such file or directory", "a"))
        'a: No such file or directory'
        >>> line_of(ValueError("no number"))
        'no number'
    """
    if isinstance(error, OSError):
        where, why = str(error.filename or ""), str(error.strerror or error)
        if len(where) > _LONGEST_PATH:
            where = f"{where[: _LONGEST_PATH // 2]}… ({len(where)} letters)"
        return one_line(f"{where}: {why}" if where else why)
    if isinstance(error, RecursionError):
        return "something is nested too deeply"
    if isinstance(error, ValueError) and str(error):
        return one_line(str(error))
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {os.path.basename(at.filename)}:{at.lineno}" for at in last)  # noqa: PTH119
    return one_line(
        f"unexpected {type(error).__name__}{place}: {error} (with HYDRA_FULL_ERROR=1 in the "
        "environment the traceback is shown)"
    )


class Options(argparse.ArgumentParser):
    """A parser of options that refuses in one line, without the usage of all options."""

    def error(self, message: str) -> NoReturn:
        """Leave with the message alone."""
        words = re.sub(r"^argument (-[^:]*): ", r"\1: ", message)
        leave(self.prog, f"{words} ({self.prog} --help shows what there is)")


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
