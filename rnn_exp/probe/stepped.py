"""Recording a module that is called once a time step: a cell, or a block in a Python loop.

Autograd's own gradient of a call's output is the total one, ∂L/∂h_t through all later calls, if
these calls are connected. Whether they are is looked up in the graph: where a call does not depend
on the one before (a detach, a no_grad, a copy), the chain is cut, and that is said.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rnn_exp.networks.norms import log10_norm, norm
from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.modules import (
    RecorderError,
    refuse_call,
    refuse_graph_of_gradients,
    shown,
)
from rnn_exp.probe.profile import Profile
from rnn_exp.probe.torch_names import made_at
from rnn_exp.schema import GRADIENT_STATUSES, status_of

__all__ = ["Chain", "Step", "SteppedCalls"]

_WORDS: Final = {word: number for number, word in enumerate(GRADIENT_STATUSES)}
_MARGIN: Final = 3.0
_NAMES: Final = ("log10_total", "log10_memory")


@dataclasses.dataclass
class Step:
    """One call: the size of what it returned, and the gradients that have come.

    Args:
        place: of the call among all calls of this update.
        chain: the number of its chain, of this module in this update.
        time: its place in the chain, from 1.
        sizes: the norm of each of its outputs, as it was returned.
        numbers: how many numbers each of them has.
        dtypes: their precisions.
        has_graph: whether it can receive gradients.
        is_new: whether the calls before it have had their backward pass.
        received: by output; None: none has come.
    """

    place: int
    chain: int
    time: int
    sizes: list[Tensor]
    numbers: list[int]
    dtypes: list[torch.dtype]
    has_graph: bool
    is_new: bool
    received: list[Tensor | None]

    def receive(self, place: int, gradient: Tensor) -> None:
        """Add a gradient of one of the outputs."""
        before, new = self.received[place], gradient.detach()
        self.received[place] = new if before is None else before + new


@dataclasses.dataclass(frozen=True)
class Chain:
    """Calls that are connected, and what was measured of them.

    Args:
        name: of the module.
        place: of its first call among all calls of this update.
        number: of the chain, of this module in this update.
        first: the number of its first call in this update, from 1.
        profile: by call.
        why_cut: why the chain begins here and not at the call before; empty: there was none.
    """

    name: str
    place: int
    number: int
    first: int
    profile: Profile
    why_cut: str


class SteppedCalls:
    """The calls of an update.

    Args:
        names: of the modules.
        is_mean: whether the loss is a mean over the batch.
        received: is called with a module, the call that has received a gradient, and this.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        is_mean: bool,
        received: Callable[[nn.Module, Step, Tensor], None],
    ) -> None:
        self._names, self._is_mean, self._received = names, is_mean, received
        self._steps: dict[nn.Module, list[Step]] = {module: [] for module in names}
        self._last: dict[nn.Module, list[Any]] = {}  # nodes of the graph, of the last call
        self._reached: set[nn.Module] = set()  # by a backward pass since the last call
        self._handles: list[RemovableHandle] = []

    def after(self, module: nn.Module, result: object, place: int) -> Step | None:
        """Keep a call and watch for the gradients of what it returned; None: nobody asks for it.

        Args:
            module: that was called.
            result: what it returned.
            place: of the call among all calls of this update.
        """
        outputs = _states(result, self._names[module], module)
        refuse_call(self._names[module], module, outputs[0])
        steps, has_graph = self._steps[module], any(each.requires_grad for each in outputs)
        is_new = not steps or module in self._reached
        if is_new and not has_graph:
            return None  # such as one of a test
        self._reached.discard(module)
        nodes = [each.grad_fn for each in outputs if each.grad_fn is not None]
        connected = has_graph and _depends(nodes, self._last.get(module, []))
        self._last[module] = nodes
        chain, time = (steps[-1].chain, steps[-1].time) if steps else (-1, 0)
        step = Step(
            place=place,
            chain=chain if connected else chain + 1,
            time=time + 1 if connected else 1,
            sizes=[_size(each.detach()) for each in outputs],
            numbers=[each.numel() for each in outputs],
            dtypes=[each.dtype for each in outputs],
            has_graph=has_graph,
            is_new=is_new,
            received=[None] * len(outputs),
        )
        for number, each in enumerate(outputs):
            if each.requires_grad:
                self._handles.append(self._watch(module, each, step, number))
        steps.append(step)
        return step

    def take(self) -> list[Chain]:
        """Return the chains of an update that has ended."""
        found = []
        for handle in self._handles:
            handle.remove()
        self._last, self._handles = {}, []
        self._reached.clear()
        for module, steps in self._steps.items():
            self._steps[module] = []
            if any(map(_has_come, steps)):
                for first, chain in _chains(steps):
                    profile = _profile(chain, self._is_mean)
                    why = _why(steps, first) if first else ""
                    place, number = chain[0].place, chain[0].chain
                    found.append(Chain(self._names[module], place, number, first + 1, profile, why))
        return found

    def _watch(self, module: nn.Module, output: Tensor, step: Step, place: int) -> RemovableHandle:
        """Let a step receive the gradients of one of its outputs."""

        def receive(gradient: Tensor) -> None:
            refuse_graph_of_gradients(self._names[module], module)
            step.receive(place, gradient)
            self._reached.add(module)
            self._received(module, step, gradient.detach())

        return watch_gradient(output, receive)


