"""TensorBoard gets what is logged, at once and once, as its own reader finds it."""

import dataclasses
import importlib.util
import math
import threading
import time

import pytest

from rnn_exp import SettingError, TensorBoard, Tracker
from rnn_exp.recordings import trackers
from rnn_exp.recordings.trackers import Tracking, refuse_other_than_tracker
from tests.event_files import is_event_file, points_in


@pytest.fixture
def _with_tensorboard():
    pytest.importorskip("tensorboard", reason="pip install 'rnn-exp[tensorboard]'")


@pytest.fixture
def _without_tensorboard(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("_with_tensorboard")
def test_a_point_can_be_read_as_soon_as_it_is_logged_and_no_thread_writes_it(tmp_path):
    threads = threading.active_count()
    board = TensorBoard(tmp_path / "new" / "folder")

    for step in range(3):
        board.log(step, {"a/b": 0.5 * step, "c": -step})
        found = points_in(tmp_path / "new" / "folder")
        assert found["a/b"] == [(each, 0.5 * each) for each in range(step + 1)]
    assert found["c"] == [(0, 0.0), (1, -1.0), (2, -2.0)]
    assert threading.active_count() == threads
    assert isinstance(board, Tracker)


@pytest.mark.usefixtures("_with_tensorboard")
def test_what_is_not_finite_and_what_is_beyond_32_bits_can_be_read(tmp_path):
    board = TensorBoard(tmp_path)

    board.log(0, {"none": math.nan, "below": -math.inf, "large": 1e300, "third": 1 / 3})

    found = points_in(tmp_path)
    assert math.isnan(found["none"][0][1])
    assert found["below"] == [(0, -math.inf)]
    assert found["large"] == [(0, math.inf)]
    assert found["third"][0][1] == pytest.approx(1 / 3, rel=1e-7)


@pytest.mark.usefixtures("_with_tensorboard")
def test_a_training_that_goes_on_replaces_what_came_after_the_step(tmp_path):
    first = TensorBoard(tmp_path)
    for step in range(6):
        first.log(step, {"a": 1.0, "b": 1.0})

    second = TensorBoard(tmp_path, purge_step=3)
    for step in range(3, 5):
        second.log(step, {"a": 2.0})

    assert points_in(tmp_path) == {
        "a": [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)],
        "b": [(0, 1.0), (1, 1.0), (2, 1.0)],
    }


@pytest.mark.usefixtures("_with_tensorboard")
def test_a_new_file_is_read_after_the_others_whatever_the_clock_says(tmp_path, monkeypatch):
    boards = []
    for value, now in enumerate((1e9, 1e9, 5e8)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        boards.append(TensorBoard(tmp_path, purge_step=1))
        boards[-1].log(0 if value == 0 else 1, {"a": float(value)})

    assert points_in(tmp_path) == {"a": [(0, 0.0), (1, 2.0)]}
    assert len([path for path in tmp_path.iterdir() if is_event_file(path)]) == 3


@pytest.mark.usefixtures("_with_tensorboard")
def test_two_processes_that_begin_at_once_have_a_file_each(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    (tmp_path / "events.out.tfevents.1000000000.rnn-exp").touch()
    monkeypatch.setattr(trackers, "_NUMBER", trackers.re.compile("never"))  # not seen in time

    TensorBoard(tmp_path).log(0, {"a": 1.0})

    assert points_in(tmp_path) == {"a": [(0, 1.0)]}
    assert len([*tmp_path.iterdir()]) == 2


@pytest.mark.usefixtures("_without_tensorboard")
def test_without_the_package_one_line_says_what_brings_it(tmp_path):
    brings = r"what is installed; pip install 'rnn-exp\[tensorboard\]' brings it$"

    with pytest.raises(SettingError, match=rf"^tracker=TensorBoard is not possible: .*{brings}"):
        TensorBoard(tmp_path / "new")
    with pytest.raises(SettingError, match=rf"^tracking=tensorboard is not possible: .*{brings}"):
        Tracking("tensorboard")
    assert [*tmp_path.iterdir()] == []
    assert Tracking("none").open(tmp_path, 0) is None


def test_a_place_that_there_is_not_is_refused():
    with pytest.raises(
        SettingError, match=r"^tracking=tensorbord .*\(did you mean tensorboard\?\)"
    ):
        Tracking("tensorbord")
    assert dataclasses.asdict(Tracking()) == {"tracking": "none"}


def test_what_is_no_tracker_is_refused_in_a_line():
    with pytest.raises(SettingError) as refused:
        refuse_other_than_tracker(print)
    assert str(refused.value) == (
        "tracker=<built-in function print> is not possible: allowed is an object with "
        "log(step, values), or None"
    )
    refuse_other_than_tracker(None)
