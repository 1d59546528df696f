"""The process is settled by its entry points, never at import."""

import os
import subprocess
import sys

import pytest

from rnn_exp.arithmetic import ask_for_strict_products


@pytest.fixture(scope="module")
def told():
    """What a process says of itself: after the imports, settled, and settled as its user wants."""
    program = """
import os, sys, torch
before = dict(os.environ), torch.get_num_threads(), torch.random.initial_seed()
import rnn_exp, rnn_exp.app, rnn_exp.training.experiment, rnn_exp.commands
print((dict(os.environ), torch.get_num_threads(), torch.random.initial_seed()) == before)

from rnn_exp.sweeps import process
torch.set_num_threads(2)
process.settle(); process.use_one_thread()
print(os.environ["MKL_CBWR"], torch.get_num_threads())
os.environ["MKL_CBWR"] = "COMPATIBLE"
process.settle()
print(os.environ["MKL_CBWR"])

import tempfile
from pathlib import Path
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.worker import train_jobs
run = rnn_exp.Run(training=rnn_exp.Training(updates=1))
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "run").mkdir()
    [result] = train_jobs([Job(run, Path(folder) / "run")])
print(result.status, [name for name in ("sympy", "pandas") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={}
    )
    return done.stdout.splitlines()


def test_importing_the_package_changes_no_setting_of_the_process(told):
    assert told[0] == "True"


def test_settling_asks_for_reproducible_products_but_leaves_the_users_choice(told):
    assert told[1:3] == ["AUTO,STRICT 1", "COMPATIBLE"]


def test_a_worker_imports_neither_pandas_nor_what_torch_calculates_with_symbols_with(told):
    assert told[3] == "finished []"  # most of a second of every process


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "AUTO,STRICT"), (" ", "AUTO,STRICT"), ("COMPATIBLE", "COMPATIBLE"), ("AUTO", "AUTO")],
)
def test_a_setting_that_says_nothing_is_as_one_that_is_not_there(monkeypatch, before, after):
    monkeypatch.setenv("MKL_CBWR", before)

    ask_for_strict_products()

    assert os.environ["MKL_CBWR"] == after
