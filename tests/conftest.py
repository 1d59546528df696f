"""Every test: one torch thread, no torch-wide random state, settings of the real command line."""

import os

# Before torch is imported, as rnn_exp.app does: the bits of a matrix product must not depend on
# where the matrix lies in memory.
os.environ["MKL_CBWR"] = "AUTO,STRICT"
os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
hypothesis.settings.load_profile("quick")


@pytest.fixture(autouse=True)
def the_global_generator_is_left_alone():
    """No draw of the package may touch torch's global generator."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())
