"""`rnn-exp-verify`: what is built in holds, and what is broken in one place is found there."""

import dataclasses
import math
import sys
from typing import ClassVar

import pytest
import torch
from matplotlib.figure import Figure

from rnn_exp.commands import new
from rnn_exp.commands import verify as command
from rnn_exp.fields import number
from rnn_exp.figures import CannotDraw, Plotted
from rnn_exp.networks.inits import Gaussian
from rnn_exp.tasks import Adding, Latch
from rnn_exp.training.experiment import UnsettledWarning
from rnn_exp.training.optimizers import OPTIMIZERS, Optimizer
from rnn_exp.training.own_penalties import OwnPenalty
from rnn_exp.verification import verify
from rnn_exp.verification.figures import check_figure
from rnn_exp.verification.finding import Finding, truth
from rnn_exp.verification.tasks import check_task
from rnn_exp.verification.weights import check_init, check_penalties, check_penalty
from tests.using import forget_used_files

OWN = torch.Generator().manual_seed(7)


def off(findings):
    return [finding.claim for finding in findings if not finding.holds]


def test_all_that_is_built_in_holds():
    findings = list(verify())

    assert len(findings) >= 100
    assert off(findings) == []


@dataclasses.dataclass(frozen=True)
class Boast(Latch):
    chance_loss: ClassVar[float] = math.log(2) * 1.01


@dataclasses.dataclass(frozen=True)
class Unsteady(Latch):
    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return batch._replace(inputs=batch.inputs + torch.rand((), generator=OWN))


@dataclasses.dataclass(frozen=True)
class Tail(Adding):
    def draw(self, batch_size, generator):
        return super().draw(batch_size, generator)._replace(length=self.length - 1)


@dataclasses.dataclass(frozen=True)
class CueZero(Latch):
    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return batch._replace(cues=batch.cues - 1)


@dataclasses.dataclass(frozen=True)
class Deep(Adding):
    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return batch._replace(targets=batch.targets.unsqueeze(-1))


@pytest.mark.parametrize(
    ("task", "claim"),
    [
        (Deep(), "inputs have the shape"),
        (Boast(), "chance_loss"),
        (Unsteady(), "equal generators"),
        (Tail(), "0 after the end"),
        (CueZero(), "cues are time steps"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_task_that_is_wrong_in_one_place_is_found_there(task, claim):
    found = off(check_task("task=x", task))

    assert any(claim in one for one in found), found


def test_a_process_whose_arithmetic_is_not_settled_is_told_so(monkeypatch):
    """Else a cell would be blamed for it."""
    monkeypatch.setattr("rnn_exp.sweeps.process.was_asked_too_late", lambda: True)

    with pytest.warns(UnsettledWarning):
        list(verify(["task=adding"]))


@dataclasses.dataclass(frozen=True)
class Global(Gaussian):
    def draw(self, shapes, seed, cell=None):
        return {name: torch.randn(shape, generator=OWN) for name, shape in shapes.items()}


def test_an_init_that_does_not_follow_from_its_seed_is_found():
    assert off(check_init("init=x", Global())) == ["equal seeds draw equal weights"]


@dataclasses.dataclass(frozen=True)
class Flat(OwnPenalty):
    flat: float = number(0.0, least=0)
    name: ClassVar[str] = "flat"

    @property
    def weight(self):
        return self.flat

    def value(self, weight_hh):
        return weight_hh.detach().square().sum((-1, -2)) + weight_hh.sum((-1, -2))


@dataclasses.dataclass(frozen=True)
class Mixed(Flat):
    def value(self, weight_hh):
        return weight_hh.square().sum((-1, -2)) * weight_hh.mean()


@pytest.mark.parametrize(
    ("kind", "claim"), [(Flat, "central differences"), (Mixed, "alone and beside others")]
)
def test_a_penalty_that_is_wrong_is_found(kind, claim):
    assert any(claim in one for one in off(check_penalty("penalty=x", kind())))


ADDS_UP = {"seen": 0.0}


def up(flat, gradient, memory, rate):
    flat += rate * gradient


def some(flat, gradient, memory, rate):
    flat[:, 12:] -= rate * gradient[:, 12:]


def mixed(flat, gradient, memory, rate):
    flat -= rate * gradient * gradient.abs().mean()


def outside(flat, gradient, memory, rate):
    ADDS_UP["seen"] += 1.0
    flat -= rate * gradient / ADDS_UP["seen"]


def explodes(flat, gradient, memory, rate):
    memory["step"] += 1
    flat -= rate * gradient / (memory["step"] < 4)


def rebinds(flat, gradient, memory, rate):
    flat = flat - rate * gradient


@pytest.mark.parametrize(
    ("step", "claim"),
    [
        (up, "the first step goes against the gradient"),
        (some, "every parameter has moved after 6 steps (but weight_ih_l0)"),
        (mixed, "a run has the same bits alone and beside others"),
        (outside, "equal gradients make equal steps"),
        (outside, "from a copy of weights and memory it goes on to the same bits"),
        (explodes, "every number is finite"),
        (rebinds, "it is one whose step changes `flat` in place (flat -= …) and returns nothing"),
    ],
)
def test_an_optimiser_that_is_wrong_in_one_place_is_found_there(monkeypatch, step, claim):
    wrong = Optimizer("wrong", step, remembers=("mean",))
    monkeypatch.setitem(OPTIMIZERS._things, "wrong", wrong)

    found = off(verify(["training.optimizer=wrong"]))

    assert any(one.startswith(claim) for one in found), found


@dataclasses.dataclass(frozen=True)
class OffIfSteep(Flat):
    steep: float = number(1.0, least=0)
    name: ClassVar[str] = "off_if_steep"

    def value(self, weight_hh):
        value = weight_hh.square().sum((-1, -2))
        return value if self.steep == 1 else value * value.detach()


def test_a_penalty_is_checked_away_from_its_defaults_as_well():
    parts = [one.part for one in check_penalties("p", OffIfSteep()) if not one.holds]

    assert parts == ["p steep=0.5"]


class Picture:
    """A figure, as the template has it, with one thing that can be wrong."""

    name, QUESTION = "picture", "How does it end?"

    def table(self, tables):
        return Plotted(tables.runs[["run", "final_loss"]])

    def draw(self, plotted):
        return Figure()

    def caption(self, plotted):
        return f"{len(plotted.table)} runs."


class NoPicture(Picture):
    def draw(self, plotted):
        return plotted.table


class Silent(Picture):
    def caption(self, plotted):
        return " "


class Picky(Picture):
    def table(self, tables):
        raise CannotDraw("It needs 100 runs.")


@pytest.mark.parametrize(
    ("figure", "wrong"),
    [
        (Picture, []),
        (Picky, []),
        (NoPicture, ["4 small runs are drawn as a figure of matplotlib"]),
        (Silent, ["it says in words what is seen"]),
    ],
)
def test_a_figure_of_a_user_is_drawn_of_a_few_small_runs(figure, wrong):
    assert off(check_figure("figure=x", figure())) == wrong


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["tsk=adding"], "did you mean task"),
        (["task=addin"], "did you mean adding"),
        (["banana"], r"^banana: .* use=\[mine.py\], or one of task=NAME, .*network.cell=NAME, "),
    ],
)
def test_a_word_that_names_nothing_is_refused(words, why):
    with pytest.raises(ValueError, match=why):
        next(verify(["task=adding", *words]))  # before anything is compared


