"""What a recorder must know of torch and torch has no public name for: all of it in one place."""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.nn.utils.rnn import PackedSequence

__all__ = [
    "after_backward",
    "backward_number",
    "has_graph",
    "in_backward",
    "made_at",
    "times_changed",
    "weights_used",
    "without_graph",
]

_NO_TASK: Final = -1


def without_graph(tensor: Tensor) -> Tensor:
    """Return the same numbers outside the graph, which still say whether they want a gradient.

    torch rounds a product in another way where it knows that none is wanted.
    """
    return tensor.detach().requires_grad_(tensor.requires_grad)


def weights_used(module: nn.RNNBase) -> dict[str, Tensor]:
    """Return the weights that a module hands to its function, by name, also where they are made."""
    names = module._flat_weights_names  # noqa: SLF001
    weights = module._flat_weights  # noqa: SLF001
    return {
        name: without_graph(weight)
        for name, weight in zip(names, weights, strict=True)
        if weight is not None
    }


def in_backward() -> bool:
    """Say whether a backward pass is going on: a module called there computes something again."""
    return backward_number() != _NO_TASK


def backward_number() -> int:
    """Return the number of the backward pass that is going on."""
    return int(torch._C._current_graph_task_id())  # noqa: SLF001


def after_backward(function: Callable[[], None]) -> None:
    """Call a function when the backward pass that is going on has ended."""
    engine: Any = Variable._execution_engine  # noqa: SLF001
    engine.queue_callback(function)


def has_graph(result: object) -> bool:
    """Say whether anything that a call returned can receive a gradient."""
    if isinstance(result, PackedSequence):
        return result.data.requires_grad
    if isinstance(result, tuple | list):
        return any(map(has_graph, result))
    return isinstance(result, Tensor) and result.requires_grad


def made_at(node: Any) -> int:  # noqa: ANN401 - torch's nodes have no class in common
    """Return the place of a node of the graph in the order in which nodes were made."""
    return int(node._sequence_nr())  # noqa: SLF001


def times_changed(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place."""
    return int(tensor._version)  # noqa: SLF001
