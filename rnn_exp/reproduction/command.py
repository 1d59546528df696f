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
    """Measure, write and print; return 1 if a claim could not be measured, and 0 if all could."""
    options = _options(claims)
    given = options.parse_args(words)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        options.error(f"{given.out}: {error.strerror}")
    process.settle()
    process.use_one_thread()
    chosen = [claim for claim in claims if not given.only or claim.group in given.only]
    rows: list[Row] = []
    try:
        _measure(given, chosen, rows)
    except KeyboardInterrupt:
        options.exit(
            130,
            f"{options.prog}: stopped with {len(rows)} of {len(chosen)} claims "
            f"measured; they are in {given.out}\n",
        )
    print((given.out / _MARKDOWN).read_text(encoding="utf-8"), end="")
    return 1 if any(row.failure for row in rows) else 0


def _measure(given: argparse.Namespace, chosen: Sequence[Claim], rows: list[Row]) -> None:
    """Measure the chosen claims into ``rows``; the files always hold what there is of them."""
    processes, begun = min(process.cores(), len(chosen)), time.perf_counter()
    for row in reproduce(chosen, given.quick, processes):
        rows.append(row)
        made_by = _made_by(given, processes, time.perf_counter() - begun)
        ordered = in_order(rows, chosen)
        replace_bytes(given.out / _MARKDOWN, as_markdown(ordered, made_by).encode())
        replace_bytes(given.out / _CSV, as_csv(ordered).encode())
        _tell(row, len(rows), len(chosen))


def _options(claims: Sequence[Claim]) -> argparse.ArgumentParser:
    groups = list(dict.fromkeys(claim.group for claim in claims if claim.goal))

    def chosen(text: str) -> list[str]:
        wanted = text.upper().replace(",", " ").split()
        if unknown := [group for group in wanted if group not in groups]:
            known = ", ".join(groups)
            raise argparse.ArgumentTypeError(f"no claim {', '.join(unknown)}; there are {known}")
        return wanted

    options = argparse.ArgumentParser(
        "reproduce.py", description="Make published results again and put ours beside them."
    )
    add = options.add_argument
    add("--quick", action="store_true", help="fewer and smaller runs, as the table says (minutes)")
    add("--only", type=chosen, metavar="H6,H8", help="these claims alone")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        default=Path("outputs/reproduce"),
        help="where results.md and results.csv go (default: %(default)s)",
    )
    return options


def _made_by(given: argparse.Namespace, processes: int, seconds: float) -> str:
    only = f" --only {shlex.quote(','.join(given.only))}" if given.only else ""
    quick = " --quick" if given.quick else ""
    one = f"on {processes} cores, one process each" if processes > 1 else "on one core"
    with_what = f"rnn-exp {version('rnn-exp')}, torch {torch.__version__}"
    return (
        f"Made by `python scripts/reproduce.py{quick}{only}` {one}, in {seconds / 60:.1f} minutes: "
        f"{with_what}, Python {platform.python_version()}."
    )


def _tell(row: Row, done: int, of: int) -> None:
    """Say on the terminal, if there is one, how a claim stands."""
    if sys.stderr.isatty():
        print(
            f"[{done}/{of}] {row.claim.group} {row.claim.says}: {row.verdict}, {row.ours} "
            f"({row.seconds:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