@pytest.fixture
def typed(monkeypatch, tmp_path, capsys):
    """Type a command in an empty folder; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def type_(function, *words):
        monkeypatch.setattr(sys, "argv", ["command", *words])
        try:
            function()
        except SystemExit as left:
            code = left.code
        else:
            code = 0
        return code, capsys.readouterr().out

    yield type_
    forget_used_files()


@pytest.mark.parametrize(
    "kind", ["task", "activation", "cell", "init", "penalty", "optimizer", "figure"]
)
def test_a_part_that_is_begun_holds(typed, tmp_path, kind):
    code, out = typed(new, kind, "my_part")
    assert code == 0
    assert out.splitlines()[:2] == ["my_part.py", "test_my_part.py"]

    code, out = typed(command, "use=[my_part.py]")

    assert code == 0
    assert out.splitlines()[-1].endswith((" checks, 0 off", "1 check, 0 off"))
    assert {path.name for path in tmp_path.iterdir()} == {"my_part.py", "test_my_part.py"}


def test_the_command_ends_with_1_if_something_is_off_and_says_where(typed, tmp_path):
    typed(new, "task", "mine")
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("math.log(2)", "0.7"))

    code, out = typed(command, "use=[mine.py]")

    assert code == 1
    assert "OFF task=mine: chance_loss 0.7 is what guessing scores" in out


def test_of_a_claim_that_is_true_or_false_no_distance_is_printed():
    assert str(truth("task=mine", "equal seeds", True)) == "ok  task=mine: equal seeds"
    assert str(truth("task=mine", "equal seeds", False)) == "OFF task=mine: equal seeds"
    assert str(Finding("a", "b", 0.0, 0.0)) == "ok  a: b (off by 0, allowed 0)"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("task", "two words"), "a name has letters"),
        (("task", "class"), "class is a word of Python"),
        (("task", "1bad"), "a name begins with a letter, such as my_task"),
        (("task", "schön"), "a name has letters"),
        (("task", "mine"), "mine.py is there already"),
        (("task", "adding"), "rnn-exp has a task of this name (task=adding)"),
        (("activation", "tanh"), "rnn-exp has an activation of this name"),
        (("penalty", "omega"), "rnn-exp has a penalty of this name"),
        (("penalty", "momentum"), "rnn-exp has a setting of this name (training.momentum)"),
        (("optimizer", "sgd"), "rnn-exp has an optimizer of this name"),
        (("figure", "decay"), "rnn-exp has a figure of this name"),
        (("study", "decay"), "rnn-exp has a study of this name (study=decay)"),
    ],
)
def test_what_cannot_be_begun_is_refused_and_nothing_is_written(typed, tmp_path, words, why):
    (tmp_path / "mine.py").write_text("mine = 1\n")

    code, _ = typed(new, *words)

    assert why in code
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
    assert (tmp_path / "mine.py").read_text() == "mine = 1\n"


def test_a_study_that_is_begun_is_found_beside_it(typed, tmp_path):
    code, out = typed(new, "study", "gains")

    assert code == 0
    assert "next: rnn-exp --config-dir . study=gains" in out
    assert (tmp_path / "study/gains.yaml").read_text().startswith("# @package _global_\n# Run it:")
