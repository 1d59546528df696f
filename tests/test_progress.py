"""Bars that tell what one wants to know, and are silent without a terminal."""

import contextlib
import io
import sys

import pytest

from rnn_exp.experiment import execute
from rnn_exp.network import Network
from rnn_exp.progress import RunBar, SweepBar
from rnn_exp.run import Run
from rnn_exp.tasks import Adding
from rnn_exp.training import Training

RUN = Run(Adding(5), Network(hidden_size=4), training=Training(4))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("make", [lambda: RunBar(RUN), lambda: SweepBar("decay", 3)])
def test_without_a_terminal_nothing_is_written(monkeypatch, make):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with contextlib.closing(make()) as bar:
        if isinstance(bar, RunBar):
            execute([RUN], bar.watch)
        else:
            bar.start([RUN])
            bar.finish(["finished"])
    assert pipe.getvalue() == ""


def test_a_run_alone_shows_loss_gradient_norm_and_decay_rate(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(RunBar(RUN)) as bar:
        execute([RUN], bar.watch)
    for word in ("loss ", "gradient norm ", "decay rate ", "/4"):
        assert word in terminal.getvalue()


def test_a_sweep_shows_what_is_running_done_diverged_failed_and_the_time_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(SweepBar("decay", 4)) as bar:
        bar.start([RUN, RUN, RUN])
        bar.finish(["finished", "diverged", "failed"])
        bar.start([RUN])
    shown = terminal.getvalue()
    assert "3 runs of T=5 tanh" in shown
    assert "2/4 done, 1 diverged, 1 failed" in shown
    assert RUN.name in shown
    assert "75%" in shown
    assert " left" in shown
    assert bar.counts == {"done": 2, "diverged": 1, "failed": 1}
