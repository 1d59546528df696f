"""No norm is lost, whatever the precision of training; and what training lost is marked."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from rnn_exp import record_gradients
from rnn_exp.probe import profile
from rnn_exp.probe.fused import FusedCalls
from rnn_exp.probe.replay import layers_of
from rnn_exp.probe.updates import Scale
from tests.probe import calls
from tests.probe.calls import Form
from tests.probe.unrolled import columns
from tests.probe.unrolled import step as step_of

GATED = [Form(kind, 2, bidirectional=True, lengths=(5, 3)) for kind in calls.KINDS]
GATED.append(Form("lstm", 2, proj=2, lengths=(5, 3), layout="packed"))


@pytest.mark.parametrize("form", GATED, ids=lambda form: f"{form.kind}-{form.proj}")
def test_in_float32_it_is_the_gradient_of_the_float64_program_to_single_precision(form):
    form = dataclasses.replace(form, dtype=torch.float32, layout="packed")
    module = calls.module_of(form)
    sequences = calls.sequences_of(form)
    with record_gradients(module) as recording:
        calls.loss_of_call(form, *calls.call(form, module, sequences, ())).backward()
    unrolled = calls.through_oracle(module, sequences, ())
    calls.loss_of_oracle(form, unrolled).backward()
    frame = recording.to_frame()
    for (layer, direction), own in columns(unrolled, is_mean=True).items():
        rows = frame[(frame["layer"] == layer)]
        rows = rows[rows["direction"] == ("forward", "backward")[direction]]
        for name, values in own.items():
            np.testing.assert_allclose(rows[name].to_numpy(dtype=float), values, atol=1e-5)


def under_autocast(module, x):
    """Return what a module does in bfloat16; a processor may have no LSTM for it."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            return module(x)
    except RuntimeError as error:
        if "primitive" not in str(error):
            raise
        pytest.skip(f"torch cannot do this on this processor: {str(error)[:60]}")


@pytest.mark.parametrize("kind", calls.KINDS)
def test_under_bfloat16_autocast_it_is_that_of_the_states_that_training_has_rounded(kind):
    """Products have 8 bits: they are 2⁻⁹ off, and a gradient made of 5 of them, with weights
    of 8 bits, a few per cent; 0.03 decades are 7 %. What follows from the states is in float32.
    """
    form = Form(kind, lengths=(5, 5), dtype=torch.float32)
    module = calls.module_of(form)
    sequences = calls.sequences_of(form)
    with record_gradients(module) as recording:
        outputs, _ = under_autocast(module, torch.stack(sequences, 1))
        loss = calls.loss_of(form, outputs.unbind(1), outputs, None)
        loss.backward()
    unrolled = calls.through_oracle(module, sequences, ())
    calls.loss_of_oracle(form, unrolled).backward()
    frame, own = recording.to_frame(), columns(unrolled, is_mean=True)[0, 0]
    for name in ("log10_total", "log10_direct", "state_rms", "log10_memory"):
        if name in own:
            np.testing.assert_allclose(frame[name].to_numpy(dtype=float), own[name], atol=0.03)


def with_rate(rate, steps, dtype, kind="identity"):
    """Return a module whose gradient is multiplied by a rate a step, and a sequence for it."""
    if kind == "identity":
        module = nn.RNN(1, 2, nonlinearity="relu", dtype=dtype)
        recurrent = rate * torch.eye(2)
    else:
        module = nn.LSTM(1, 2, dtype=dtype)
        recurrent = torch.zeros(8, 2)
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.weight_hh_l0.copy_(recurrent)
        if kind == "identity":
            module.bias_ih_l0.fill_(1e-3)
        else:  # f = rate, i and g off: c is multiplied by the rate
            module.bias_ih_l0[2:4] = math.log(rate / (1 - rate))
            module.bias_ih_l0[6:8] = 1.0
    return module, torch.zeros(steps, 1, 1, dtype=dtype)


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 950), (torch.float64, 400)])
def test_a_norm_of_1e_900_is_a_number_and_underflow_where_training_has_none(dtype, steps):
    module, x = with_rate(0.1, steps, dtype)
    with record_gradients(module) as recording:
        module(x)[0][-1].sum().backward()
    frame = recording.to_frame()
    lag = frame["lag"].to_numpy()
    wanted = math.log10(math.sqrt(2)) + lag * math.log10(0.1)
    np.testing.assert_allclose(frame["log10_total"], wanted, atol=1e-5)
    assert frame["log10_total"].min() < 1.5 - steps
    floor = math.log10(torch.finfo(dtype).tiny)
    assert (frame["status"][wanted < floor] == "underflow").all()
    assert (frame["status"][wanted > floor + 4] == "ok").all()
    with_loss = frame["log10_direct"] > -math.inf
    assert lag[with_loss].tolist() == [0]
    assert (frame["status_direct"][~with_loss] == "zero").all()


