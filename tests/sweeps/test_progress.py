"""Progress: what one wants to know first, at any width, and now and then where is no terminal."""

import contextlib
import fcntl
import io
import itertools
import os
import pty
import re
import struct
import sys
import termios
from types import SimpleNamespace
from typing import ClassVar

import pytest
import tqdm
import tqdm.notebook as tqdm_notebook

from rnn_exp.networks.network import Network
from rnn_exp.sweeps import line, progress, status
from rnn_exp.sweeps.line import Line, fitted
from rnn_exp.sweeps.progress import RunBar, SweepBar
from rnn_exp.sweeps.status import ChunkProgress, Heartbeat, chunks_in_training
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.waiting import wait_until

RUN = Run(Adding(5), Network(hidden_size=4), training=Training(4))
PARTS = ["123/4000 done", "1:02:03 to go", "17 failed", "20 diverged", "3860 left", "12/min"]


class Pseudoterminal:
    """A terminal of so many columns, and what was written to it."""

    def __init__(self, columns: int) -> None:
        self.reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.stream = os.fdopen(writer, "w", encoding="utf-8")

    def lines(self) -> list[str]:
        """Close it, and return what was drawn, one state of the line after the other."""
        self.stream.close()
        text = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            while chunk := os.read(self.reader, 65536):
                text += chunk
        os.close(self.reader)
        self.text = text.decode()
        return [each.rstrip() for each in re.split("[\r\n]+", self.text) if each.strip()]


@pytest.fixture
def clock(monkeypatch):
    """A clock of one's own, in seconds."""
    now = [100.0]
    for module in (line, progress):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("make", [lambda _: RunBar(RUN), lambda folder: SweepBar(folder, 3, 0, 1)])
def test_without_a_terminal_work_that_is_soon_done_writes_nothing(
    tmp_path, monkeypatch, make, clock
):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with contextlib.closing(make(tmp_path)) as bar:
        clock[0] += 9.9
        if isinstance(bar, RunBar):
            train_runs([RUN], bar.on_update)
        else:
            bar.start_chunk("one", 1.0)
            bar.finish_chunk("one", ["finished"])
    assert pipe.getvalue() == ""


def test_without_a_terminal_lines_come_after_ten_seconds_and_then_ever_later(monkeypatch, clock):
    pipe, times = io.StringIO(), []
    work = Line(pipe, "decay", 1.0)
    for second in range(600):
        clock[0] = 100.0 + second
        if work.is_due():
            times.append(second)
            work.show(second / 600, [f"{second}/600 done", "soon"])
    work.close()

    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert times[0] == 10
    assert gaps == sorted(gaps)
    assert max(gaps) == 60
    assert gaps.count(60) >= 6
    assert pipe.getvalue().splitlines() == [f"decay: {when}/600 done, soon" for when in times]


def test_a_sweep_without_a_terminal_says_the_words_of_its_bar(tmp_path, monkeypatch, clock):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with contextlib.closing(SweepBar(tmp_path / "decay", 10, already_done=2, work=80.0)) as bar:
        bar.start_chunk("one", 20.0)
        clock[0] += 30.0
        bar.finish_chunk("one", ["finished", "diverged", "failed"])
    # A quarter of the work took 30 seconds: three times that are left, and 2 of 8 runs' worth
    # was done in half a minute.
    assert pipe.getvalue() == (
        "decay: 4/10 done, 1:30 to go, 1 failed, 1 diverged, 5 left, 4.0/min\n"
    )


def test_a_run_without_a_terminal_says_how_far_it_is(monkeypatch, clock):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    bar = RunBar(RUN)

    def on_update(update) -> None:
        clock[0] += 6.0
        bar.on_update(update)

    train_runs([RUN], on_update)
    bar.close()

    [said] = pipe.getvalue().splitlines()
    assert re.fullmatch(
        r"2/4 updates, 0:12 to go, loss \S+, decay rate \S+, gradient norm \S+", said
    )


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_runs_line_fits_the_terminal_and_ends_with_the_last_update(monkeypatch, columns, clock):
    terminal = Pseudoterminal(columns)
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    bar = RunBar(RUN)

    def on_update(update) -> None:
        clock[0] += 3600.0
        bar.on_update(update)

    train_runs([RUN], on_update)
    bar.close()

    lines = terminal.lines()
    assert max(map(len, lines)) < columns
    assert re.match(r"\|#{2,8} +\| 1/4 updates, loss \d\S+, decay rate \d\S+", lines[0])
    assert re.match(r"\|#{5,15} +\| 2/4 updates, 2:00:00 to go, loss \d", lines[1])
    assert re.match(r"\|#+\| 4/4 updates, loss \d", lines[-1])
    assert all("gradient norm" in each for each in lines) == (columns == 200)
    assert terminal.text.endswith("\r\n")
    assert terminal.text.count("\n") == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (40, "123/4000 done, 1:02:03 to go, 17 failed"),
        (30, "123/4000 done, 1:02:03 to go"),
        (60, "decay |###       | 123/4000 done, 1:02:03 to go, 17 failed"),
        (
            80,
            "decay |###       | 123/4000 done, 1:02:03 to go, 17 failed, 20 diverged",
        ),
        (
            200,
            "decay |#########                     | 123/4000 done, 1:02:03 to go, 17 failed, "
            "20 diverged, 3860 left, 12/min",
        ),
    ],
)
def test_a_line_leaves_out_whole_parts_from_its_end_and_cuts_none(columns, expected):
    terminal = Pseudoterminal(columns)
    work = Line(terminal.stream, "decay", 1.0)
    work.show(0.3, PARTS)
    work.close()

    assert terminal.lines() == [expected]


