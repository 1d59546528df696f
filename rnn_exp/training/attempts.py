"""Small calls of one part of a run each, on a few numbers: what it must do, and what it did.

They cost milliseconds, and find a part that returns the wrong thing; whether the right thing is
also exact is a matter of `rnn_exp.verification`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks import Init, Network
from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.cells.step import StepCell
from rnn_exp.networks.inits import own_parameters
from rnn_exp.networks.network import shapes
from rnn_exp.networks.parameters import Layout
from rnn_exp.randomness import generator
from rnn_exp.tasks import Batch, Task, TaskLoss
from rnn_exp.tasks.task import Classification
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.own_penalties import OwnPenalty
from rnn_exp.training.settings import Training

__all__ = [
    "PartError",
    "try_activation",
    "try_cell",
    "try_init",
    "try_optimizer",
    "try_penalty",
    "try_task",
]

_FEW: Final = 3  # sequences
_RUNS, _STEPS = 2, 2
_PATIENCE: Final = 100  # steps in which an optimiser has to move something
_LARGE: Final = 1_000_000  # parameters; of as many no second run is held
_NEAR: Final = 1e-5  # of a number that is computed alone and among others


class PartError(Exception):
    """A part that does not do what it must: what that is, and what it did.

    Args:
        must: what is allowed, in words.
        did: what came.
    """

    def __init__(self, must: str, did: str) -> None:
        super().__init__(f"{must}; {did}")


def try_task(task: Task) -> None:
    """Try a task: a batch of a few sequences, and what it scores.

    Args:
        task: with its settings.

    Raises:
        PartError: if it does not do what it must, as the other trials.
    """
    batch = task.draw(_FEW, generator(0, "trial"))
    _want(isinstance(batch, Batch), "whose draw returns a Batch", f"it returned {_kind(batch)}")
    T, drew = task.steps, f"of {_FEW} sequences it drew"
    inputs = "whose inputs are (time, batch, input_size)"
    _want_shape(batch.inputs, (None, _FEW, task.input_size), inputs, drew)
    within = task.shortest <= batch.length <= len(batch.inputs) <= T
    lengths = f"whose sequences have from {task.shortest} to {T} time steps"
    _want(within, lengths, f"it drew {len(batch.inputs)}, and says that they have {batch.length}")
    _want_shape(batch.targets, (task.answers, _FEW), "whose targets are (answers, batch)", drew)
    _want_shape(batch.cues, (None, _FEW), "whose cues are (cues, batch)", drew)
    targets = batch.targets
    if isinstance(task, Classification):
        classes = f"whose targets are whole numbers from 0 to {task.output_size - 1}"
        _want(not targets.is_floating_point(), classes, f"they are {targets.dtype}")
        right = bool(((targets >= 0) & (targets < task.output_size)).all())
        _want(right, classes, f"it drew one from {int(targets.min())} to {int(targets.max())}")
    outputs = torch.zeros(1, task.answers, _FEW, task.output_size)
    targets = targets.float() if targets.is_floating_point() else targets
    for word, score in (("loss", task.loss), ("error", task.error)):
        found = score(outputs, targets.unsqueeze(0))
        _want_shape(found, (1,), f"whose {word} is (run)", "of 1 run it is")
    loss_of = TaskLoss(task, targets.unsqueeze(0))
    if loss_of.and_slope(outputs.clone()) is None:  # its gradient is left to autograd
        with torch.enable_grad():
            loss = loss_of(outputs.clone().requires_grad_())
        by_outputs = "whose loss can be differentiated by the outputs"
        _want(loss.requires_grad, by_outputs, "it does not depend on them (was it detached?)")


def try_init(init: Init, network: Network, input_size: int, output_size: int) -> None:
    """Try an init: weights for a network of the size that is wanted."""
    wanted = shapes(network, input_size, output_size)
    there = {key: shape for key, shape in wanted.items() if network.has(key)}
    drawn, must = init.draw(there, 0, network.kind), "whose draw returns a tensor for each name"
    _want(isinstance(drawn, Mapping), must, f"it returned {_kind(drawn)}")
    missing = [key for key in there if key not in drawn]
    _want(not missing, must, f"there is none for {', '.join(missing)}")
    for key, shape in there.items():
        _want_shape(drawn[key], shape, f"that draws {key} in its shape", "it drew")
        _want(not bool(drawn[key].isnan().any()), "that draws numbers", f"{key} has NaN")


def try_activation(network: Network) -> None:
    """Try an activation: φ and φ' of a few numbers."""
    u, phi = torch.linspace(-3, 3, 24, dtype=network.torch_dtype).view(2, 3, 4), network.phi
    for word, function in (("φ", lambda u: phi.phi(u.clone())), ("φ'", phi.derivative)):
        must = f"whose {word} returns a number for each number, in the same precision"
        values, first = function(u), function(u[:1, :1, :1])
        same = isinstance(values, Tensor) and (values.shape, values.dtype) == (u.shape, u.dtype)
        _want(same, must, f"of {_kind(u)} it is {_kind(values)}")
        near = torch.allclose(first, values[:1, :1, :1], rtol=_NEAR, atol=_NEAR, equal_nan=True)
        _want(near, f"whose {word} is a function of every number on its own", "it is not")


