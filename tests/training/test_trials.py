"""Trials: a part of a user that returns the wrong thing is refused before anything is written."""

import dataclasses
import re

import pytest
import torch

import rnn_exp as rx
from rnn_exp.fields import SettingError
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS, Network
from rnn_exp.tasks import TASKS, Adding
from rnn_exp.tasks.files import FileTask
from rnn_exp.tasks.task import with_slope
from rnn_exp.training import trials
from rnn_exp.training.attempts import (
    PartError,
    try_activation,
    try_cell,
    try_init,
    try_optimizer,
    try_task,
)
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.settings import Training
from rnn_exp.verification.weights import _network_for
from tests.using import forget_used_files

HEAD = """
import dataclasses
from typing import ClassVar

import torch

import rnn_exp as rx
from rnn_exp.fields import number
from rnn_exp.networks import Activation, step_cell
from rnn_exp.networks.inits import Gaussian
from rnn_exp.tasks import Latch
from rnn_exp.training.optimizers import Optimizer
from rnn_exp.training.own_penalties import OwnPenalty

"""
OPTIMIZER = """
def step(flat, gradient, memory, rate):
    {}

rx.register(Optimizer("mine", step, remembers=("mean",)))
"""
TASK = """
@rx.register
@dataclasses.dataclass(frozen=True)
class Mine(Latch):
    name: ClassVar[str] = "mine"

    def draw(self, batch_size, generator):
        batch = super().draw(batch_size, generator)
        return {}
"""
INIT = """
@rx.register
@dataclasses.dataclass(frozen=True)
class Mine(Gaussian):
    name: ClassVar[str] = "mine"

    def draw(self, shapes, seed, cell=None):
        return {}
"""
ACTIVATION = 'rx.register(Activation("mine", lambda u: {}, largest_slope=1.0))\n'
CELL = 'rx.register(step_cell("mine", lambda x, state, weights: {}))\n'
PENALTY = """
@rx.register
@dataclasses.dataclass(frozen=True)
class Mine(OwnPenalty):
    mine: float = number(0.0, least=0)
    name: ClassVar[str] = "mine"

    @property
    def weight(self):
        return self.mine

    def value(self, weight_hh):
        return {}
"""
WORDS = {
    OPTIMIZER: {"optimizer": "mine"},
    TASK: {"task": "mine"},
    INIT: {"init": "mine"},
    ACTIVATION: {"activation": "mine"},
    CELL: {"cell": "mine"},
    PENALTY: {"mine": 1.0},
}
IN_PLACE = r"training.optimizer=mine is not possible: allowed is an optimiser whose step changes "
WRONG = [
    (OPTIMIZER, "return flat - rate * gradient", IN_PLACE + ".*; it returned a tensor (2, "),
    (OPTIMIZER, "flat = flat - rate * gradient", IN_PLACE + ".*; nothing has moved after 100 "),
    (OPTIMIZER, "flat.data = flat[:, :3]", IN_PLACE + ".*; it made a tensor (2, "),
    (OPTIMIZER, "flat *= float('nan')", "an optimiser whose step makes numbers .*; it made NaN"),
    (OPTIMIZER, "memory['mean'] = rate; flat -= 1", "it changed those of mean"),
    (OPTIMIZER, "memory['other'] = flat; flat -= 1", "it changed those of other"),
    (OPTIMIZER, "flat -= gradient[:, :3]", "mine.py, line 17: RuntimeError: The size of tensor"),
    (OPTIMIZER, "raise SystemExit(3)", "mine.py, line 17: SystemExit: 3"),
    (
        TASK,
        "tuple(batch)",
        "task=mine is .* a task whose draw returns a Batch; it returned a tuple",
    ),
    (
        TASK,
        "batch._replace(inputs=batch.inputs.mT)",
        "whose inputs .*, here (any, 3, 1); .*, 1, 3)",
    ),
    (TASK, "batch._replace(inputs=batch.inputs.numpy())", "of 3 sequences it drew a ndarray"),
    (TASK, "batch._replace(targets=batch.targets[0])", "whose targets are (answers, batch), here "),
    (TASK, "batch._replace(targets=batch.targets.float())", "they are torch.float32"),
    (
        TASK,
        "batch._replace(targets=batch.targets + 1)",
        "whole numbers from 0 to 1; .* from 2 to 2",
    ),
    (TASK, "batch._replace(cues=batch.cues[0])", "whose cues are (cues, batch), here (any, 3)"),
    (TASK, "batch._replace(length=99)", "have from 8 to 8 time steps; it drew 8, and says .* 99"),
    (TASK, "batch.nothing", "a task that can be computed; mine.py, line 23: AttributeError"),
    (INIT, "None", "init=mine is .* a tensor for each name; it returned nothing"),
    (INIT, "{'W': torch.zeros(2)}", "a tensor for each name; there is none for weight_ih_l0, wei"),
    (INIT, "{name: torch.zeros(2) for name in shapes}", "draws weight_ih_l0 in its shape, here (4"),
    (INIT, "{k: torch.full(v, torch.nan) for k, v in shapes.items()}", "weight_ih_l0 has NaN"),
    (ACTIVATION, "u[..., :1]", "network.activation=mine .* a number for each number, .*(2, 3, 1)"),
    (ACTIVATION, "u - u.mean()", "whose φ is a function of every number on its own; it is not"),
    (CELL, "(state[0], state[0])", "network.cell=mine .* returns a tuple of 1 .*; it returned 2"),
    (CELL, "state[0]", "returns a tuple of 1 (run, batch, hidden); it returned a tensor (2, 3, 4)"),
    (CELL, "(x,)", "tuple of 1 .*, here a tensor (2, 3, 4) of float32; .* a tensor (2, 3, 2)"),
    (PENALTY, "weight_hh.square().sum(-1)", "penalty=mine .* value is (run), here (2); .*(2, 4)"),
    (PENALTY, "float(weight_hh.sum())", "of 2 runs it is a float"),
    (PENALTY, "weight_hh.detach().sum((1, 2))", "autograd can follow to W_hh; this one it cannot"),
]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """Use a file of this text; its part is gone after the test."""
    monkeypatch.chdir(tmp_path)

    def use(template, body):
        (tmp_path / "mine.py").write_text(HEAD + template.replace("{}", body))
        rx.use("mine.py")
        return rx.grid(WORDS[template], length=8, hidden_size=4, updates=2)

    yield use
    forget_used_files()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("template", "body", "why"), WRONG)
