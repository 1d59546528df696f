"""What a user imports: every public name is there, and none is imported before it is asked for."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import rnn_exp
from rnn_exp import theory
from rnn_exp.training.experiment import UnsettledWarning, train_runs


def small(seed=0):
    return rnn_exp.Run(
        rnn_exp.tasks.Adding(6),
        rnn_exp.Network(hidden_size=5),
        rnn_exp.inits.Gaussian(0.8),
        rnn_exp.Training(updates=3, batch_size=4),
        seed=seed,
    )


@pytest.mark.parametrize("module", [rnn_exp, theory])
def test_every_public_name_is_there(module):
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module) or module is theory
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


def test_importing_the_package_imports_neither_torch_nor_pandas():
    code = (
        "import sys, rnn_exp, rnn_exp.theory, rnn_exp.schema, rnn_exp.fields, rnn_exp.registry\n"
        "assert not {'torch', 'pandas', 'hydra', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_runs_trained_from_python_have_the_bits_they_have_alone():
    together = rnn_exp.train([small(seed) for seed in range(4)])

    for outcome in together:
        [alone] = rnn_exp.train([outcome.run])
        for column, values in alone.gradients.items():
            np.testing.assert_array_equal(outcome.gradients[column], values)


def test_training_from_python_leaves_torchs_threads_as_they_were():
    torch.set_num_threads(2)
    try:
        seen = []
        rnn_exp.train([small()], lambda _: seen.append(torch.get_num_threads()))
        assert (set(seen), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(1)


def test_a_process_that_is_not_settled_is_told_so(monkeypatch):
    monkeypatch.delenv("MKL_CBWR", raising=False)
    with pytest.warns(UnsettledWarning, match="last bits may depend on the runs beside it"):
        train_runs([small()])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rnn_exp.train([small()])
    assert os.environ["MKL_CBWR"]


def test_the_lines_of_the_readme_from_python_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    [block] = re.findall(r"## From Python\n+```python\n(.*?)```", text, flags=re.DOTALL)

    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})

    lines = capsys.readouterr().out.splitlines()
    assert [("-tanh-" in line, "-sigmoid-" in line) for line in lines[:6]] == [
        *[(True, False)] * 3,
        *[(False, True)] * 3,
    ]
    assert lines[-1].startswith("MeanField(")
    assert not any(tmp_path.iterdir()), "the README says that nothing is written"
