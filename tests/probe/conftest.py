"""Modules draw their weights and masks from torch's generator: each test puts it back."""

import pytest
import torch


@pytest.fixture(autouse=True)
def generator_of_a_test():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
