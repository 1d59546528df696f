"""Two commits' own code, run through the command line: the sweeps of the corpus and their reports.

The package's internals change from commit to commit; its command line and its files do not.
"""

import functools
import hashlib
import html
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import corpus_runs
from corpus_compare import RENAMED

__all__ = [
    "DOSES",
    "Side",
    "Sweep",
    "UsageError",
    "resolved",
    "side_of",
    "sweeps_of",
    "undrawn",
]

RUNS: Final = "runs"
_SMALL = "network.hidden_size=8 training.updates=4 training.batch_size=5 recording.every=1"
_TRAINED = f"{_SMALL} seed=0,1"
DOSES: Final[Mapping[str, str]] = {
    "adding": f"{_TRAINED} task.length=12",
    "cells": f"{_TRAINED} task.length=10,20",
    "copy_memory": f"{_TRAINED} task.length=6 task.symbols=2",
    "course": "",
    "decay": f"{_TRAINED} task.length=10,30 init.gain=0.5,1.3,16",
    "edge_of_chaos": "task.length=120 task.channels=8 network.hidden_size=24 "
    "init.input_scale=0.35,2.45 init.gain=0.8,1.2,2.15",
    "harm": f"{_TRAINED} training.updates=20 recording.every=5",
    "lyapunov": f"{_TRAINED} task.length=20 recording.every=3 recording.exponents=8 "
    "init.gain=0.5,1.1,2",
    "masking": "task.length=10,20 network.hidden_size=8 seed=0,1",
    "pascanu2013_cliff": "init.weight=4.5,5,5.5,6 init.bias=-3,-2.5,-2",
    "pascanu2013_fig7": f"{_TRAINED} task.length=10,20",
    "phase": f"{_TRAINED} training.updates=30 training.learning_rate=0.05 recording.every=3 "
    "task.length=10,20 init.gain=0.5,2,8",
    "remedies": f"{_TRAINED} task.length=20",
    "thresholds": "task.length=120 network.hidden_size=24 seed=0,1",
}
"""How little of a study is trained: minutes for all of them, yet every figure is drawn."""
_UNKNOWN_STUDY: Final = "training.updates=2"


class UsageError(Exception):
    """What was asked for is not there."""


class Side(NamedTuple):
    """The code of a commit, or of the working tree (no commit), in a folder of its own."""

    name: str
    commit: str | None
    code: Path

    def known(self, text: str) -> str:
        """Return a text of the corpus in the names that this side's configuration has."""
        there = _names_in(self.code / "conf")
        for old, new in RENAMED.items():
            if old in there and new not in there:
                text = re.sub(rf"\b{re.escape(new)}\b", old, text)
        return text


@functools.cache
def _names_in(conf: Path) -> set[str]:
    texts = [file.read_text("utf-8") for file in conf.rglob("*.yaml")]
    return {word for text in texts for word in re.findall(r"\w+", text)}


