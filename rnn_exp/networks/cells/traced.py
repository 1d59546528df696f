r"""A step function taken apart: what can be computed for many time steps at once, and what cannot.

A step is followed once, operation by operation, and every operation is put in one of four parts:

    once    what depends on the weights alone,
    ahead   what depends on numbers that are known at all time steps beforehand,
    each    what goes from one time step to the next,
    after   what these leave behind, and nothing that goes on needs.

Forward, the inputs are known beforehand. Backward, so are all states: what is left for each time
step are the few operations through which the gradient itself goes, and the gradients of weights and
inputs come after. The second and the last part are computed for many time steps at once.

All operations are those of the step function, in its own arithmetic: nothing is approximated.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch.func import functionalize, vjp
from torch.fx.experimental.proxy_tensor import make_fx

from rnn_exp.shapes import Float

__all__ = ["Parts", "Sizes", "State", "StepFunction", "backward_parts", "forward_parts"]

State = tuple[Tensor, ...]
"""The parts of a state, each (run, batch, hidden); the first is h."""

StepFunction = Callable[[Tensor, State, Mapping[str, Tensor]], State]
"""From x_t (run, batch, input), the state before and the named weights to the state after."""

_ONCE, _AHEAD, _EACH, _AFTER = range(4)
# What only looks at numbers in another way; where the shape stays, it does nothing.
_LOOKS = {"view", "_unsafe_view", "expand", "detach", "alias"}
# The same operations where calling them costs less.
_QUICK = {
    torch.ops.aten.add.Tensor: torch.add,
    torch.ops.aten.addcmul.default: torch.addcmul,
    torch.ops.aten.baddbmm.default: torch.baddbmm,
    torch.ops.aten.bmm.default: torch.bmm,
    torch.ops.aten.cat.default: torch.cat,
    torch.ops.aten.mul.Tensor: torch.mul,
    torch.ops.aten.sigmoid.default: torch.sigmoid,
    torch.ops.aten.sub.Tensor: torch.sub,
    torch.ops.aten.tanh.default: torch.tanh,
}


class Sizes(NamedTuple):
    """The shapes that a step has been followed with, and the numbers' kind and place."""

    names: tuple[str, ...]
    weights: tuple[tuple[int, ...], ...]
    x: tuple[int, ...]
    state: tuple[tuple[int, ...], ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], x: Tensor, state: Sequence[Tensor]) -> "Sizes":
        """Return those of tensors: the named weights, x_t, and the parts of the state."""
        shapes = tuple(tuple(value.shape) for value in weights.values())
        parts = tuple(tuple(part.shape) for part in state)
        return cls(tuple(weights), shapes, tuple(x.shape), parts, x.dtype, x.device)

    def examples(self, *, gradient: bool) -> list[Tensor]:
        """Return weights, x_t, a state, and a gradient by one; which numbers does not matter."""
        shapes = [*self.weights, self.x, *self.state, *(self.state if gradient else ())]
        with torch.inference_mode(False):
            return [
                torch.full(shape, 0.5, dtype=self.dtype, device=self.device) for shape in shapes
            ]


