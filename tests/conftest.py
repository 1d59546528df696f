"""Every test: the process as the command line settles it, no use of torch's global generator."""

import functools
import gc
import os
import signal
import sys
from pathlib import Path

import hypothesis
import matplotlib
import pytest
import torch
from matplotlib.mathtext import MathTextParser

import rnn_exp
import tests.typecheck  # noqa: F401 - before the package, whose functions it checks
from rnn_exp.networks import Network
from rnn_exp.networks.kernel.keeping import compile_for
from rnn_exp.sweeps import process
from tests import read_once
from tests.attempts import HELD, TRIED, Attempts, summary
from tests.dose import dose

# What pytest and jaxtyping make of a module is compiled once, not by each of hundreds of processes.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A shell that starts the tests in the background has Ctrl-C ignored by all they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
process.settle()
process.use_one_thread()
read_once.start()
# Kernels are compiled once for a processor, before a test looks at what a command says meanwhile.
# Of two processes of pytest one begins at the end, and each finds what the other has compiled.
for dtype in ("float32", "float64")[:: -1 if os.environ.get("PYTEST_XDIST_WORKER") == "gw1" else 1]:
    for cell in ("rnn", "gru", "lstm"):
        compile_for([Network(cell=cell, dtype=dtype).decided("cpu")], print)
# Hydra looks for plugins once in a process, whichever test is the first to compose something.
sys.path.append(str(Path(rnn_exp.__file__).parent / "_hydra"))
matplotlib.use("agg")
# Formulas are parsed once in a process: matplotlib remembers fifty, and all figures have hundreds.
MathTextParser._parse_cached = functools.cache(MathTextParser._parse_cached.__wrapped__)
# No limits of time: how long an example takes depends on what else the machine does.
hypothesis.settings.register_profile(
    "quick",
    max_examples=dose(10, 25),
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("quick")


def pytest_itemcollected(item):
    """Mark what hypothesis makes examples for: `make slow` makes more of them."""
    if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        item.add_marker(pytest.mark.dosed)


def pytest_collection_finish():
    """Leave the modules and the tests, which stay, out of every later search for cycles."""
    gc.freeze()


@pytest.fixture(autouse=True)
def signals_are_answered_as_before():
    """A command that runs in this process sets its own answer to Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def the_global_generator_is_left_alone():
    """No draw of the package may touch torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


@pytest.fixture
def attempts(request):
    """Counts what a crash test tries; all counts are one line at the end."""
    counts = Attempts(lambda name, count: request.node.user_properties.append((name, count)))
    yield counts
    counts.close()


_counted: list[tuple[str, object]] = []


def pytest_runtest_logreport(report):
    """Collect the counts of a test that has ended, also from other processes."""
    if report.when == "teardown":
        _counted.extend(
            pair for pair in report.user_properties if pair[0].startswith((TRIED, HELD))
        )


def pytest_terminal_summary(terminalreporter):
    """Print the counts of the crash tests."""
    if _counted:
        terminalreporter.write_line(f"crash tests: {summary(_counted)}")
