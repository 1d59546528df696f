"""The command ``scripts/reproduce.py``: measure the claims, write their table, print it."""

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch

from rnn_exp.reproduction import CLAIMS, Claim
from rnn_exp.reproduction.measuring import Row, as_csv, as_markdown, in_order, reproduce
from rnn_exp.storage.files import replace_bytes
from rnn_exp.sweeps import process

__all__ = ["main"]

_MARKDOWN, _CSV = "results.md", "results.csv"


def main(words: Sequence[str] | None = None, claims: Sequence[Claim] = CLAIMS) -> int:
    """Measure claims, write their table and print it.

    Args:
        words: the words of the command line after the command; None: those of this process.
        claims: what there is to choose from.

    Returns:
        The exit code: 1 if a claim could not be measured, and 0 if all could.
    """
    parser = _parser(claims)
    options = parser.parse_args(words)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{options.out}: {error.strerror}")
    process.settle()
    process.use_one_thread()
    chosen = [claim for claim in claims if not options.only or claim.group in options.only]
    rows: list[Row] = []
    try:
        _measure(options, chosen, rows)
    except KeyboardInterrupt:
        parser.exit(
            130,
            f"{parser.prog}: stopped with {len(rows)} of {len(chosen)} claims "
            f"measured; they are in {options.out}\n",
        )
    print((options.out / _MARKDOWN).read_text(encoding="utf-8"), end="")
    return 1 if any(row.failure for row in rows) else 0


def _parser(claims: Sequence[Claim]) -> argparse.ArgumentParser:
    """Return the parser of the command line; ``--only`` takes the groups that have a goal."""
    groups = list(dict.fromkeys(claim.group for claim in claims if claim.goal))

    def only(text: str) -> list[str]:
        names = text.lower().replace(",", " ").split()
        if unknown := [name for name in names if name not in groups]:
            there_are = ", ".join(groups)
            raise argparse.ArgumentTypeError(
                f"no claims are called {', '.join(unknown)}; there are {there_are}"
            )
        return names

    parser = argparse.ArgumentParser(
        "reproduce.py", description="Make published results again and put ours beside them."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer and smaller runs, as the table says (minutes)")
    add("--only", type=only, metavar="NAME,NAME", help=f"these claims alone: {', '.join(groups)}")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=Path("outputs/reproduce"),
        help="where results.md and results.csv go (default: %(default)s)",
    )
    return parser


def _measure(options: argparse.Namespace, chosen: Sequence[Claim], rows: list[Row]) -> None:
    """Measure the chosen claims into ``rows``; the files always hold all rows there are."""
    processes, begun = min(process.cores(), len(chosen)), time.perf_counter()
    for row in reproduce(chosen, options.quick, processes):
        rows.append(row)
        made_by = _made_by(options, processes, time.perf_counter() - begun)
        ordered = in_order(rows, chosen)
        replace_bytes(options.out / _MARKDOWN, as_markdown(ordered, made_by).encode())
        replace_bytes(options.out / _CSV, as_csv(ordered).encode())
        _show_progress(row, len(rows), len(chosen))


def _made_by(options: argparse.Namespace, processes: int, seconds: float) -> str:
    """Return how the table was made: the command, the machine, the versions."""
    only = f" --only {shlex.quote(','.join(options.only))}" if options.only else ""
    quick = " --quick" if options.quick else ""
    where = f"on {processes} cores, one process each" if processes > 1 else "on one core"
    versions = f"rnn-exp {version('rnn-exp')}, torch {torch.__version__}"
    return (
        f"Made by `python scripts/reproduce.py{quick}{only}` {where}, in {seconds / 60:.1f} "
        f"minutes: {versions}, Python {platform.python_version()}."
    )


def _show_progress(row: Row, done: int, total: int) -> None:
    """Print how a claim stands on the terminal, if there is one."""
    if sys.stderr.isatty():
        print(
            f"[{done}/{total}] {row.claim.group}, {row.claim.says}: {row.verdict}, {row.ours} "
            f"({row.seconds:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
