"""Optimisers: torch's arithmetic bit for bit, for many runs at once, without its compiler."""

import subprocess
import sys

import pytest
import torch

from rnn_exp.training.optimizers import OPTIMIZERS

TORCHS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TORCHS)
def test_an_optimiser_takes_the_steps_of_torchs_own(name, dtype):
    draws = torch.Generator().manual_seed(0)
    flat = torch.randn(3, 7, generator=draws, dtype=dtype)
    leaf = flat.clone().requires_grad_()
    theirs, memory = TORCHS[name]([leaf], lr=0.03), OPTIMIZERS[name].memory(flat)

    for _ in range(20):
        leaf.grad = torch.randn(3, 7, generator=draws, dtype=dtype)
        theirs.step()
        OPTIMIZERS[name].step(flat, leaf.grad, memory, 0.03)

    assert torch.equal(flat, leaf.detach())


def test_training_does_not_import_torchs_compiler():
    code = (
        "import sys; from rnn_exp.training.experiment import train_runs\n"
        "from rnn_exp.training.run import Run\n"
        "from rnn_exp.training.settings import Training\n"
        "for name in ('sgd', 'adam', 'rmsprop'):\n"
        "    train_runs([Run(training=Training(2, optimizer=name))])\n"
        "assert 'torch._dynamo' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