class Parts:
    """A step in its four parts.

    Args:
        graph: the whole step; its inputs are weights, what is known, and what goes along in time.
        weights: how many of its inputs are weights.
        known: how many of its inputs are known beforehand.
        along: how many of its results go along in time; the others come after.
    """

    def __init__(self, graph: fx.Graph, weights: int, known: int, along: int) -> None:
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        given, known_inputs = inputs[:weights], inputs[weights : weights + known]
        going = inputs[weights + known :]
        [end] = [node for node in graph.nodes if node.op == "output"]
        ahead_of, rest = list(end.args[0])[:along], list(end.args[0])[along:]
        parts = _sorted(graph, given, known_inputs, ahead_of)
        once, ahead = (
            [
                node
                for node, own in parts.items()
                if own == part and any(parts.get(user, _AFTER) > part for user in node.users)
            ]
            for part in (_ONCE, _AHEAD)
        )
        left = [
            node
            for node, own in parts.items()
            if own == _EACH and node not in going
            if node in rest or any(parts.get(user) == _AFTER for user in node.users)
        ]
        self._has_ahead = bool(ahead)
        self._once = _compiled(graph, parts, _ONCE, given, once)
        of_ahead = _compiled(graph, parts, _AHEAD, [*once, *known_inputs], ahead)
        self._ahead = torch.vmap(of_ahead, (*(None,) * len(once), *(0,) * known))
        self.each: Callable[..., tuple[Tensor, ...]] = _compiled(
            graph, parts, _EACH, [*once, *ahead, *going], [*ahead_of, *left]
        )
        """Takes what was made once, what was made ahead of this time step, and what goes along;
        returns what goes along, and what is left behind."""
        reads = [*once, *ahead, *going, *left]
        of_after = _compiled(graph, parts, _AFTER, reads, rest)
        self._after = torch.vmap(of_after, (*(None,) * len(once), *(0,) * (len(reads) - len(once))))

    def once(self, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return what depends on the weights alone."""
        # Products of transposed matrices may round in another way, and whether they are transposed
        # in memory must not depend on how many runs there are.
        return tuple(value.contiguous() for value in self._once(*weights))

    def ahead(
        self, once: Sequence[Tensor], known: Sequence[Float[Tensor, "time ..."]]
    ) -> tuple[Tensor, ...]:
        """Return what depends on what is known beforehand, of some time steps."""
        return self._ahead(*once, *known) if self._has_ahead else ()

    def after(
        self,
        once: Sequence[Tensor],
        ahead: Sequence[Float[Tensor, "time ..."]],
        along: Sequence[Float[Tensor, "time ..."]],
        left: Sequence[Float[Tensor, "time ..."]] | None = None,
    ) -> tuple[Tensor, ...]:
        """Return what comes after, of some time steps.

        Args:
            once: what was made once.
            ahead: what was made ahead of these steps.
            along: what went into each of them.
            left: what each of them left behind; None: it is computed.
        """
        if left is None:
            axes = (*(None,) * len(once), *(0,) * (len(ahead) + len(along)))
            left = torch.vmap(self.each, axes)(*once, *ahead, *along)[len(along) :]
        return self._after(*once, *ahead, *along, *left)


def _sorted(
    graph: fx.Graph,
    given: Sequence[fx.Node],
    known: Sequence[fx.Node],
    results: Sequence[fx.Node],
) -> dict[fx.Node, int]:
    """Return the part of every node."""
    needed, waiting = set[fx.Node](), list(results)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting += node.all_input_nodes
    parts: dict[fx.Node, int] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            parts[node] = _ONCE if node in given else _AHEAD if node in known else _EACH
        elif node.op != "output":
            part = max((parts[one] for one in node.all_input_nodes), default=_ONCE)
            parts[node] = _AFTER if part == _EACH and node not in needed else part
    return parts


def _compiled(
    graph: fx.Graph,
    parts: Mapping[fx.Node, int],
    part: int,
    inputs: Sequence[fx.Node],
    results: Sequence[fx.Node],
) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function of one part."""
    own = fx.Graph()
    places = {node: own.placeholder(f"v{number}") for number, node in enumerate(inputs)}
    for node in graph.nodes:
        if parts.get(node) == part and node.op in ("call_function", "get_attr"):
            places[node] = own.node_copy(node, places.__getitem__)
            places[node].target = _QUICK.get(node.target, node.target)
    own.output(tuple(places[node] for node in results))
    own.eliminate_dead_code()
    found: Callable[..., tuple[Tensor, ...]] = fx.GraphModule(
        graph.owning_module or {}, own
    ).forward
    return found


def _followed(function: Callable[..., State], examples: Sequence[Tensor]) -> fx.Graph:
    """Return the operations of a function, none of which changes a tensor in place."""
    with torch.inference_mode(False), torch.no_grad():
        module = make_fx(functionalize(function))(*examples)
    graph: fx.Graph = module.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            continue
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            raise ValueError(
                f"the step of a cell draws random numbers ({node.target}): going back it would "
                "draw other ones, and the gradient would be wrong"
            )
        if node.target == torch.ops.aten.add.Tensor and not node.kwargs:
            _join_addition(node)
        read = node.args[0] if node.args else None
        if (
            isinstance(read, fx.Node)
            and node.target.overloadpacket.__name__ in _LOOKS
            and node.meta["val"].shape == read.meta["val"].shape
        ):
            node.replace_all_uses_with(read)
            graph.erase_node(node)
    graph.eliminate_dead_code()
    return graph


def _join_addition(node: fx.Node) -> None:
    """Make one operation of an addition and what is added, where nothing else reads that."""
    aten = torch.ops.aten
    for added, other in (node.args, node.args[::-1]):
        if not (isinstance(added, fx.Node) and isinstance(other, fx.Node)) or len(added.users) > 1:
            continue
        same = node.meta["val"].shape == added.meta["val"].shape
        if added.target == aten.bmm.default and same:
            node.target, node.args = aten.baddbmm.default, (other, *added.args)
            return
        if added.target == aten.neg.default:
            node.target, node.args = aten.sub.Tensor, (other, *added.args)
            return
        factors = all(isinstance(one, fx.Node) for one in added.args)
        if added.target == aten.mul.Tensor and same and factors:
            node.target, node.args = aten.addcmul.default, (other, *added.args)
            return


@functools.lru_cache(maxsize=64)
def forward_parts(step: StepFunction, sizes: Sizes) -> Parts:
    """Return the step from a state to the next: x_t is known beforehand, the state goes along."""
    names = sizes.names

    def function(*given: Tensor) -> State:
        named = dict(zip(names, given, strict=False))
        return tuple(step(given[len(names)], given[len(names) + 1 :], named))

    graph = _followed(function, sizes.examples(gradient=False))
    return Parts(graph, len(names), 1, len(sizes.state))


@functools.lru_cache(maxsize=64)
def backward_parts(step: StepFunction, sizes: Sizes) -> Parts:
    """Return the step back: x_t and the state before are known, the gradient goes along.

    After it come the gradients of every weight and of x_t.
    """
    names, first, parts = sizes.names, len(sizes.names) + 1, len(sizes.state)

    def function(*given: Tensor) -> State:
        before, gradient = given[first : first + parts], given[first + parts :]

        def after(*by: Tensor) -> State:
            named = dict(zip(names, by[parts:], strict=False))
            return tuple(step(by[-1], by[:parts], named))

        pull = vjp(after, *before, *given[:first])[1]
        return tuple(pull(gradient))

    graph = _followed(function, sizes.examples(gradient=True))
    return Parts(graph, len(names), 1 + parts, parts)
