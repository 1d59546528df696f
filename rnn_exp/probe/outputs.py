"""What a step module returns, taken apart: its tensors by the path that leads to each."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from rnn_exp.probe.chains import Edge

__all__ = [
    "Output",
    "below",
    "default_states",
    "outputs_of",
    "states_among",
    "tensors_in",
    "tensors_with_graph",
]


@dataclasses.dataclass
class Output:
    """One tensor that a call returned, and the gradient that has come to it.

    Args:
        dtype: its precision.
        shape: its sizes.
        edge: its place in the graph; None: it has none.
        is_passed: whether the call was given it and hands it on.
        norm: of all its numbers, as it was returned.
        received: its gradient; None: none has come.
    """

    dtype: Any
    shape: tuple[int, ...]
    edge: Edge | None
    is_passed: bool
    norm: Tensor
    received: Tensor | None = None

    def receive(self, gradient: Tensor) -> None:
        """Add a gradient."""
        new = gradient.detach()
        self.received = new if self.received is None else self.received + new


def outputs_of(result: object) -> dict[str, Tensor]:
    """Return the tensors of what a call returned, by their paths, such as "1.0"; "" is all of it.

    Looks into tuples, lists, dicts and dataclasses, for numbers with a fraction alone.

    Example:
        >>> import torch
        >>> h = torch.zeros(2)
        >>> list(outputs_of((h, {"state": [h, h]}, None, torch.tensor(3))))
        ['0', '1.state.0', '1.state.1']
    """
    found = ((".".join(path), tensor) for path, tensor in _leaves(result, ()))
    return {path: each for path, each in found if each.is_floating_point() and each.numel()}


def tensors_in(values: object) -> list[Tensor]:
    """Return all tensors in what a call was given, or returned."""
    return [tensor for _, tensor in _leaves(values, ())]


def tensors_with_graph(result: object) -> list[Tensor]:
    """Return the tensors that a call returned which can receive a gradient."""
    return [each for each in tensors_in(result) if each.requires_grad]


def _leaves(values: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    if isinstance(values, Tensor):
        yield path, values
    elif isinstance(values, Mapping):
        for key, each in values.items():
            yield from _leaves(each, (*path, str(key)))
    elif isinstance(values, tuple | list):  # packed sequences too
        for number, each in enumerate(values):
            yield from _leaves(each, (*path, str(number)))
    elif dataclasses.is_dataclass(values) and not isinstance(values, type):
        for field in dataclasses.fields(values):
            yield from _leaves(getattr(values, field.name), (*path, field.name))


def below(path: str, paths: Iterator[str] | Mapping[str, Any]) -> list[str]:
    """Return the paths that a path leads to: itself, or all below it."""
    return [each for each in paths if each == path or not path or each.startswith(f"{path}.")]


def default_states(outputs: Mapping[str, Output]) -> tuple[str, ...]:
    """Return the paths of h_t, and of c_t, where no later call says what is handed on."""
    return states_among(outputs, list(outputs) if len(outputs) == 2 else list(outputs)[:1])


def states_among(outputs: Mapping[str, Output], paths: list[str]) -> tuple[str, ...]:
    """Return the path of h_t, the first one; and of c_t, if it is one of two of one shape.

    Where both come from one node of the graph, as from a fused kernel of a GPU, what goes from c_t
    to h_t inside it is in no gradient that autograd hands out, and c_t is left out.
    """
    if len(paths) != 2:
        return tuple(paths[:1])
    first, second = (outputs[path] for path in paths)
    if first.shape != second.shape or _node(first) == _node(second) is not None:
        return (paths[0],)
    return tuple(paths)


def _node(output: Output) -> tuple[int, int] | None:
    return None if output.edge is None else output.edge[:2]
