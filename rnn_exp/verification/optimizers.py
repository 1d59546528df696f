"""Checks of optimisers: a step follows from what it is given and remembers, and goes down."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks import Network
from rnn_exp.networks.network import shapes
from rnn_exp.networks.parameters import Layout
from rnn_exp.schema import KERNEL
from rnn_exp.training.attempts import try_optimizer
from rnn_exp.training.optimizers import Memory, Optimizer
from rnn_exp.training.settings import Training
from rnn_exp.verification.finding import Finding, truth
from rnn_exp.verification.variants import others

__all__ = ["check_optimizer"]

_INPUTS, _OUTPUTS = 2, 1
_UNITS: Final = (6, 20)  # rows of 67 and 501 numbers
_RUNS, _STEPS, _EARLY = 3, 6, 3
_RATE = 0.01


@dataclasses.dataclass(frozen=True)
class _Case:
    """Runs to be trained with gradients that are given.

    Args:
        optimizer: what makes the steps.
        training: how it is used.
        layout: of a row.
        start: what is trained, a row a run.
        gradients: of each step.
        engine: of the network.
    """

    optimizer: Optimizer
    training: Training
    layout: Layout
    start: Tensor
    gradients: Sequence[Tensor]
    engine: str

    @classmethod
    def draw(cls, optimizer: Optimizer, training: Training, units: int, engine: str) -> "_Case":
        """Draw weights and gradients."""
        layout = Layout(shapes(Network(hidden_size=units), _INPUTS, _OUTPUTS))
        size = sum(map(math.prod, layout.shapes.values()))
        draw = torch.Generator().manual_seed(0)
        start, *gradients = torch.randn(_STEPS + 1, _RUNS, size, generator=draw)
        return cls(optimizer, training, layout, start, gradients, engine)

    def begin(self) -> tuple[Tensor, Memory]:
        """Return what is trained and what is remembered before the first step."""
        return self.start.clone(), self.optimizer.memory(self.start, self.training)

    def go_on(self, flat: Tensor, memory: Memory, first: int, last: int) -> Tensor:
        """Make some steps; what is trained, and what is remembered, is changed."""
        step: Callable[..., object] = self.optimizer.step_of(self.engine)
        arguments = self.optimizer.arguments(self.training, self.layout)
        for gradient in self.gradients[first:last]:
            step(flat, gradient.clone(), memory, _RATE, **arguments)
        return flat

    def of_run(self, run: int) -> "_Case":
        """Return one run alone."""
        own = slice(run, run + 1)
        gradients = [gradient[own] for gradient in self.gradients]
        return dataclasses.replace(self, start=self.start[own], gradients=gradients)


def check_optimizer(part: str, optimizer: Optimizer) -> Iterator[Finding]:
    """Yield what is found of an optimiser, at its defaults and with each setting moved from there.

    Args:
        part: what it is called in findings.
        optimizer: one that is registered.
    """
    training = Training(optimizer=optimizer.name, learning_rate=_RATE)
    try_optimizer(optimizer.name, training, Network(hidden_size=4), _INPUTS, _OUTPUTS)
    yield truth(part, "a step changes what is trained in place, and keeps its shapes", True)
    for words, variant in _variants(optimizer, training):
        yield from _check(f"{part} {words}".strip(), optimizer, variant, "scan")
        if optimizer.step_of(KERNEL.engine) != optimizer.step_of("scan"):
            what = f"{part} {words}".strip() + " by kernels"
            yield from _check(what, optimizer, variant, KERNEL.engine)


def _variants(optimizer: Optimizer, training: Training) -> Iterator[tuple[str, Training]]:
    """Yield ways to use an optimiser, with words for what is not the default."""
    yield "", training
    yield from others(training, optimizer.takes)
    if optimizer.options is not None:
        for words, own in others(optimizer.options()):
            yield words, dataclasses.replace(training, more=dataclasses.asdict(own))


def _check(part: str, optimizer: Optimizer, training: Training, engine: str) -> Iterator[Finding]:
    cases = [_Case.draw(optimizer, training, units, engine) for units in _UNITS]
    ends = [_end_of(case) for case in cases]
    yield truth(part, "every number is finite", all(bool(end.isfinite().all()) for end in ends))
    unmoved = {
        name
        for case, end in zip(cases, ends, strict=True)
        for name, moved in case.layout.views(end - case.start).items()
        if not bool(moved.flatten(1).any(-1).all())
    }
    claim = f"every parameter has moved after {_STEPS} steps"
    yield truth(part, f"{claim}{_but(unmoved)}", not unmoved)
    first = [case.go_on(*case.begin(), 0, 1) - case.start for case in cases]
    downward = all(
        bool(((move * case.gradients[0]).sum(-1) <= 0).all())
        for case, move in zip(cases, first, strict=True)
    )
    yield truth(part, "the first step goes against the gradient", downward)
    again = [_end_of(case) for case in cases]
    yield truth(part, "equal gradients make equal steps", _equal(again, ends))
    alone = [torch.cat([_end_of(case.of_run(run)) for run in range(_RUNS)]) for case in cases]
    yield truth(part, "a run has the same bits alone and beside others", _equal(alone, ends))
    resumed = [_resumed(case) for case in cases]
    claim = "from a copy of weights and memory it goes on to the same bits"
    yield truth(part, claim, _equal(resumed, ends))


def _end_of(case: _Case) -> Tensor:
    return case.go_on(*case.begin(), 0, _STEPS)


def _resumed(case: _Case) -> Tensor:
    """Return the end from a copy that was made in between; the first one has gone on meanwhile."""
    flat, memory = case.begin()
    case.go_on(flat, memory, 0, _EARLY)
    copy = {name: value.clone() for name, value in memory.items()}
    there = flat.clone()
    case.go_on(flat, memory, _EARLY, _STEPS)
    return case.go_on(there, copy, _EARLY, _STEPS)


def _equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


def _but(names: set[str]) -> str:
    return f" (but {', '.join(sorted(names))})" if names else ""