@pytest.mark.parametrize("name", ["", "decay", "a-sweep-with-a-long-name" * 3, "梯度消失" * 9])
def test_at_every_width_a_line_fits_and_has_whole_parts(name):
    for columns in range(1, 201):
        text = fitted(name, 0.5, PARTS, columns)

        assert sum(2 if ord(c) > 0x2FFF else 1 for c in text) <= columns - 1
        if columns > len(PARTS[0]) + 1:
            said = text.rpartition("| ")[2].split(", ")
            assert said == PARTS[: len(said)]
        if columns >= 60:
            assert text.startswith(fitted(name, 0.5, PARTS[:2], columns))
            assert "#" in text


def test_a_shorter_line_leaves_nothing_of_the_one_before():
    terminal = Pseudoterminal(80)
    work = Line(terminal.stream, "", 1.0)
    work.show(None, ["a long line about this and that"])
    work.show(None, ["short"])
    work.close()

    drawn = [" "] * 80
    for state in terminal.lines() and terminal.text.removesuffix("\r\n").split("\r"):
        drawn[: len(state)] = state
    assert "".join(drawn).rstrip() == "short"


def test_ctrl_c_leaves_the_terminal_at_the_beginning_of_a_line(tmp_path, monkeypatch):
    for make in (lambda: RunBar(RUN), lambda: SweepBar(tmp_path, 3, 0, 1.0)):
        terminal = Pseudoterminal(60)
        monkeypatch.setattr(sys, "stderr", terminal.stream)

        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(make()) as bar:
            bar.line.show(0.5, PARTS)
            raise KeyboardInterrupt
        terminal.lines()
        assert terminal.text.endswith("\r\n")
        assert "\x1b" not in terminal.text  # nothing was hidden that has to be shown again


def test_control_characters_of_a_name_do_not_reach_the_terminal():
    terminal = Pseudoterminal(80)
    work = Line(terminal.stream, "a\x1b[31mb", 1.0)
    work.show(0.0, ["0/1 done"])
    work.close()

    assert "\x1b" not in "".join(terminal.lines())


