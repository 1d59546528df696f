"""Bars that tell what one wants to know, and are silent without a terminal."""

import contextlib
import io
import sys
import time

import pytest

from rnn_exp.networks.network import Network
from rnn_exp.sweeps import progress
from rnn_exp.sweeps.progress import RunBar, SweepBar
from rnn_exp.sweeps.status import Heartbeat, fractions
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

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
            train_runs([RUN], bar.watch)
        else:
            bar.begin("one", 1.0)
            bar.finish("one", ["finished"])
    assert pipe.getvalue() == ""


def test_a_run_alone_shows_loss_gradient_norm_and_decay_rate(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(RunBar(RUN)) as bar:
        train_runs([RUN], bar.watch)
    for word in ("loss ", "gradient norm ", "decay rate ", "/4"):
        assert word in terminal.getvalue()


def test_a_sweep_shows_what_is_done_diverged_failed_left_how_fast_and_the_time_left(
    tmp_path, monkeypatch
):
    terminal, now = Terminal(), [100.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    with contextlib.closing(SweepBar(tmp_path / "decay", runs=10, there=2, work=80.0)) as bar:
        bar.begin("one", 20.0)
        now[0] += 30.0
        bar.finish("one", ["finished", "diverged", "failed"])
    # A quarter of the work took 30 seconds: three times that are left, and 2 of 8 runs' worth
    # was done in half a minute.
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("decay |##      | 4/10 done")
    assert len(last) <= 80
    assert "4/10 done, 1 diverged, 1 failed, 5 left, 4.0/min, 1:30 to go" in last


def test_a_bar_moves_with_the_chunks_that_are_in_training(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(SweepBar(tmp_path, runs=4, there=0, work=10.0)) as bar:
        bar.begin("one", 10.0)
        Heartbeat(tmp_path, "one", updates=8).beat(made=2, runs=4)
        bar.look()
        assert bar.bar.n == pytest.approx(0.25)


def test_a_bar_watches_while_others_work(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(progress, "_SECONDS_OF_A_LOOK", 0.01)
    with contextlib.closing(SweepBar(tmp_path, 4, 0, 10.0)) as bar, bar.watching():
        bar.begin("one", 10.0)
        Heartbeat(tmp_path, "one", updates=8).beat(made=4, runs=4)
        end = time.monotonic() + 5
        while bar.bar.n == 0 and time.monotonic() < end:
            time.sleep(0.01)
    assert bar.bar.n == pytest.approx(0.5)


def test_a_heartbeat_is_there_while_its_chunk_is_and_others_are_passed_over(tmp_path):
    first, second = (Heartbeat(tmp_path, name, updates=10) for name in ("a", "b"))
    first.beat(made=5, runs=3)
    first.beat(made=6, runs=3)  # too soon to be written
    second.beat(made=1, runs=2)
    (tmp_path / ".progress" / "c.json").write_text("{")

    assert fractions(tmp_path) == [("a", 3, 0.5), ("b", 2, 0.1)]

    first.close()

    assert fractions(tmp_path) == [("b", 2, 0.1)]
    (tmp_path / ".progress" / "c.json").unlink()
    second.close()
    assert [*tmp_path.iterdir()] == []
