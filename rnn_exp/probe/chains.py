"""Calls that hand on their state: which call a state came from, looked up in torch's graph.

A place in the graph is remembered by numbers alone, so that nothing keeps a graph alive.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.torch_names import aside, leave_uncompiled, made_at

__all__ = ["Edge", "edge_of", "edges_of", "reached", "watch_readers"]


class Edge(NamedTuple):
    """What one output of one node of the graph hands on.

    Args:
        thread: in which it was made: there nodes are numbered.
        number: of the node.
        output: of the node.
    """

    thread: int
    number: int
    output: int


def edge_of(tensor: Tensor) -> Edge | None:
    """Return the place of a tensor in the graph; None: it has none, or begins one."""
    node = tensor.grad_fn
    return None if node is None else _edge(node, tensor.output_nr)


def edges_of(tensors: Iterable[Tensor]) -> list[Edge]:
    """Return the places of those tensors that have one."""
    return [edge for edge in map(edge_of, tensors) if edge is not None]


def _edge(node: Any, output: int) -> Edge:  # noqa: ANN401 - torch's nodes have no class in common
    return Edge(threading.get_ident(), made_at(node), output)


def reached(tensors: Iterable[Tensor], wanted: Collection[Edge], *, all_of: bool) -> set[Edge]:
    """Return which places some tensors depend on.

    Args:
        tensors: where to begin.
        wanted: the places.
        all_of: look for all to which a way leads past the others; else one is enough.
    """
    found: set[Edge] = set()
    thread = threading.get_ident()
    oldest = min((edge.number for edge in wanted if edge.thread == thread), default=None)
    if oldest is None:
        return found
    left = [(each.grad_fn, each.output_nr) for each in tensors if each.grad_fn is not None]
    seen = set()
    while left:
        node, output = left.pop()
        edge = _edge(node, output)
        if edge in wanted:
            found.add(edge)
            if not all_of:
                return found
            continue
        # What was made before all of them cannot depend on them.
        if node in seen or edge.number < oldest:
            continue
        seen.add(node)
        left += _following(node)
    return found


def watch_readers(
    state: Tensor, results: Iterable[Tensor], inputs: Tensor, receive: Callable[[Tensor], None]
) -> list[RemovableHandle]:
    """Let a function have the gradients that a call hands back to the state it began with.

    The hook of a tensor has the sum over all that read it; the nodes of the call have its own part.

    Args:
        state: that the call began with.
        results: of the call.
        inputs: that it read, whose graph is not the call's.
        receive: is called with each part.
    """
    wanted, outside = edge_of(state), edge_of(inputs)
    if wanted is None:
        return []
    left = [(each.grad_fn, each.output_nr) for each in results if each.grad_fn is not None]
    seen, handles = set(), []
    while left:
        node, output = left.pop()
        edge = _edge(node, output)
        if node in seen or edge.number <= wanted.number or edge == outside:
            continue
        seen.add(node)
        for place, (following, number) in enumerate(node.next_functions):
            if following is not None and _edge(following, number) == wanted:
                handles.append(node.register_hook(_part_of(place, receive)))
        left += _following(node)
    return handles


def _following(node: Any) -> Iterator[tuple[Any, int]]:  # noqa: ANN401
    return ((each, output) for each, output in node.next_functions if each is not None)


def _part_of(place: int, receive: Callable[[Tensor], None]) -> Callable[[Any, object], None]:
    """Return a hook of a node that hands over one of the gradients it has made."""

    def hook(made: tuple[Tensor | None, ...], received: object) -> None:
        del received
        if (gradient := made[place]) is not None:
            with aside():
                receive(gradient)

    leave_uncompiled(hook)
    return hook
