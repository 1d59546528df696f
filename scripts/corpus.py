"""Say whether two commits of this repository give the same results, byte for byte.

    python scripts/corpus.py HEAD~1               the working tree as it is, against this commit
    python scripts/corpus.py v0.1.0 HEAD          a commit against another
    python scripts/corpus.py HEAD --only runs     not the studies (or: studies, or decay,harm)
    python scripts/corpus.py HEAD --keep FOLDER   a commit that was run before is not run again

Some 240 small runs that hold every pair of settings, and a small dose of every study with its
report, are run with the code of either side on this machine: bits depend on the processor. The last
line is the verdict. Exit code 0: the same; 1: different, or something failed; 2: no answer.
"""

import argparse
import difflib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from corpus_compare import Compared, compared, only_in, page_text
from corpus_sweeps import RUNS, Side, Sweep, UsageError, resolved, run, side_of, sweeps_of
from corpus_verdict import verdict

__all__ = ["main"]

_ROOT: Final = Path(__file__).resolve().parents[1]
_STUDIES: Final = "studies"
_AT_ONCE: Final = 2
_SIDES: Final = ("base", "HEAD")


class _Job(NamedTuple):
    """A sweep to be run with a side's code; ``reuse``: not if its results are in ``folder``."""

    side: Side
    sweep: Sweep
    folder: Path
    reuse: bool

    @property
    def place(self) -> Path:
        """The folder of the results, below one of the job's own."""
        return self.folder / f"{self.sweep.name}-{self.sweep.digest}" / self.sweep.name


def main(words: Sequence[str] | None = None, repository: Path = _ROOT) -> int:
    """Run both sides, print what differs, and return the exit code."""
    given = _options().parse_args(words)
    try:
        with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
            return _compare(given, repository, Path(folder))
    except (UsageError, OSError) as error:
        print(f"corpus.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("corpus.py: stopped", file=sys.stderr)
        return 130


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        "corpus.py", description="Do two commits give the same results, byte for byte?"
    )
    options.add_argument("base", help="a commit")
    options.add_argument("head", nargs="?", help="a commit (default: the working tree as it is)")
    options.add_argument(
        "--only", default="", help="a list of: runs, studies, the name of a study (default: all)"
    )
    options.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where the results of commits are kept"
    )
    options.add_argument(
        "--dose",
        nargs="+",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="values for all studies, in place of those of their small doses",
    )
    options.add_argument(
        "--captions", action="store_true", help="show how the words of the reports differ"
    )
    return options


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{word} is not KEY=VALUE")
    return key, value


def _compare(given: argparse.Namespace, repository: Path, temporary: Path) -> int:
    jobs = _jobs(given, repository, temporary)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failures = list(pool.map(_carried_out, jobs))
    problems = [
        f"{job.side.name}: {job.sweep.name}: {failure}"
        for job, found in zip(jobs, failures, strict=True)
        for failure in found
    ]
    base, head = (
        {job.sweep.name: job.place for job in jobs if job.side.name == name} for name in _SIDES
    )
    told = verdict([*_files(base, head)], problems)
    print("\n".join([*(_words(base, head) if given.captions else []), *told.lines]))
    return 0 if told.same else 1


def _jobs(given: argparse.Namespace, repository: Path, temporary: Path) -> list[_Job]:
    """Return what is to be run, both sides of a sweep next to each other."""
    base = resolved(repository, given.base)
    head = resolved(repository, given.head) if given.head else None
    result = []
    for name, commit in zip(_SIDES, (base, head), strict=True):
        side = side_of(repository, name, commit, temporary / name / "code")
        # A commit against itself is run twice: that tells what does not come out the same again.
        reuse = commit is not None and (name, head) != ("HEAD", base)
        folder = (given.keep or temporary).absolute() / (commit if commit and reuse else name)
        sweeps = sweeps_of(side, dict(given.dose))
        result += [_Job(side, sweep, folder, reuse) for sweep in sweeps]
    asked = set(filter(None, given.only.split(",")))
    if unknown := asked - {RUNS, _STUDIES, *(job.sweep.name for job in result)}:
        raise UsageError(f"--only {','.join(sorted(unknown))}: there is no such study")
    chosen = [job for job in result if not asked or asked & {job.sweep.name, _part(job.sweep.name)}]
    return sorted(chosen, key=lambda job: (job.sweep.name != RUNS, job.sweep.name))


def _part(sweep: str) -> str:
    return RUNS if sweep == RUNS else _STUDIES


def _carried_out(job: _Job) -> list[str]:
    """Run a sweep unless that was done before; return what went wrong."""
    own, begun = job.place.parent, time.perf_counter()
    done = own / "done"
    if job.reuse and done.exists():
        print(f"{job.side.name}: {job.sweep.name}, kept", file=sys.stderr)
        return []
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    failures = run(job.side, job.sweep, job.place)
    if not failures:
        done.touch()
    seconds = time.perf_counter() - begun
    print(f"{job.side.name}: {job.sweep.name}, {seconds:.0f} s", file=sys.stderr)
    return failures


def _files(base: Mapping[str, Path], head: Mapping[str, Path]) -> Iterator[Compared]:
    """Compare the results of every sweep of both sides; a study that HEAD alone has is noted."""
    for name in dict.fromkeys([*base, *head]):
        if name in base and name in head:
            yield from compared(_part(name), base[name], head[name])
        else:
            side = "base" if name in base else "HEAD"
            change = only_in(side)._replace(weighs=side == "base")
            yield Compared(_part(name), "study", name, [change])


def _words(base: Mapping[str, Path], head: Mapping[str, Path]) -> Iterator[str]:
    """Return how the words of the pages differ, as diffs."""
    for name in base:
        pages = [sides.get(name, Path()) / "report" / "index.html" for sides in (base, head)]
        if all(page.exists() for page in pages):
            old, new = map(page_text, pages)
            names = f"base/{name}", f"HEAD/{name}"
            yield from difflib.unified_diff(old, new, *names, n=0, lineterm="")


if __name__ == "__main__":
    sys.exit(main())
