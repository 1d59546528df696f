"""A loss that a GradScaler multiplies: its factor is in no number that is recorded."""

import numpy as np
import pytest
import torch
from torch import nn

from rnn_exp import RecordingWarning, record_gradients

TABLES = ("log10_total", "log10_direct", "log10_memory", "log10_contribution")


class Both(nn.Module):
    """A fused module, and a cell in a loop."""

    def __init__(self):
        super().__init__()
        self.lstm, self.cell = nn.LSTM(3, 4), nn.GRUCell(4, 4)

    def forward(self, x):
        h = torch.zeros(x.shape[1], 4)
        for each in self.lstm(x)[0]:
            h = self.cell(each, h)
        return h


def trained(scaler=None, told=False, clip=None, unscale=True, updates=3, factor=1.0, **more):
    """Return what was recorded of a model, the gradient of whose loss is scaled or not."""
    torch.manual_seed(1)
    model = Both()
    optimizer = torch.optim.Adam(model.parameters(), 0.01, **more)
    given = scaler if told else None
    with record_gradients(model, steps_of=["cell"], optimizer=optimizer, scaler=given) as recording:
        for _ in range(updates):
            optimizer.zero_grad()
            loss = model(torch.randn(5, 2, 3)).square().mean() * factor
            (loss if scaler is None else scaler.scale(loss)).backward()
            if scaler is not None and unscale:
                scaler.unscale_(optimizer)
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
    return recording


def scaler_of(scale=2.0**16, **more):
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=2, **more)


@pytest.mark.parametrize("way", ["unscaled by hand", "unscaled by step", "unscaled in step"])
def test_a_scale_leaves_every_number_as_it_is_without(way):
    more = {"fused": True} if way == "unscaled in step" else {}
    plain = trained(**more)
    scaled = trained(scaler_of(), told=True, unscale=way == "unscaled by hand", **more)
    one, other = plain.to_frame(), scaled.to_frame()
    for name in TABLES:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-6)
    assert (one["status"] == other["status"]).all()
    np.testing.assert_allclose(one["state_rms"], other["state_rms"], rtol=1e-6)
    for name in ("grad_norm", "update_norm"):
        np.testing.assert_allclose(plain.updates[name], scaled.updates[name], rtol=1e-5)
    assert not scaled.updates["clipped"].any()


def test_clipping_is_told_as_it_is_without_a_scale():
    plain, scaled = trained(clip=1e-3), trained(scaler_of(), told=True, clip=1e-3)
    assert plain.updates["clipped"].all()
    assert scaled.updates["clipped"].all()
    np.testing.assert_allclose(plain.updates["grad_norm"], scaled.updates["grad_norm"], rtol=1e-5)


def test_clipping_of_a_scaled_gradient_whose_factor_a_fused_optimiser_takes_out_is_told_too():
    """With the factor in it the norm is clipped to 1, which is more than it is without."""
    recording = trained(scaler_of(), told=True, clip=1.0, unscale=False, fused=True)
    assert recording.updates["clipped"].all()


def test_a_step_that_is_left_out_as_the_scale_was_too_large_has_no_update_of_its_own():
    recording = trained(
        scaler_of(2.0**127, backoff_factor=2.0**-60), told=True, updates=4, factor=1e6
    )
    frame = recording.to_frame()
    first = frame[(frame["update"] == 0) & (frame["module"] == "lstm")]
    assert first["call"].max() >= 1
    last = first[first["call"] == first["call"].max()]
    assert set(last["status"]) == {"ok"}


def test_a_scaler_that_was_not_given_is_noticed_and_no_clipping_is_made_of_it():
    found = []
    with pytest.warns(RecordingWarning, match="divided by 65536 before a step.*scaler="):
        found.append(trained(scaler_of(), updates=1))
    assert found[0].updates["clipped"].isna().all()
    plain = trained(updates=1)
    np.testing.assert_allclose(plain.updates["grad_norm"], found[0].updates["grad_norm"], rtol=1e-5)
