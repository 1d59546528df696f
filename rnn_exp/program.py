"""What the commands have in common: refusals of one line, and options that are refused so too."""

import argparse
import os
import re
import sys
import traceback
from pathlib import Path
from typing import NoReturn

__all__ = [
    "Options",
    "conf_folder",
    "end_after_lost_output",
    "leave",
    "line_of",
    "one_line",
    "printable",
]

_LONGEST_LINE, _LONGEST_PATH = 2000, 200


def conf_folder() -> Path:
    """Return the folder of this package's configurations, installed or beside its source."""
    here = Path(__file__).parent
    return here / "conf" if (here / "conf").is_dir() else here.parent / "conf"


def leave(program: str, why: str) -> NoReturn:
    """Refuse in one line on stderr, with exit code 1."""
    sys.exit(f"{program}: {one_line(why)}")


def end_after_lost_output(program: str, error: OSError) -> NoReturn:
    """End a command whose output nobody takes: with a line, but for a reader who has enough."""
    # Python itself would try once more to write what is left, and complain.
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if isinstance(error, BrokenPipeError):
        sys.exit(0)
    leave(program, f"the output cannot be written: {error.strerror or error}")


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