class Sweep(NamedTuple):
    """What is run: the many small runs, or a study and its report."""

    name: str
    words: tuple[str, ...]
    files: Mapping[str, str]

    @property
    def has_report(self) -> bool:
        """Whether figures are drawn of it."""
        return self.name != RUNS

    @property
    def digest(self) -> str:
        """A digest of all that decides the results, but for the code."""
        packages = [version(name) for name in ("torch", "numpy", "pandas", "pyarrow", "matplotlib")]
        machine = [platform.node(), platform.python_version(), *packages]
        content = json.dumps([self.name, self.words, dict(self.files), machine], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def resolved(repository: Path, revision: str) -> str:
    """Return the hash of a commit.

    Raises:
        UsageError: if the repository has no such commit.
    """
    try:
        return _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except UsageError:
        raise UsageError(f"{revision} is no commit of {repository}") from None


def side_of(repository: Path, name: str, commit: str | None, code: Path) -> Side:
    """Put the files of a commit, or of the working tree as it is, into a folder.

    Args:
        repository: the folder of the working tree.
        name: what the side is called where its results are told.
        commit: its hash; None for the working tree, with all that git does not ignore.
        code: the folder, which is made.

    Raises:
        UsageError: if git does not hand them out.
    """
    code.mkdir(parents=True)
    if commit is not None:
        _git(repository, "archive", f"--output={code}.tar", commit)
        with tarfile.open(f"{code}.tar") as archive:
            archive.extractall(code, filter="data")
        return Side(name, commit, code)
    listed = _git(repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for file in filter(None, listed.split("\0")):
        if (repository / file).is_file():  # one that git knows may have been removed
            (code / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / file, code / file)
    return Side(name, commit, code)


def _git(repository: Path, *words: str) -> str:
    ended = subprocess.run(
        ["git", "-C", repository, *words], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise UsageError(_last_line(ended.stderr) or f"git {words[0]} failed in {repository}")
    return ended.stdout.strip()


def sweeps_of(side: Side, dose: Mapping[str, str]) -> list[Sweep]:
    """Return what is run of a side: the small runs, and every study that it has.

    Args:
        side: the code.
        dose: values that every study is given in place of those of `DOSES`, by their keys.
    """
    rows = {path: side.known(text) for path, text in corpus_runs.files().items()}
    studies = ",".join(Path(path).stem for path in rows)
    subdir = "hydra.sweep.subdir=${hydra.runtime.choices.study}"
    small = ("--multirun", f"study={studies}", subdir, "hydra.launcher.processes=2")
    result = [Sweep(RUNS, small, rows)]
    for file in sorted((side.code / "conf" / "study").glob("*.yaml")):
        given = side.known(DOSES.get(file.stem, _UNKNOWN_STUDY)).split()
        values = {**dict(word.split("=", 1) for word in given), **dose}
        asked = [f"{key}={value}" for key, value in values.items()]
        words = (f"study={file.stem}", *asked, "hydra.launcher.processes=1")
        result.append(Sweep(file.stem, words, {}))
    return result


def run(side: Side, sweep: Sweep, place: Path) -> list[str]:
    """Train a sweep with a side's code into a folder and draw its figures; return what went wrong.

    Args:
        side: the code.
        sweep: what is run.
        place: the folder of its results. Its name decides which figures a report has.
    """
    conf = place.parent / "conf"
    for path, text in sweep.files.items():
        (conf / path).parent.mkdir(parents=True, exist_ok=True)
        (conf / path).write_text(text, encoding="utf-8")
    extra = ["--config-dir", str(conf)] if sweep.files else []
    sweep_words = [*extra, *sweep.words, f"hydra.sweep.dir={place.name}"]
    problems = _python(side, place.parent, "-m", "rnn_exp", *sweep_words)
    if sweep.has_report and place.is_dir():
        module, function = _report_command(side)
        code = f"from {module} import {function}; {function}()"
        problems += _python(side, place.parent, "-c", code, place.name)
        problems += undrawn(place / "report")
    return problems


def _report_command(side: Side) -> Sequence[str]:
    """Return the module and the function behind ``rnn-exp-report``."""
    project = tomllib.loads((side.code / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["scripts"]["rnn-exp-report"]).split(":")


def _python(side: Side, folder: Path, *words: str) -> list[str]:
    """Run a side's code in a folder, on one thread; return what went wrong, in at most one line."""
    environment = {**os.environ, "PYTHONPATH": str(side.code), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if not ended.returncode:
        return []
    return [_last_line(ended.stderr) or f"exit code {ended.returncode} without a word"]


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def undrawn(report: Path) -> list[str]:
    """Return the figures that a report's page speaks of and that are not there, and why."""
    page = report / "index.html"
    text = page.read_text("utf-8") if page.exists() else ""
    sections = re.findall(r'<section id="(\w+)">(.*?)</section>', text, re.DOTALL)
    refused = re.findall(r"<li><code>(\w+)</code>[^<]*: (Not drawn\. .*?)</li>", text, re.DOTALL)
    result, drawn = [f"figure {name}: {html.unescape(why)}" for name, why in refused], 0
    for name, section in sections:
        if f'href="{name}.csv"' in section and not (report / f"{name}.csv").exists():
            result.append(f"figure {name}: its table is missing")
        drawn += f'href="{name}.csv"' in section
    return result if drawn or result else ["no figure is drawn"]