def try_cell(network: Network, input_size: int) -> None:
    """Try a cell: a few time steps of two runs."""
    kind, H, draws = network.kind, network.hidden_size, generator(0, "trial")
    sizes = shapes(network, input_size, 1)
    drawn = own_parameters(network, sizes, 0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws, dtype=torch.float64).to(network.torch_dtype)

    layer = kind.shapes(H, input_size)
    one = {
        key: drawn[f"{key}_l0"].to(network.torch_dtype)
        if f"{key}_l0" in drawn
        else normal(*shape) / H**0.5
        for key, shape in layer.items()
    }
    named = {key: torch.stack([value] * _RUNS) for key, value in one.items()}
    x, h = normal(_STEPS, _RUNS, _FEW, input_size), normal(_RUNS, _FEW, H)
    cell = network.make_cell()
    if isinstance(cell, StepCell):
        state = (h, *(torch.zeros_like(h) for _ in range(cell.parts - 1)))
        read = named if cell.once is None else cell.once(named)
        after = cell.step(x[0], state, read)
        must = f"whose step returns a tuple of {cell.parts} (run, batch, hidden)"
        _want(isinstance(after, tuple | list), must, f"it returned {_kind(after)}")
        _want(len(after) == cell.parts, must, f"it returned {len(after)}")
        for part in after:
            same = isinstance(part, Tensor) and (part.shape, part.dtype) == (h.shape, h.dtype)
            _want(same, f"{must}, here {_kind(h)}", f"it returned {_kind(part)}")
        return
    trace = cell.forward(x, LayerWeights(*named.values(), names=tuple(named)), h)
    must, wanted = "whose states are (time, run, batch, hidden)", (_STEPS, *h.shape)
    _want(trace.states.shape == wanted, f"{must}, here {wanted}", f"they are {_kind(trace.states)}")


def try_penalty(penalty: OwnPenalty | None, network: Network) -> None:
    """Try a penalty of a user, where it is one: its value and its gradient for two runs."""
    if penalty is None:
        return  # a `Penalty`, which has a gradient of its own by what a run leaves
    shape = (_RUNS, *network.kind.shapes(network.hidden_size, 1)["weight_hh"])
    W = torch.randn(shape, generator=generator(0, "trial"), dtype=torch.float64)
    W = (W / network.hidden_size**0.5).to(network.torch_dtype).requires_grad_()
    with torch.enable_grad():
        value = penalty.value(W)
    _want_shape(value, (_RUNS,), "whose value is (run)", f"of {_RUNS} runs it is")
    _want(value.requires_grad, "whose value autograd can follow to W_hh", "this one it cannot")
    penalty.with_gradient(W.detach())


def try_optimizer(
    name: str, training: Training, network: Network, input_size: int, output_size: int
) -> None:
    """Try an optimiser: steps of two runs, until something has moved."""
    optimizer, layout = OPTIMIZERS[name], Layout(shapes(network, input_size, output_size))
    size = sum(map(math.prod, layout.shapes.values()))
    draws, runs = generator(0, "trial"), _RUNS if size < _LARGE else 1

    def normal() -> Tensor:
        values = torch.randn(runs, size, generator=draws, dtype=network.torch_dtype)
        return values.div_(network.hidden_size**0.5)

    flat, memory = normal(), optimizer.memory(normal(), training)
    before, first = flat.clone(), {key: value.clone() for key, value in memory.items()}
    step: Callable[..., object] = optimizer.step
    arguments = optimizer.arguments(training, layout)
    must = "whose step changes `flat` in place (flat -= …) and returns nothing"
    for _ in range(_PATIENCE):
        gradient = normal()
        for key, view in layout.views(gradient).items():
            view *= float(network.has(key))
        returned = step(flat, gradient, memory, training.learning_rate, **arguments)
        _want(returned is None, must, f"it returned {_kind(returned)}")
        _want(flat.shape == before.shape, must, f"it made {_kind(before)} {_kind(flat)}")
        keeps = "whose step keeps the names and shapes of its memory"
        changed = [key for key in {**memory, **first} if _shape(memory, key) != _shape(first, key)]
        _want(not changed, keeps, f"it changed those of {', '.join(changed)}")
        nan = "whose step makes numbers of finite weights and gradients"
        _want(not bool(flat.isnan().any()), nan, "it made NaN")
        if not torch.equal(flat, before):
            return
    raise PartError(must, f"nothing has moved after {_PATIENCE} steps")


def _shape(memory: Mapping[str, object], name: str) -> object:
    """Return the shape of something in a memory; its type, if it has none."""
    value = memory.get(name, ...)
    return tuple(value.shape) if isinstance(value, Tensor) else type(value)


def _want(holds: object, must: str, did: str) -> None:
    """Raise `PartError`, unless a part did what it must."""
    if not holds:
        raise PartError(must, did)


def _want_shape(found: object, shape: tuple[int | None, ...], must: str, did: str) -> None:
    """Want a tensor of a shape; None: any number.

    Args:
        found: what came.
        shape: what is wanted.
        must: what the part must return, in words; the shape is added.
        did: what comes before what came.
    """
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    fits = isinstance(found, Tensor) and found.ndim == len(shape)
    fits = fits and all(
        wanted in (None, size)
        for wanted, size in zip(shape, getattr(found, "shape", ()), strict=False)
    )
    _want(fits, f"{must}, here ({sizes})", f"{did} {_kind(found)}")


def _kind(found: object) -> str:
    """Say what something is: a tensor by its shape and precision, anything else by its type."""
    if isinstance(found, Tensor):
        return f"a tensor {tuple(found.shape)} of {str(found.dtype).removeprefix('torch.')}"
    return "nothing" if found is None else f"a {type(found).__name__}"
