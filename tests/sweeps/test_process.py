"""The process is settled by its entry points, never at import."""

import os
import subprocess
import sys

import pytest

from rnn_exp.arithmetic import ask_for_strict_products


def python(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.split()


def test_importing_the_package_changes_no_setting_of_the_process():
    program = """
import os, torch
before = dict(os.environ), torch.get_num_threads(), torch.random.initial_seed()
import rnn_exp, rnn_exp.app, rnn_exp.training.experiment, rnn_exp.commands
print((dict(os.environ), torch.get_num_threads(), torch.random.initial_seed()) == before)
"""
    assert python(program) == ["True"]


def test_settling_asks_for_reproducible_products_but_leaves_the_users_choice():
    program = """
import os
from rnn_exp.sweeps import process
process.settle(); process.use_one_thread()
import torch
print(os.environ["MKL_CBWR"], torch.get_num_threads())
"""
    assert python(program) == ["AUTO,STRICT", "1"]
    assert python(program, MKL_CBWR="COMPATIBLE") == ["COMPATIBLE", "1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "AUTO,STRICT"), (" ", "AUTO,STRICT"), ("COMPATIBLE", "COMPATIBLE"), ("AUTO", "AUTO")],
)
def test_a_setting_that_says_nothing_is_as_one_that_is_not_there(monkeypatch, before, after):
    monkeypatch.setenv("MKL_CBWR", before)

    ask_for_strict_products()

    assert os.environ["MKL_CBWR"] == after
