"""Run the benchmarks and write what they print as a page, with the machine, the day, the versions.

    python scripts/benchmark_page.py docs/background/benchmarks.md   all (a quarter of an hour)
    python scripts/benchmark_page.py docs/background/benchmarks.md --quick  small ones

It needs JAX and Dask (the extras ``bench`` and ``dask``). What misses its goal is printed as
MISSED, and counted.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rnn_exp.arithmetic import processor

_HERE = Path(__file__).resolve().parent
_LIBRARIES = ("rnn-exp", "torch", "numba", "llvmlite", "numpy", "jax", "jaxlib", "hydra-core")


class Part(NamedTuple):
    """A benchmark: its heading, what it is, its script and words, and the words of a quick try."""

    heading: str
    what: str
    script: str
    words: tuple[str, ...] = ()
    quick: tuple[str, ...] = ("--seconds", "0.2")


_PARTS = (
    Part(
        "One update",
        "Updates that record, beside others' and beside our own that record nothing.",
        "benchmark.py",
        ("--seconds", "1.5"),
    ),
    Part(
        "Beside NumPy and JAX",
        "An update with all norms, and the same network by hand. There the weights move by clipped "
        "SGD; ours, and torch's, by Adam.",
        "benchmark_peers.py",
        ("--seconds", "1.5"),
    ),
    Part(
        "Sizes, precisions, cells",
        "A run alone and 32 at once, beside torch's fused modules, JAX, and the floor: the same "
        "multiplications and tanh at the greatest speed that was measured for them.",
        "benchmark_grid.py",
        quick=("--quick", "--seconds", "0.2"),
    ),
    Part(
        "A sweep",
        "From the shell to the last file: 96 small runs.",
        "benchmark_sweep.py",
        quick=("--quick",),
    ),
    Part(
        "Ten thousand runs",
        "Tiny ones, from one command on two processes, by the clock.",
        "benchmark_scale.py",
        quick=("--runs", "300"),
    ),
    Part(
        "Ten thousand runs on Dask",
        "The same on a cluster of two workers on this machine.",
        "benchmark_scale.py",
        ("--dask",),
        ("--dask", "--runs", "300"),
    ),
)


def ran(part: Part, *, quick: bool) -> str:
    """Run a benchmark and return its section of the page.

    Raises:
        CalledProcessError: if it fails.
    """
    words = part.quick if quick else part.words
    begun = time.monotonic()
    found = subprocess.run(
        [sys.executable, str(_HERE / part.script), *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_HERE.parent)},
    ).stdout.rstrip()
    print(f"{part.script}: {time.monotonic() - begun:.0f} s", flush=True)
    command = " ".join(["python", f"scripts/{part.script}", *words])
    return f"## {part.heading}\n\n{part.what} `{command}`\n\n```text\n{found}\n```\n"


def page(sections: list[str]) -> str:
    """Return the page."""
    text = "\n".join(sections)
    missed, met = text.count("MISSED"), text.count(" met")
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    day = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    system = f"{platform.system()}, Python {platform.python_version()}"
    return f"""# Benchmarks

Made by `make bench` on {day}, on {processor()} ({os.cpu_count()} cores, {system}), one thread a
process. {versions}.

Ratios are ours over theirs: below 1 we are quicker. Updates take turns with their rivals in one
process, and what is counted is the processor's time, so that a busy machine disturbs ratios little;
milliseconds are those of this machine as busy as it was. Commands are processes of their own, timed
by the clock where nothing else is said. Goals met: {met}; missed: {missed}.

{text}"""


def main() -> None:
    """Write the page."""
    options = argparse.ArgumentParser(description="the page of benchmarks")
    options.add_argument("page", type=Path, help="where to write it")
    options.add_argument("--quick", action="store_true", help="small ones, to try it")
    chosen = options.parse_args()
    text = page([ran(part, quick=chosen.quick) for part in _PARTS])
    chosen.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
