"""Autocast of the program around a backward pass does nothing to what is computed here."""

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from rnn_exp import record_gradients
from tests.probe.test_precision import under_autocast

# torch says once in a process that it has no quick kernel for these.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

MODULES = {
    "rnn": lambda: nn.RNN(3, 6, 2),
    "gru": lambda: nn.GRU(3, 6),
    "gru_2": lambda: nn.GRU(3, 6, 2, bidirectional=True),
    "lstm": lambda: nn.LSTM(3, 6, 2),
    "projected": lambda: nn.LSTM(3, 6, proj_size=4),
}


def on():
    return torch.autocast("cpu", torch.bfloat16)


def recorded(make, is_within, is_island=False):
    """Return rows, and the state of autocast after them, of one backward pass."""
    torch.manual_seed(3)
    module, x = make(), torch.randn(10, 4, 3)
    with record_gradients(module) as recording:
        if is_island:
            with on(), torch.autocast("cpu", enabled=False):
                outputs = module(x)[0]
        else:
            outputs = under_autocast(module, x)[0]
        loss = outputs[-1].float().square().mean()
        if is_within:
            with on():
                loss.backward()
                assert torch.is_autocast_enabled("cpu")
                assert (x[0] @ x[0].mT).dtype == torch.bfloat16
        else:
            loss.backward()
    return recording.to_frame(), [weight.grad for weight in module.parameters()]


@pytest.mark.parametrize("is_island", [False, True])
@pytest.mark.parametrize("kind", MODULES)
def test_rows_of_a_backward_pass_in_autocast_are_those_of_one_outside_it(kind, is_island):
    inside, outside = (recorded(MODULES[kind], within, is_island) for within in (True, False))
    assert_frame_equal(inside[0], outside[0], check_exact=True)


@pytest.mark.parametrize("kind", MODULES)
def test_a_backward_pass_in_autocast_gives_the_weights_what_it_gives_without_recording(kind):
    _, gradients = recorded(MODULES[kind], True)
    torch.manual_seed(3)
    module, x = MODULES[kind](), torch.randn(10, 4, 3)
    with on():
        under_autocast(module, x)[0][-1].float().square().mean().backward()
    assert all(map(torch.equal, gradients, (weight.grad for weight in module.parameters())))