def test_a_part_that_does_the_wrong_thing_is_refused_in_a_line_and_nothing_is_written(
    own, tmp_path, template, body, why
):
    runs = own(template, body)
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(SettingError) as caught:
        rx.train(runs, folder=tmp_path / "results")

    pattern = ".*".join(map(re.escape, why.split(".*")))
    assert re.search(pattern, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


RIGHT = [
    (OPTIMIZER, "flat -= rate * gradient"),
    (OPTIMIZER, "memory['step'] += 1; flat -= rate * gradient * (memory['step'] % 8 == 0)"),
    (TASK, "batch"),
    (INIT, "super().draw(shapes, seed, cell)"),
    (ACTIVATION, "torch.sin(u)"),
    (CELL, "(torch.sin(x.sum(-1, keepdim=True) + state[0] @ weights['weight_hh'].mT),)"),
    (PENALTY, "weight_hh.square().sum((1, 2))"),
]


@pytest.mark.parametrize(("template", "body"), RIGHT)
def test_a_part_that_does_the_right_thing_is_tried_once_for_all_seeds(
    own, template, body, monkeypatch
):
    [run] = own(template, body)
    calls = []
    for key, trial in trials.TRIALS.items():
        counted = trial._replace(call=lambda *given, key=key: calls.append(key))
        monkeypatch.setattr(trials, "TRIALS", {**trials.TRIALS, key: counted})
    settings = {**WORDS[template], "length": 8, "hidden_size": 4, "updates": 2}
    runs = rx.grid(settings, seed=range(5))

    trials.refuse_wrong_parts(runs)
    monkeypatch.undo()
    trials.refuse_wrong_parts([run])

    assert len(runs) == 5
    assert calls == [key for key in trials.TRIALS if next(iter(run.sources)).startswith(f"{key}=")]


def test_every_part_that_is_built_in_passes_its_trial():
    for kind in TASKS.values():
        if not issubclass(kind, FileTask):
            try_task(kind())
    for kind in INITS.values():
        init = kind().for_length(30)
        network, outputs = _network_for(init)
        try_init(init, network, 3 if network.hidden_size > 1 else 1, outputs)
    for name in ACTIVATIONS:
        try_activation(Network(name, 4))
    for name, cell in CELLS.items():
        leak = 0.4 if cell.has_leak else None
        network = Network(cell.only_activation or "tanh", 4, cell=name, leak=leak, bias=False)
        try_cell(network, 2)
    for name in OPTIMIZERS:
        try_optimizer(name, Training(optimizer=name), Network(bias=False), 2, 1)


def test_runs_without_own_parts_are_not_tried(monkeypatch):
    monkeypatch.setattr(trials, "TRIALS", {})

    trials.refuse_wrong_parts([rx.Run(Adding(8))])


def test_a_part_that_raises_later_is_named_in_the_failure_with_its_line(own, tmp_path):
    body = "memory['step'] += 1; flat -= gradient[:, : 3 if memory['step'] > 1 else None]"
    runs = own(OPTIMIZER, body)

    with pytest.warns(rx.FailedRunsWarning):
        results = rx.train(runs)

    [failure] = results.runs["failure"]
    assert failure.startswith("training.optimizer=mine (mine.py, line 17: RuntimeError: The size")


def test_a_trial_leaves_the_numbers_of_a_run_alone(own):
    own(OPTIMIZER, "flat.add_(gradient, alpha=-rate)")
    settings = {"length": 8, "hidden_size": 4, "updates": 3}
    mine, usual = (rx.outcomes(rx.grid(settings, optimizer=name))[0] for name in ("mine", "sgd"))

    assert all(torch.equal(mine.weights[name], usual.weights[name]) for name in usual.weights)


@dataclasses.dataclass(frozen=True)
class Detached(Adding):
    def loss(self, outputs, targets):
        return super().loss(outputs.detach(), targets)


class WrittenOut(Detached):
    @with_slope(Adding.loss_and_slope)
    def loss(self, outputs, targets):
        return super().loss(outputs, targets)


def test_a_loss_whose_gradient_is_written_out_need_not_be_one_that_autograd_can_follow():
    try_task(WrittenOut(5))


def test_a_task_whose_loss_autograd_cannot_follow_is_refused():
    with pytest.raises(PartError, match="whose loss can be differentiated by the outputs; it does"):
        try_task(Detached(5))