def test_the_gradient_of_a_memory_that_underflows_is_known_too():
    module, x = with_rate(0.5, 400, torch.float32, kind="lstm")
    with record_gradients(module) as recording:
        module(x)[1][1].sum().backward()
    frame = recording.to_frame()
    wanted = math.log10(math.sqrt(2)) + frame["lag"].to_numpy() * math.log10(0.5)
    np.testing.assert_allclose(frame["log10_memory"], wanted, atol=1e-5)
    assert frame["status_memory"].iloc[0] == "underflow"
    assert frame["status_memory"].iloc[-1] == "ok"


def test_a_gradient_that_overflows_is_a_number_and_inf_in_training():
    module, x = with_rate(2.0, 200, torch.float32)
    with torch.no_grad():
        module.bias_ih_l0.fill_(1e-35)  # states stay below the largest number
        module.weight_hh_l0.mul_(0.75)
    x[:] = 0
    with record_gradients(module) as recording:
        (module(x)[0][-1] * 1e20).sum().backward()
    frame = recording.to_frame()
    wanted = 20 + math.log10(math.sqrt(2)) + frame["lag"].to_numpy() * math.log10(1.5)
    np.testing.assert_allclose(frame["log10_total"], wanted, atol=1e-4)
    assert frame["status"].iloc[-1] == "ok"
    bad = frame[frame["status"] != "ok"]
    assert bad["status"].iloc[-1] == "inf"
    assert set(bad["status"]) <= {"inf", "nan"}  # inf · 0 is NaN, a step further back
    assert recording.first_bad.time == bad["time"].max()


def test_two_layers_and_directions_underflow_together_as_the_float64_program_has_it():
    form = Form("gru", 2, bidirectional=True, lengths=(6, 4), layout="packed")
    module = calls.module_of(form)
    sequences = calls.sequences_of(form)
    small = 1e-36
    unrolled = calls.through_oracle(module, sequences, ())
    (small * calls.loss_of_oracle(form, unrolled)).backward()
    narrow = dataclasses.replace(form, dtype=torch.float32)
    module.float()
    with record_gradients(module) as recording:
        outputs, ends = calls.call(narrow, module, [each.float() for each in sequences], ())
        (small * calls.loss_of_call(form, outputs, ends)).backward()
    frame = recording.to_frame()
    assert set(frame["status"]) == {"underflow"}
    for (layer, direction), own in columns(unrolled, is_mean=True).items():
        rows = frame[frame["layer"] == layer]
        rows = rows[rows["direction"] == ("forward", "backward")[direction]]
        np.testing.assert_allclose(rows["log10_total"], own["log10_total"], atol=1e-3)


def test_a_state_that_is_lost_in_training_is_marked_nan_and_not_made_up():
    module = nn.GRU(1, 2)
    x = torch.zeros(4, 1, 1)
    x[2] = math.nan
    with record_gradients(module) as recording:
        module(x)[0].sum().backward()
    frame = recording.to_frame()
    assert frame["status"].tolist() == ["nan", "nan", "nan", "ok"]
    assert frame["state_rms"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("kind", calls.KINDS)
def test_what_the_layers_read_and_return_under_autocast_belongs_together(kind):
    """One step of the module from what is kept of it: states are rounded once, to 8 bits."""
    module = calls.module_of(Form(kind, dtype=torch.float32))
    x, kept = (
        3 * torch.randn(6, 3, 3),
        FusedCalls({module: "it"}, True, Scale(None), lambda _: None),
    )
    output, _ = under_autocast(module, x)
    with torch.no_grad():
        [layer] = layers_of(kept._call(module, (x,), {}, output, torch.bfloat16))
        given = layer.given(0)
    weights = {name: weight.double() for name, weight in given.weights.items()}
    h, c = given.h_0[1].double(), torch.zeros(4, dtype=torch.float64)
    for x_t, state in zip(given.inputs[:, 1].double(), given.states[:, 1].double(), strict=True):
        h, c, _ = step_of(module.mode, x_t, h, c, weights)
        np.testing.assert_allclose(h.numpy(), state.numpy(), atol=2**-6)
        h = state
    for weight in given.weights.values():
        assert torch.equal(weight, weight.bfloat16().float())


@pytest.mark.parametrize("kind", calls.KINDS)
def test_below_float32_plain_float64_gives_what_numbers_with_exponents_give(kind, monkeypatch):
    form = Form(kind, 2, bidirectional=True, lengths=(6, 4), layout="packed", dtype=torch.float32)
    frames = []
    for margin in (profile._WIDE_MARGIN, math.inf):  # of no norm is plain float64 then enough
        monkeypatch.setattr(profile, "_WIDE_MARGIN", margin)
        module = calls.module_of(form)
        with record_gradients(module) as recording:
            outputs, ends = calls.call(form, module, calls.sequences_of(form), ())
            (1e-36 * calls.loss_of_call(form, outputs, ends)).backward()
        frames.append(recording.to_frame())
    assert (frames[0]["status"] == "underflow").all()
    assert_frame_equal(*frames, rtol=1e-12)
