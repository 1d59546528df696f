"""A cell of one's own: from a step function to the word of ``network.cell`` (`step_cell`).

Example:
    >>> import torch
    >>> def step(x, state, weights):
    ...     (h,) = state
    ...     u = x @ weights["weight_ih"].mT + h @ weights["weight_hh"].mT
    ...     return (torch.sin(u),)
    >>> step_cell("sine", step).name
    'sine'
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.networks.cells.base import TORCHS, Cell, CellKind, Shape
from rnn_exp.networks.cells.step import Once, StepCell
from rnn_exp.networks.cells.traced import StepFunction

__all__ = ["step_cell"]

_MOST_PARTS: Final = 2
_MATRIX: Final = "weight_hh"

Shapes = Callable[[int, int], Mapping[str, Shape]]
Draw = Callable[[Mapping[str, Shape], torch.Generator], Mapping[str, Tensor]]


def _kind(
    name: str,
    build: Callable[[Activation, Any], Cell],
    *,
    takes_phi: bool,
    **more: Any,  # noqa: ANN401 - other fields of a kind
) -> CellKind:
    """Return a kind of cell of which no theory is known; without φ the word of one stays tanh."""
    return CellKind(
        name,
        build,
        only_activation=None if takes_phi else "tanh",
        takes_phi=takes_phi,
        no_edge="nobody knows its theory",
        is_bounded=False,
        **more,
    )


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
        step: ``step(x_t, state, weights) -> state``: x_t is (run, batch, input), ``state`` a tuple
            of (run, batch, hidden), h first, ``weights`` maps names to tensors (run, …). With a
            fourth argument ``phi`` it gets ``network.activation``. Runs and sequences must not mix.
        parts: of the state, 1 or 2; the gradient by the second is in the columns of the memory.
        gates: blocks of rows that W_hh has; the spectrum of ``candidate`` is recorded.
        candidate: a block of W_hh.
        forget_gate: the block of the gate that keeps the old state when it is 1; None: none does.
        shapes: of every parameter by its name, from (hidden, inputs); None: torch's four.
        recurrent: the parameter through which h_{t-1} comes in; without ``weight_hh`` no spectrum.
        once: makes of the weights what the step reads, once a pass and for each run by itself.
        draw: ``draw(shapes, generator)`` returns what the run's init does not draw.
        options: a frozen dataclass of settings ``network.…``, given to a step's argument ``own``.

    Raises:
        ValueError: for more than two parts, or a recurrent parameter that there is not.
    """
    _refuse(name, parts, shapes, recurrent)
    takes_phi, takes_own = _takes(name, step, options)
    return _kind(
        name,
        _builder(step, parts, once, takes_phi=takes_phi, takes_own=takes_own),
        gates=gates,
        candidate=candidate,
        forget_gate=forget_gate,
        takes_phi=takes_phi,
        has_memory=parts == _MOST_PARTS,
        kept=parts - 1,
        recurrent=recurrent,
        own_shapes=shapes,
        options=options,
        own_draw=draw and _drawing(name, draw, has_matrix=recurrent == _MATRIX),
    )


def _takes(
    name: str, step: Callable[..., tuple[Tensor, ...]], options: type | None
) -> tuple[bool, bool]:
    """Say whether a step takes φ, and whether it takes settings of its own."""
    words = inspect.signature(step).parameters
    if "own" in words and options is None:
        needs = "options, the dataclass of these settings"
        raise ValueError(f"the step of the cell {name} has an argument own, so it needs {needs}")
    if options is not None and "own" not in words:
        raise ValueError(f"the cell {name} has options, so its step needs an argument own for them")
    return "phi" in words, "own" in words


def _refuse(name: str, parts: int, shapes: Shapes | None, recurrent: str) -> None:
    if not 1 <= parts <= _MOST_PARTS:
        raise ValueError(
            f"the state of the cell {name} has {parts} parts; allowed are 1 and 2 (put more of "
            "them side by side into h)"
        )
    if shapes is None and recurrent != _MATRIX:
        raise ValueError(
            f"the cell {name} has no parameter {recurrent}: without shapes it has torch's four, "
            f"and the recurrent one is {_MATRIX}"
        )


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
                f"the cell {name} draws {', '.join(both)}, which its init draws; the draw of a "
                f"cell that has {_MATRIX} returns its other parameters only"
            )
        return drawn

    return own
