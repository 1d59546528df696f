"""Bars that tell what one wants to know, and are silent without a terminal."""

import contextlib
import io
import sys

import pytest

from rnn_exp.networks.network import Network
from rnn_exp.sweeps import progress, status
from rnn_exp.sweeps.progress import RunBar, SweepBar
from rnn_exp.sweeps.status import Heartbeat, chunks_in_training
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.waiting import wait_until

RUN = Run(Adding(5), Network(hidden_size=4), training=Training(4))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("make", [lambda _: RunBar(RUN), lambda folder: SweepBar(folder, 3, 0, 1)])
def test_without_a_terminal_nothing_is_written(tmp_path, monkeypatch, make):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with contextlib.closing(make(tmp_path)) as bar:
        if isinstance(bar, RunBar):
            train_runs([RUN], bar.on_update)
        else:
            bar.start_chunk("one", 1.0)
            bar.finish_chunk("one", ["finished"])
    assert pipe.getvalue() == ""


def test_a_run_alone_shows_loss_gradient_norm_and_decay_rate(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(RunBar(RUN)) as bar:
        train_runs([RUN], bar.on_update)
    for word in ("loss ", "gradient norm ", "decay rate ", "/4"):
        assert word in terminal.getvalue()


def test_a_sweep_shows_what_is_done_diverged_failed_left_how_fast_and_the_time_left(
    tmp_path, monkeypatch
):
    terminal, now = Terminal(), [100.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    with contextlib.closing(
        SweepBar(tmp_path / "decay", runs=10, already_done=2, work=80.0)
    ) as bar:
        bar.start_chunk("one", 20.0)
        now[0] += 30.0
        bar.finish_chunk("one", ["finished", "diverged", "failed"])
    # A quarter of the work took 30 seconds: three times that are left, and 2 of 8 runs' worth
    # was done in half a minute.
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("decay |##      | 4/10 done")
    assert len(last) <= 80
    assert "4/10 done, 1 diverged, 1 failed, 5 left, 4.0/min, 1:30 to go" in last


def test_a_bar_moves_with_the_chunks_that_are_in_training(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(SweepBar(tmp_path, runs=4, already_done=0, work=10.0)) as bar:
        bar.start_chunk("one", 10.0)
        Heartbeat(tmp_path, "one", updates=8).write(made=2, runs=4)
        bar.refresh()
        assert bar.bar.n == pytest.approx(0.25)


def test_a_bar_is_refreshed_while_others_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_REFRESHES", 0.01)
    with contextlib.closing(SweepBar(tmp_path, 4, 0, 10.0)) as bar, bar.refresh_in_background():
        bar.start_chunk("one", 10.0)
        Heartbeat(tmp_path, "one", updates=8).write(made=4, runs=4)
        wait_until(lambda: bar.bar.n > 0, "the bar has moved")
    assert bar.bar.n == pytest.approx(0.5)


def test_a_heartbeat_is_there_while_its_chunk_is_and_others_are_passed_over(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(status, "monotonic", lambda: clock[0])
    first, second = (Heartbeat(tmp_path, name, updates=10) for name in ("a", "b"))
    first.write(made=5, runs=3)
    clock[0] += 0.9
    first.write(made=6, runs=3)  # too soon to be written
    second.write(made=1, runs=2)
    (tmp_path / ".progress" / "c.json").write_text("{")

    assert chunks_in_training(tmp_path) == [("a", 3, 0.5), ("b", 2, 0.1)]

    clock[0] += 0.1
    first.write(made=7, runs=3)

    assert chunks_in_training(tmp_path) == [("a", 3, 0.7), ("b", 2, 0.1)]

    first.close()

    assert chunks_in_training(tmp_path) == [("b", 2, 0.1)]
    (tmp_path / ".progress" / "c.json").unlink()
    second.close()
    assert [*tmp_path.iterdir()] == []
