"""The latest update as a line, and the line that is shown while a model trains."""

import io
import math
import sys

import numpy as np
import torch
from torch import nn

from rnn_exp import record_gradients
from rnn_exp.recordings.line import bars, parts_of
from rnn_exp.sweeps import line as lines
from tests.recordings.frames import NOTHING, rows, together


def test_each_step_down_is_ten_times_less_and_the_lowest_less_still():
    assert bars(-np.arange(9.0)) == "▇▆▅▄▃▂▁▁▁"
    assert bars(np.arange(4.0)) == "▄▅▆▇"
    assert bars(np.arange(3.0) - 300) == bars(np.arange(3.0))


def test_of_many_lags_neighbours_share_a_bar_and_no_lost_one_is_passed_over():
    norms = np.zeros(1000)
    norms[501] = np.nan

    drawn = bars(norms, most=10)

    assert drawn == "▇▇▇▇▇×▇▇▇▇"
    assert bars(np.full(5, -np.inf)) == "·····"
    assert bars(np.array([])) == ""


def test_the_line_is_of_the_last_update_and_the_top_layer_and_counts_the_others():
    frame = together(
        rows(0.5, 40, update=0, layer=1),
        rows(0.5, 40, update=3, layer=0),
        rows(1.3, 40, update=3, layer=1),
        rows(1.0, 40, update=3, module="other"),
    )

    first, place, rate, _, others, *_ = parts_of(frame)

    assert first.startswith("update 3 ")
    assert first.endswith("▇ exploding")
    assert place == "in core, layer 1"
    assert rate == "grows by 30 % per step"
    assert others == "others: 1 vanishing and 1 stable"


def test_the_line_says_what_its_signs_are_where_they_occur():
    lost = {5: (3.0, "inf"), 6: (-math.inf, "zero")}

    [*_, zero, infinite] = parts_of(rows(0.9, 10, lost=lost))

    assert (zero, infinite) == ("·: zero or cut off", "×: not finite in training")
    assert parts_of(NOTHING) == ["nothing recorded yet"]


def test_the_line_says_where_the_gradient_is_lost_before_its_rate():
    lost = dict.fromkeys(range(11, 20), (-math.inf, "zero"))

    first, where, _, rate, *_ = parts_of(rows(0.5, 20, lost=lost))

    assert first.endswith(" vanishing")
    assert where == "exactly zero from lag 11 on"
    assert rate == "keeps 50 % of its size per step"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def trained(stream, monkeypatch, seconds, *, live=True):
    """A recording of three updates, so many seconds of a clock of one's own apart."""
    clock = [100.0]
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(lines, "monotonic", lambda: clock[0])
    with torch.random.fork_rng():
        model = nn.GRU(2, 3)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with record_gradients(model, optimizer=optimizer, live=live) as recording:
        for _ in range(3):
            model(torch.ones(12, 2, 2))[0][-1].mean().backward()
            optimizer.step()
            clock[0] += seconds
    return recording


def test_a_terminals_line_is_drawn_in_place_and_what_came_last_stays(monkeypatch):
    terminal = Terminal()

    recording = trained(terminal, monkeypatch, seconds=0.1)

    drawn = terminal.getvalue().split("\r")
    assert [text.split()[1] for text in drawn if text.strip()] == ["0", "2"]
    assert terminal.getvalue().endswith("\n")
    assert terminal.getvalue().count("\n") == 1
    last = drawn[-1].strip()
    assert recording.line().startswith(last)


def test_a_log_gets_a_line_only_after_ten_seconds(monkeypatch):
    soon, later = io.StringIO(), io.StringIO()

    trained(soon, monkeypatch, seconds=1.0)
    recording = trained(later, monkeypatch, seconds=6.0)

    assert soon.getvalue() == ""
    assert later.getvalue() == f"{recording.line()}\n"


def test_nothing_is_shown_unless_it_is_asked_for_or_where_there_is_no_stderr(monkeypatch):
    terminal = Terminal()

    trained(terminal, monkeypatch, seconds=20.0, live=False)
    shown = trained(None, monkeypatch, seconds=20.0)

    assert terminal.getvalue() == ""
    assert shown.line().startswith("update 2 ")


def test_a_recording_shows_itself_as_a_table_in_a_notebook(monkeypatch):
    recording = trained(io.StringIO(), monkeypatch, seconds=0.0)

    assert recording._repr_html_().count("<tr") == 1 + len(recording.summary())
