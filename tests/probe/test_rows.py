"""Rows on disk as they come, going on in another process, and what clipping did."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

from rnn_exp import RecorderError, record_gradients
from rnn_exp.probe import rows

ROOT = Path(__file__).parents[2]


def trained(model, updates, optimizer=None):
    for number in updates:
        torch.manual_seed(number)
        model(torch.randn(5, 2, 3))[0].square().mean().backward()
        if optimizer is None:
            with torch.no_grad():
                for weight in model.parameters():
                    weight -= 0.1 * weight.grad
        else:
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()
        model.zero_grad()


def made(kind):
    torch.manual_seed(0)
    model = kind(3, 4)
    return model, torch.optim.Adam(model.parameters(), 0.1)


def test_rows_on_disk_are_those_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_ROWS_OF_A_PART", 12)
    frames = []
    for path in (None, tmp_path / "rows"):
        model, _ = made(nn.LSTM)
        with record_gradients(model, path=path) as recording:
            trained(model, range(7))
        frames.append(recording.to_frame())
    assert_frame_equal(*frames)
    assert len(list((tmp_path / "rows").glob("part-*.parquet"))) > 2
    assert_frame_equal(pd.read_parquet(tmp_path / "rows"), frames[0])


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("stops_after", [0, 3])
def test_a_recording_that_goes_on_has_the_rows_of_one_that_was_never_interrupted(
    tmp_path, kind, on_disk, stops_after
):
    folder = tmp_path / "rows" if on_disk else None
    model, optimizer = made(kind)
    with record_gradients(model, every=2, optimizer=optimizer) as whole:
        trained(model, range(6), optimizer)
    model, optimizer = made(kind)
    with record_gradients(model, every=2, optimizer=optimizer, path=folder) as first:
        trained(model, range(stops_after), optimizer)
        saved = {
            "recording": first.state_dict(),
            "model": {name: value.clone() for name, value in model.state_dict().items()},
        }
        torch.save((saved, optimizer.state_dict()), tmp_path / "saved.pt")
        trained(model, range(stops_after, stops_after + 2), optimizer)  # lost: after what was saved
    model, optimizer = made(kind)
    saved, of_optimizer = torch.load(tmp_path / "saved.pt", weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(of_optimizer)
    second = record_gradients(model, every=2, optimizer=optimizer, path=folder)
    second.load_state_dict(saved["recording"])
    with second:
        trained(model, range(stops_after, 6), optimizer)
    assert_frame_equal(second.to_frame(), whole.to_frame())
    assert_frame_equal(second.updates, whole.updates)


KILLED = """
import os, sys, torch
from torch import nn
from rnn_exp import record_gradients

model = nn.GRU(3, 4)
with record_gradients(model, path=sys.argv[1]):
    for _ in range(3):
        model(torch.randn(5, 2, 3))[0].mean().backward()
        with torch.no_grad():
            model.weight_hh_l0 -= 0.1
    os._exit(9)
"""


def test_a_process_that_dies_leaves_the_rows_until_then(tmp_path):
    """The first update goes to disk at once; so do those of every half minute."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "r")], env=environment)
    assert done.returncode == 9
    left = pd.read_parquet(tmp_path / "r")
    assert left["update"].tolist() == [0] * 5
    assert left["log10_total"].notna().all()
    with (
        pytest.raises(RecorderError, match="has a recording already"),
        record_gradients(nn.GRU(3, 4), path=tmp_path / "r"),
    ):
        pass


def test_rows_go_to_disk_when_half_a_minute_has_passed(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(rows.time, "monotonic", lambda: now[0])
    model, _ = made(nn.GRU)
    with record_gradients(model, path=tmp_path) as recording:
        trained(model, range(3))
        assert pd.read_parquet(tmp_path)["update"].unique().tolist() == [0]
        now[0] = 31.0
        trained(model, range(2))
        assert pd.read_parquet(tmp_path)["update"].max() >= 2
    assert pd.read_parquet(tmp_path)["update"].unique().tolist() == [0, 1, 2, 3, 4]
    assert len(recording.to_frame()) == 25


def test_clipping_is_told_as_it_was_done():
    """Gradients of known norms: the module's own, scaled to 1, 2 … 10, and one that is infinite."""
    model = nn.GRU(3, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    norms = [8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0, 10.0, math.inf]
    with record_gradients(model, optimizer=optimizer) as recording:
        for wanted in norms:
            optimizer.zero_grad()
            loss = model(torch.ones(5, 2, 3))[0].square().mean()
            weights = list(model.parameters())
            own = torch.autograd.grad(loss, weights, retain_graph=True)
            size = torch.cat([each.flatten() for each in own]).norm().item()
            (loss * (wanted / size)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 6.5)
            optimizer.step()
            with torch.no_grad():
                for weight in weights:
                    weight.nan_to_num_(0.0)
    said = recording.clipping()
    assert said["updates"] == 11
    assert said["not_finite"] == 1
    assert said["clipped"] == pytest.approx(0.4)  # 7, 8, 9 and 10 of ten that are finite
    assert said["P50"] == pytest.approx(5.5, rel=1e-4)
    assert said["P90"] == pytest.approx(9.1, rel=1e-4)
    assert said["P99"] == pytest.approx(9.91, rel=1e-4)
    assert said["binds_at_start"] is True


def test_without_an_optimiser_nothing_is_said_of_clipping():
    model, _ = made(nn.GRU)
    with record_gradients(model) as recording:
        trained(model, range(1))
    assert recording.clipping() == {"updates": 0}


def test_a_table_of_many_entries_is_those_of_each_below_each_other():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.lstm = nn.RNN(3, 4, bidirectional=True), nn.LSTM(8, 4)
            self.cell = nn.RNNCell(4, 4)

        def forward(self, x):
            h = x.new_zeros(2, 4)
            for y in self.lstm(self.rnn(x)[0])[0]:
                h = self.cell(y, h)
            return h

    model = Model()
    with record_gradients(model, steps_of=["cell"]) as recording:
        for T in (5, 3):
            model(torch.randn(T, 2, 3)).square().mean().backward()
            recording.next_update()
    entries = recording._recorder.rows._entries
    assert len(entries) == 8  # both directions, the memory, the cell, of each update
    one_by_one = pd.concat([rows.frame_of([entry]) for entry in entries], ignore_index=True)
    whole = recording.to_frame()
    assert_frame_equal(whole, one_by_one.astype(whole.dtypes))
    backward = whole[(whole["direction"] == "backward") & (whole["update"] == 1)]
    assert backward["time"].tolist() == [3, 2, 1]
    assert whole["status_memory"].notna().tolist() == (whole["module"] == "lstm").tolist()


def test_a_memory_that_is_nan_throughout_stays_the_gradient_that_is_told():
    model = nn.LSTM(3, 4)
    nn.init.constant_(model.weight_ih_l0, math.nan)
    with record_gradients(model) as recording:
        model(torch.ones(8, 2, 3))[0][-1].sum().backward()
    frame = recording.to_frame()
    assert frame["log10_memory"].isna().all()
    assert set(frame["status_memory"]) == {"nan"}
    [said] = recording.summary().to_dict("records")
    assert said["gradient"] == "∂L/∂c_t"
    assert "∂L/∂c_t" in recording.line()
    assert "undetermined (not a number from lag 0 on)" in str(recording)


def test_a_network_without_a_memory_has_no_columns_of_one():
    model, _ = made(nn.GRU)
    with record_gradients(model) as recording:
        trained(model, range(1))
    assert not [name for name in recording.to_frame() if "memory" in name]
