"""A cell of one's own: from a step function to the word of ``network.cell`` (`step_cell`)."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.networks.cells.base import TORCHS, CellKind, Shape
from rnn_exp.networks.cells.step import Once, StepCell
from rnn_exp.networks.cells.traced import StepFunction

__all__ = ["step_cell"]

_MOST_PARTS: Final = 2
_MATRIX: Final = "weight_hh"

Shapes = Callable[[int, int], Mapping[str, Shape]]
Draw = Callable[[Mapping[str, Shape], torch.Generator], Mapping[str, Tensor]]


def step_cell(
    name: str,
    step: Callable[..., tuple[Tensor, ...]],
    *,
    parts: int = 1,
    gates: int = 1,
    candidate: int = 0,
    forget_gate: int | None = None,
    shapes: Shapes | None = None,
    recurrent: str = _MATRIX,
    once: Once | None = None,
    draw: Draw | None = None,
    options: type | None = None,
) -> CellKind:
    r"""Return a kind of cell whose layers are computed by a step.

    Args:
        name: the word of ``network.cell``.
        step: ``step(x_t, state, weights) -> state`` in torch: x_t is (run, batch, input), ``state``
            a tuple of (run, batch, hidden) whose first part is h, ``weights`` maps names to tensors
            (run, …). With a fourth argument ``phi`` it is given ``network.activation``; without,
            the cell has activations of its own. Products with weights are those of torch over
            (run, …): ``x_t @ weights["weight_ih"].mT``; runs and sequences must not mix.
        parts: of the state, 1 or 2. ∂L/∂(second part) is recorded in the columns of the memory;
            h begins at ``network.initial_state``, the second part at 0.
        gates: blocks of rows that torch's four parameters have.
        candidate: the block of W_hh whose spectrum is recorded.
        forget_gate: the block of the gate that keeps the old state when it is 1, for the inits of
            that gate; None: there is none.
        shapes: the shape of every parameter by its name, from (hidden, inputs); None: torch's four.
            What begins with ``bias`` or ``weight_ih`` is treated as such by the inits.
        recurrent: the parameter through which h_{t-1} comes in. With another name than
            ``weight_hh`` there is no matrix, and spectra are not recorded.
        once: makes of the weights what the step reads, once a pass and for each run by itself: what
            need not be computed at every time step.
        draw: draws parameters, ``draw(shapes, generator)``; what it does not return is drawn by the
            run's init. Of torch's four it may draw those of a cell without W_hh.
        options: a frozen dataclass of settings ``network.…``; a step with an argument ``own`` is
            given one of it.

    Raises:
        ValueError: for more than two parts, or parameters that exclude each other.

    Example:
        >>> def step(x, state, weights):
        ...     (h,) = state
        ...     u = x @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
        ...     return (torch.sin(u),)
        >>> step_cell("sine", step).name
        'sine'
    """
    if not 1 <= parts <= _MOST_PARTS:
        raise ValueError(
            f"the state of the cell {name} has {parts} parts; allowed are 1 and 2 (put more of "
            "them side by side into h)"
        )
    words = inspect.signature(step).parameters
    takes_phi = "phi" in words
    if ("own" in words) != (options is not None):
        raise ValueError(f"the cell {name}: options and an argument own of its step go together")
    kind = CellKind(
        name,
        _builder(step, parts, once, takes_phi=takes_phi, takes_own=options is not None),
        gates=gates,
        candidate=candidate,
        forget_gate=forget_gate,
        only_activation=None if takes_phi else "tanh",
        has_memory=parts == _MOST_PARTS,
        kept=parts - 1,
        no_edge="nobody knows its theory",
        is_bounded=False,
        recurrent=recurrent,
        own_shapes=shapes,
        options=options,
        own_draw=None if draw is None else _drawing(name, draw, has_matrix=recurrent == _MATRIX),
    )
    if shapes is None and recurrent != _MATRIX:
        raise ValueError(f"the cell {name} has torch's parameters: {recurrent} is their {_MATRIX}")
    return kind


def _builder(
    step: Callable[..., tuple[Tensor, ...]],
    parts: int,
    once: Once | None,
    *,
    takes_phi: bool,
    takes_own: bool,
) -> Callable[[Activation, object], StepCell]:
    @functools.cache  # a step is followed once for each function object
    def bound(phi: Activation, own: object) -> StepFunction:
        given = ({"phi": phi} if takes_phi else {}) | ({"own": own} if takes_own else {})
        return functools.partial(step, **given) if given else step

    def build(activation: Activation, own: object) -> StepCell:
        return StepCell(bound(activation, own if takes_own else None), parts, once)

    return build


def _drawing(name: str, draw: Draw, *, has_matrix: bool) -> Draw:
    """Return a draw that leaves to the init what is the init's."""

    def own(shapes: Mapping[str, Shape], generator: torch.Generator) -> Mapping[str, Tensor]:
        drawn = draw(shapes, generator)
        if has_matrix and (both := sorted(set(TORCHS) & set(drawn))):
            raise ValueError(
                f"the cell {name} draws {', '.join(both)}, which its init draws: a cell with "
                f"{_MATRIX} draws the other parameters alone"
            )
        return drawn

    return own