def test_a_terminal_that_does_not_say_its_width_counts_as_eighty_columns():
    terminal = Pseudoterminal(0)
    work = Line(terminal.stream, "decay", 1.0)
    work.show(0.3, PARTS)
    work.close()

    assert terminal.lines() == [fitted("decay", 0.3, PARTS, 80)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_is_zero_takes_no_room(tmp_path, monkeypatch, clock):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(SweepBar(tmp_path / "decay", 4, already_done=0, work=10.0)) as bar:
        bar.start_chunk("one", 10.0)
        clock[0] += 60.0
        bar.finish_chunk("one", ["finished"] * 4)
    assert terminal.getvalue() == "\rdecay |##########| 4/4 done\n"


def test_a_bar_moves_with_the_chunks_that_are_in_training(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with contextlib.closing(SweepBar(tmp_path, runs=4, already_done=0, work=10.0)) as bar:
        bar.start_chunk("one", 10.0)
        Heartbeat(tmp_path, "one", updates=10).write(made=2, runs=4)
        bar.refresh()
    assert "|##        |" in terminal.getvalue()


def test_what_was_made_before_a_checkpoint_does_not_count_as_speed(tmp_path, monkeypatch, clock):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with contextlib.closing(SweepBar(tmp_path / "decay", 4, already_done=0, work=10.0)) as bar:
        bar.start_chunk("one", 10.0)
        heartbeat = Heartbeat(tmp_path / "decay", "one", updates=100)
        for made in range(51, 61):
            heartbeat.next_write = 0.0
            heartbeat.write(made=made, runs=4)
        clock[0] += 30.0
        bar.refresh()
        heartbeat.close()
    # A tenth of the work was done in half a minute, and four tenths are left.
    assert pipe.getvalue() == "decay: 0/4 done, 2:00 to go, 4 left, 0.8/min\n"


def test_a_run_that_goes_on_from_a_checkpoint_counts_its_updates_from_there(monkeypatch, clock):
    pipe = io.StringIO()
    long = Run(Adding(5), Network(hidden_size=4), training=Training(10))
    chunk = Chunk([long], [])
    steps = chunk.train()
    for _ in range(6):
        next(steps)
    [(_, snapshot)] = chunk.snapshots()
    monkeypatch.setattr(sys, "stderr", pipe)
    bar = RunBar(long)
    for update, _ in Chunk([long], [snapshot]).train():
        clock[0] += 5.0
        bar.on_update(update)
    # The seventh update was the first that was seen.
    assert pipe.getvalue().startswith("8/10 updates, 0:10 to go, ")


def test_a_bar_is_refreshed_while_others_work(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_REFRESHES", 0.01)
    with contextlib.closing(SweepBar(tmp_path, 4, 0, 10.0)) as bar, bar.refresh_in_background():
        bar.start_chunk("one", 10.0)
        Heartbeat(tmp_path, "one", updates=8).write(made=4, runs=4)
        wait_until(lambda: "|#####     |" in terminal.getvalue(), "the bar has moved")


def test_a_heartbeat_is_there_while_its_chunk_is_and_others_are_passed_over(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(status, "monotonic", lambda: clock[0])
    first, second = (Heartbeat(tmp_path, name, updates=10) for name in ("a", "b"))
    first.write(made=5, runs=3)
    clock[0] += 0.9
    first.write(made=6, runs=3)  # too soon to be written
    second.write(made=1, runs=2)
    for name, text in {"c": "{", "d": '{"runs": 1, "fraction": Infinity}', "e": "[" * 9999}.items():
        (tmp_path / ".progress" / f"{name}.json").write_text(text)
    other = ChunkProgress("b", 2, 0.1)

    assert chunks_in_training(tmp_path) == [ChunkProgress("a", 3, 0.5, 0.4), other]

    clock[0] += 0.1
    first.write(made=7, runs=3)

    assert chunks_in_training(tmp_path) == [ChunkProgress("a", 3, 0.7, 0.4), other]

    first.close()

    assert chunks_in_training(tmp_path) == [other]
    for name in "cde":
        (tmp_path / ".progress" / f"{name}.json").unlink()
    second.close()
    assert [*tmp_path.iterdir()] == []


class Kernel:
    """What IPython says of itself in the kernel of a notebook."""

    config: ClassVar = {"IPKernelApp": {}}


class Widget:
    """The bar of a notebook, as tqdm makes it."""

    def __init__(self, **settings):
        self.settings, self.n, self.texts, self.is_closed = settings, 0.0, [], False

    def set_description_str(self, text):
        self.texts.append((self.n, text))

    def close(self):
        self.is_closed = True


def in_a_notebook(monkeypatch, bar):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Kernel))
    made = SimpleNamespace(tqdm=bar, IProgress=bar)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", made)
    monkeypatch.setattr(tqdm, "notebook", sys.modules["tqdm.notebook"], raising=False)


def test_a_notebook_shows_the_bar_of_its_own(tmp_path, monkeypatch):
    in_a_notebook(monkeypatch, Widget)

    with contextlib.closing(SweepBar(tmp_path / "mine", 3, 1, 2.0)) as bar:
        bar.start_chunk("a", 1.0)
        bar.finish_chunk("a", ["finished"])
        widget = bar.line.bar

    assert widget.settings["desc"] == "mine"
    [(part, text)] = widget.texts
    assert (part, text.split(", ")[0]) == (0.5, "mine: 2/3 done")
    assert widget.is_closed


def test_a_notebook_without_widgets_has_a_line_that_is_redrawn_in_place(tmp_path, monkeypatch):
    """Tqdm's own bar, half made, complained on stderr as it was thrown away."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=Kernel))
    monkeypatch.setattr(tqdm_notebook, "IProgress", None)
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())

    with contextlib.closing(SweepBar(tmp_path / "mine", 2, 0, 1.0)) as bar:
        for chunk in ("a", "b"):
            bar.start_chunk(chunk, 0.5)
            bar.finish_chunk(chunk, ["finished"])

    assert stream.getvalue().count("\r") == 2
    assert "1/2 done" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_a_shell_of_ipython_is_no_notebook(tmp_path, monkeypatch):
    in_a_notebook(monkeypatch, Widget)
    monkeypatch.setattr(Kernel, "config", {})
    assert isinstance(SweepBar(tmp_path, 1, 0, 1.0).line, Line)