def _has_come(step: Step) -> bool:
    return any(each is not None for each in step.received)


def _states(result: object, name: str, module: nn.Module) -> list[Tensor]:
    """Return h_t of what a module returned; and c_t, if it is a pair of one shape.

    Where both come from one node of the graph, as from a fused kernel of a GPU, what goes from c_t
    to h_t inside it is in no gradient that autograd hands out, and c_t is left out.
    """
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list) and result and isinstance(result[0], Tensor):
        first, second = result[0], result[1] if len(result) == 2 else None
        if (
            isinstance(second, Tensor)
            and second.shape == first.shape
            and (second.grad_fn is None or second.grad_fn is not first.grad_fn)
        ):
            return [first, second]
        return [first]
    raise RecorderError(
        f"{shown(name, module)} cannot be recorded: it returns a {type(result).__name__}, and what "
        "can be recorded is a tensor, or a tuple that begins with one"
    )


def _depends(nodes: list[Any], earlier: list[Any]) -> bool:
    """Say whether a graph contains nodes that were made before it."""
    wanted = set(earlier)
    if not wanted:
        return False
    oldest = min(made_at(node) for node in wanted)
    left, seen = list(nodes), set()
    while left:
        node = left.pop()
        if node in wanted:
            return True
        # What was made before the earlier call cannot depend on it.
        if node in seen or made_at(node) < oldest:
            continue
        seen.add(node)
        left += [following for following, _ in node.next_functions if following is not None]
    return False


def _chains(steps: list[Step]) -> Iterator[tuple[int, list[Step]]]:
    """Return the connected calls, each with the place of its first one."""
    for _, chain in itertools.groupby(enumerate(steps), key=lambda each: each[1].chain):
        numbered = list(chain)
        yield numbered[0][0], [step for _, step in numbered]


def _why(steps: list[Step], place: int) -> str:
    """Say why a chain begins at a call; empty: the calls before had their backward pass."""
    if steps[place].is_new:
        return ""
    if not steps[place].has_graph:
        return "it has no graph (no_grad, or a detached copy)"
    if not steps[place - 1].has_graph:
        return "the call before it has no graph (no_grad, or a detached copy)"
    return (
        "it does not depend on the call before (a detach, a copy, a new sequence, or its state is "
        "not what it returns first)"
    )


def _profile(steps: list[Step], is_mean: bool) -> Profile:
    """Measure the gradients of connected calls."""
    columns: dict[str, np.ndarray] = {}
    reached = any(map(_has_come, steps))
    for place, name in enumerate(_NAMES[: len(steps[0].sizes)]):
        columns[name] = _log10([step.received[place] for step in steps], is_mean)
        floor = math.log10(torch.finfo(steps[0].dtypes[place]).tiny) + _MARGIN
        statuses = [_status(each, floor, reached) for each in columns[name].tolist()]
        columns[status_of(name)] = np.array(statuses, dtype=np.int8)
    sizes = torch.stack([step.sizes[0] for step in steps]).cpu().numpy()
    numbers = np.array([step.numbers[0] for step in steps])
    return Profile(0, 0, columns | {"state_rms": sizes / np.sqrt(numbers)})


def _rows(values: Tensor) -> Tensor:
    return values.reshape(1, -1) if values.ndim < 2 else values.flatten(1)


def _size(values: Tensor) -> Tensor:
    if values.dtype == torch.float64:
        return norm(_rows(values))
    return torch.linalg.vector_norm(values, dtype=torch.float64)


def _log10(gradients: Sequence[Tensor | None], is_mean: bool) -> np.ndarray:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    norms = np.full(len(gradients), -math.inf)
    came = [place for place, each in enumerate(gradients) if each is not None]
    rows = [_rows(each) for each in gradients if each is not None]
    if rows:
        # All are read at once: a GPU is waited for once.
        norms[came] = _log10_norms(rows).cpu().numpy()
        norms[came] += [
            math.log10(len(each) if is_mean else 1) - 0.5 * math.log10(len(each)) for each in rows
        ]
    return norms


def _log10_norms(rows: Sequence[Tensor]) -> Tensor:
    if len({(each.shape, each.dtype, each.device) for each in rows}) == 1:
        return log10_norm(torch.stack([*rows]))
    return torch.stack([log10_norm(each.double()) for each in rows])


def _status(log10_norm: float, floor: float, reached: bool) -> int:
    if not reached:
        return _WORDS["cut_off"]
    if math.isnan(log10_norm):
        return _WORDS["nan"]
    if math.isinf(log10_norm):
        return _WORDS["inf" if log10_norm > 0 else "zero"]
    return _WORDS["underflow" if log10_norm < floor else "ok"]
