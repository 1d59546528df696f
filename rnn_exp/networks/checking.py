r"""Whether a cell computes what it says: its adjoint against oracles, its bits in company.

Everything is small, in float64 and in a second or two. The oracles are independent of the adjoint:
autograd through the unrolled steps, where there is a step function, and central differences of the
forward pass for every cell.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import (
    ACTIVATIONS,
    Cell,
    CellKind,
    LayerWeights,
    OwnContributions,
    Trace,
)
from rnn_exp.networks.cells.step import StepCell
from rnn_exp.randomness import generator

__all__ = ["Fault", "check_cell"]

_LENGTHS: Final = (1, 3, 6)
_EPS: Final = 1e-5  # of central differences, of numbers of size 1
_BY_DIFFERENCES, _EXACT = 1e-6, 1e-9  # relative to the largest entry
_COMPANIES: Final = ((5, 14), (20, 50))
_PAIRS: Final = 32
_RUNS = 5
_INPUTS = 2


class Fault(NamedTuple):
    """Something that is off.

    Args:
        cell: the word of the cell.
        where: what is off: a gradient and its time step, or a run and a number's name.
        said: by how much, and against what.
    """

    cell: str
    where: str
    said: str


@dataclasses.dataclass(frozen=True)
class _Case:
    """A layer of a few runs, drawn for a kind of cell."""

    cell: Cell
    x: Tensor
    weights: LayerWeights
    initial: Tensor
    direct: Tensor

    @classmethod
    def draw(
        cls, kind: CellKind, activation: str, T: int, R: int, B: int, H: int, dtype: torch.dtype
    ) -> "_Case":
        """Draw weights of size 1/√n, inputs, a first state and direct gradients of size 1."""
        leak = 0.4 if kind.has_leak else None
        own = leak if kind.options is None else kind.options()
        cell = kind.build(ACTIVATIONS[kind.only_activation or activation], own)
        draws, shapes = generator(0, f"check/{T}/{R}"), kind.shapes(H, _INPUTS)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=draws, dtype=torch.float64)

        runs = [{name: normal(*shape) / H**0.5 for name, shape in shapes.items()} for _ in range(R)]
        if kind.own_draw is not None:
            for own in runs:
                own.update(kind.own_draw(shapes, draws))
        stacked = [torch.stack([own[name] for own in runs]).to(dtype) for name in shapes]
        sequences = normal(T, R, B, _INPUTS), normal(R, B, H), normal(T, R, B, H)
        x, initial, direct = (values.to(dtype) for values in sequences)
        return cls(cell, x, LayerWeights(*stacked, names=tuple(shapes)), initial, direct)

    def results(self) -> dict[str, Tensor]:
        """Return states and all gradients by their names; (time, run, …), but weights (run, …)."""
        trace = self.cell.forward(self.x, self.weights, self.initial)
        found = self.cell.adjoint(self.direct, trace, self.x, self.weights, with_inputs=True)
        result = {"h_t": trace.states, "∂L/∂h_t": found.total, "∂L/∂x_t": found.inputs}
        if found.memory is not None:
            result["∂L/∂c_t"] = found.memory
        result |= {f"∂L/∂{name}": value for name, value in found.weights.named().items()}
        return {name: value for name, value in result.items() if value is not None}

    def of_run(self, run: int) -> "_Case":
        """Return one run alone."""
        own = slice(run, run + 1)
        return dataclasses.replace(
            self,
            x=self.x[:, own].clone(),
            weights=self.weights.each(lambda value: value[own].clone()),
            initial=self.initial[own].clone(),
            direct=self.direct[:, own].clone(),
        )


def check_cell(kind: CellKind, activation: str = "tanh") -> list[Fault]:
    """Return what is off with a cell; an empty list: nothing.

    Looked at, for sequences of 1, 3 and 6 steps: ∂L/∂h_t of every step, the gradients of every
    parameter and of the inputs against central differences of the forward pass; where the cell is
    a step function also ∂L/∂(second part of the state), all against autograd through the unrolled
    steps; that contributions add up to the gradient of the recurrent weights, that steps back one
    by one and passes in two pieces give the same. Then, for two sizes and both precisions,
    whether each of five runs has the same bits alone.

    Args:
        kind: of the cell.
        activation: the word of ``network.activation``, where the cell takes any.
    """
    found: list[Fault] = []
    for T in _LENGTHS:
        case = _Case.draw(kind, activation, T, 1, 3, 4, torch.float64)
        mine = case.results()
        found += _compared(
            kind, mine, _by_differences(case), _BY_DIFFERENCES, "central differences", T
        )
        if isinstance(case.cell, StepCell):
            found += _compared(kind, mine, _by_autograd(case, case.cell), _EXACT, "autograd", T)
        found += _compared(
            kind, mine, _other_ways(kind, case), _EXACT, "the cell's other methods", T
        )
    for B, H in _COMPANIES:
        for dtype in (torch.float32, torch.float64):
            case = _Case.draw(kind, activation, max(_LENGTHS), _RUNS, B, H, dtype)
            found += _alone(kind, case, f"{B} sequences, {H} units, {dtype}")
    return found


def _compared(
    kind: CellKind,
    mine: Mapping[str, Tensor],
    other: Mapping[str, Tensor],
    most: float,
    oracle: str,
    T: int,
) -> Iterator[Fault]:
    """Yield the numbers that are further from an oracle's than they may be."""
    for name, expected in other.items():
        size = max(float(expected.abs().max()), 1e-3)
        apart = (mine[name] - expected).abs() / size
        worst = float(apart.max()) if bool(apart.isfinite().all()) else float("inf")
        if not worst <= most:
            step = ""
            if name.endswith("_t"):
                by_time = apart.nan_to_num(torch.inf).flatten(1).amax(-1)
                step = f", time step {int(by_time.argmax()) + 1}"
            yield Fault(
                kind.name,
                f"{name}{step} of {T}",
                f"off by {worst:.1e} of its size, compared with {oracle}",
            )


