"""What is recorded of nn.RNN, nn.GRU and nn.LSTM is exact: the oracle unrolls every sequence."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rnn_exp import record_gradients
from tests.probe import calls
from tests.probe.calls import Form
from tests.probe.unrolled import columns

DIRECTIONS = ("forward", "backward")


def recorded(form, module, sequences, initial):
    with record_gradients(module, reduction=form.reduction) as recording:
        calls.loss_of_call(form, *calls.call(form, module, sequences, initial)).backward()
    return recording.to_frame()


def expected(form, module, sequences, initial, masks=None):
    unrolled = calls.through_oracle(module, sequences, initial, masks)
    calls.loss_of_oracle(form, unrolled).backward()
    return columns(unrolled, form.reduction == "mean")


def compare(frame, wanted, apart=1e-9):
    """Every column of every row; where nothing is there to be lost, the status says so."""
    assert len(frame) == sum(len(each["log10_total"]) for each in wanted.values())
    for (layer, direction), own in wanted.items():
        rows = frame[(frame["layer"] == layer) & (frame["direction"] == DIRECTIONS[direction])]
        T = len(own["log10_total"])
        assert rows["lag"].tolist() == list(range(T - 1, -1, -1))
        times = range(T, 0, -1) if direction else range(1, T + 1)
        assert rows["time"].tolist() == list(times)
        for name, values in own.items():
            np.testing.assert_allclose(
                rows[name].to_numpy(dtype=float), values, rtol=0, atol=apart, err_msg=name
            )
        zeros = [value == -math.inf for value in own["log10_total"]]
        assert (rows["status"] == np.where(zeros, "zero", "ok")).all()


@settings(max_examples=100)
@given(calls.forms())
def test_every_column_of_every_form_of_a_call_is_that_of_the_module_one_step_at_a_time(form):
    module = calls.module_of(form)
    sequences, initial = calls.sequences_of(form), calls.initial_of(form, module)
    frame = recorded(form, module, sequences, initial)
    compare(frame, expected(form, module, sequences, initial))