def _by_differences(case: _Case) -> dict[str, Tensor]:
    """Return the gradients by moving every number up and down: a pair of runs for each of them."""

    def of_weight(name: str) -> Callable[[Tensor], Tensor]:
        return lambda moved: _loss(case, {name: moved})

    result = {
        f"∂L/∂{name}": _moved(value[0], of_weight(name))
        for name, value in case.weights.named().items()
    }
    T, _, B, H = case.direct.shape
    result["∂L/∂x_t"] = _moved(case.x[:, 0], lambda moved: _loss(case, {}, x=moved))
    result["∂L/∂h_t"] = _moved(
        case.x.new_zeros(T, B, H), lambda moved: _loss(case, {}, nudges=moved)
    )
    return {
        name: value.unsqueeze(1 if name.endswith("_t") else 0) for name, value in result.items()
    }


def _moved(values: Tensor, losses: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the derivative of a loss by every number; ``losses`` takes (run, …)."""
    each = torch.eye(values.numel(), dtype=values.dtype).view(-1, *values.shape) * _EPS
    slopes = []
    for some in torch.split(each, _PAIRS):  # always as many runs: a step is followed once
        moves = torch.zeros(_PAIRS, *values.shape, dtype=values.dtype)
        moves[: len(some)] = some
        up, down = losses(torch.cat([values + moves, values - moves])).chunk(2)
        slopes.append(((up - down) / (2 * _EPS))[: len(some)])
    return torch.cat(slopes).view(values.shape)


def _loss(
    case: _Case,
    weights: Mapping[str, Tensor],
    x: Tensor | None = None,
    nudges: Tensor | None = None,
) -> Tensor:
    """Return Σ d_t · h_t of many runs that differ in one thing; a nudge is added to each h_t."""
    given = [value for value in (*weights.values(), x, nudges) if value is not None]
    R, T = len(given[0]), len(case.x)
    named = {
        name: weights.get(name, value.expand(R, *value.shape[1:]))
        for name, value in case.weights.named().items()
    }
    own = LayerWeights(*(value.contiguous() for value in named.values()), names=tuple(named))
    inputs = case.x.expand(-1, R, -1, -1) if x is None else x.transpose(0, 1)
    h, before, loss = case.initial.expand(R, -1, -1), None, case.x.new_zeros(R)
    for t in range(T):
        before = case.cell.forward(inputs[t : t + 1].contiguous(), own, h.contiguous(), before)
        h = before.states[0] if nudges is None else before.states[0] + nudges[:, t]
        loss = loss + (case.direct[t] * h).sum((-2, -1))
    return loss


def _by_autograd(case: _Case, cell: StepCell) -> dict[str, Tensor]:
    """Return all gradients by autograd through the unrolled steps."""
    with torch.enable_grad():
        leaves = {
            name: value.clone().requires_grad_() for name, value in case.weights.named().items()
        }
        read = leaves if cell.once is None else cell.once(leaves)
        x = case.x.clone().requires_grad_()
        state = tuple(
            case.initial if part == 0 else torch.zeros_like(case.initial)
            for part in range(cell.parts)
        )
        states, loss = [], case.x.new_zeros(())
        for x_t, direct in zip(x, case.direct, strict=True):
            # What is added is 0: a place of its own for the gradient by each part.
            places = [torch.zeros_like(part).requires_grad_() for part in state]
            after = tuple(cell.step(x_t, state, read))
            state = tuple(a + b for a, b in zip(after, places, strict=True))
            states.append(places)
            loss = loss + (direct * state[0]).sum()
        flat = [part for places in states for part in places]
        given = [*leaves.values(), x, *flat]
        gradients = torch.autograd.grad(loss, given, allow_unused=True)
    filled = [
        torch.zeros_like(a) if b is None else b for a, b in zip(given, gradients, strict=True)
    ]
    result = {f"∂L/∂{name}": value for name, value in zip(leaves, filled, strict=False)}
    result["∂L/∂x_t"] = filled[len(leaves)]
    of_states = filled[len(leaves) + 1 :]
    for part, name in enumerate(("∂L/∂h_t", "∂L/∂c_t")[: cell.parts]):
        result[name] = torch.stack(of_states[part :: cell.parts])
    return result


def _other_ways(kind: CellKind, case: _Case) -> dict[str, Tensor]:
    """Return gradients from contributions, from steps back one by one, and in two pieces."""
    cell, x, weights, direct = case.cell, case.x, case.weights, case.direct
    trace = cell.forward(x, weights, case.initial)
    whole = cell.adjoint(direct, trace, x, weights)
    result: dict[str, Tensor] = {}
    if isinstance(cell, OwnContributions):
        added = cell.contributions(trace, whole, weights, kind.recurrent)
        result[f"∂L/∂{kind.recurrent}"] = added.sum(0)
    else:
        deltas = cell.deltas(trace, whole)
        result["∂L/∂weight_hh"] = (deltas.mT @ trace.previous_states).sum(0)
    result |= _step_by_step(cell, trace, weights, direct, has_memory=kind.has_memory)
    middle = len(x) // 2
    if middle:
        first = cell.forward(x[:middle], weights, case.initial)
        second = cell.forward(x[middle:], weights, first.states[-1], first.last_step())
        result["h_t"] = torch.cat([first.states, second.states])
        late = cell.adjoint(direct[middle:], second, x[middle:], weights)
        early = cell.adjoint(direct[:middle], first, x[:middle], weights, later=late.earlier)
        if early.memory is not None and late.memory is not None:
            result["∂L/∂c_t"] = torch.cat([early.memory, late.memory])
        for name, one in early.weights.named().items():
            result.setdefault(f"∂L/∂{name}", one + late.weights.named()[name])
    return result


def _step_by_step(
    cell: Cell, trace: Trace, weights: LayerWeights, direct: Tensor, *, has_memory: bool
) -> dict[str, Tensor]:
    """Return ∂L/∂h_t by `Cell.step_back`, from the last time step on."""
    totals: list[Tensor] = []
    total = torch.zeros_like(direct[:1])
    carried = torch.zeros_like(total) if has_memory else None
    for t in reversed(range(len(direct))):
        total = total + direct[t : t + 1]
        totals.insert(0, total)
        back = cell.step_back(total, carried, trace.between(t, t + 1), weights, False)
        total, carried = back.total, back.carried
    return {"∂L/∂h_t": torch.cat(totals)}


def _alone(kind: CellKind, case: _Case, size: str) -> Iterator[Fault]:
    """Yield the numbers of which a run's bits are others alone than in company."""
    together, off = case.results(), dict[str, int]()
    for run in range(_RUNS):
        for name, value in case.of_run(run).results().items():
            own = slice(run, run + 1)
            there = together[name][:, own] if name.endswith("_t") else together[name][own]
            off[name] = off.get(name, 0) + (not torch.equal(value, there))
    for name, count in off.items():
        if count:
            said = f"{count} of {_RUNS} runs have other bits alone than together"
            yield Fault(kind.name, f"{name} ({size})", said)
