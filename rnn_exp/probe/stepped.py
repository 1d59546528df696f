"""Recording a module that is called once a time step: a cell, or a block in a Python loop.

Autograd's own gradient of a call's output is the total one, ∂L/∂h_t through all later calls, if
these calls are connected. Whether they are is looked up in the graph: where a call does not depend
on the one before (a detach, a no_grad, a copy), the chain is cut, and that is said.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rnn_exp.networks.norms import log10_norm, norm
from rnn_exp.probe.modules import RecorderError, shown
from rnn_exp.probe.profile import Profile
from rnn_exp.probe.torch_names import made_at
from rnn_exp.schema import GRADIENT_STATUSES

__all__ = ["Chain", "SteppedCalls"]

_WORDS: Final = {word: number for number, word in enumerate(GRADIENT_STATUSES)}
_MARGIN: Final = 3.0
_NAMES: Final = ("log10_total", "log10_memory")


@dataclasses.dataclass
class _Step:
    """One call: what it returned, without the graph, and the gradients that have come."""

    outputs: list[Tensor]
    has_graph: bool
    is_connected: bool
    is_new: bool  # the calls before it have had their backward pass
    received: list[Tensor | None]

    def receive(self, place: int, gradient: Tensor) -> None:
        before, new = self.received[place], gradient.detach()
        self.received[place] = new if before is None else before + new


@dataclasses.dataclass(frozen=True)
class Chain:
    """Calls that are connected, and what was measured of them.

    Args:
        name: of the module.
        first: the number of its first call in this update, from 1.
        profile: by call.
        why_cut: why the chain begins here and not at the call before; empty: there was none.
    """

    name: str
    first: int
    profile: Profile
    why_cut: str


class SteppedCalls:
    """The calls of an update.

    Args:
        names: of the modules.
        is_mean: whether the loss is a mean over the batch.
    """

    def __init__(self, names: Mapping[nn.Module, str], is_mean: bool) -> None:
        self._names, self._is_mean = names, is_mean
        self._steps: dict[nn.Module, list[_Step]] = {module: [] for module in names}
        self._last: dict[nn.Module, list[Any]] = {}  # nodes of the graph, of the last call
        self._handles: list[RemovableHandle] = []

    def after(self, module: nn.Module, result: object) -> None:
        """Keep a call and watch for the gradients of what it returned."""
        outputs = _states(result, self._names[module], module)
        steps, has_graph = self._steps[module], any(each.requires_grad for each in outputs)
        is_new = not steps or _has_come(steps[-1])
        if is_new and not has_graph:
            return  # a call that nobody differentiates, such as one of a test
        nodes = [each.grad_fn for each in outputs if each.grad_fn is not None]
        connected = not is_new and has_graph and _depends(nodes, self._last.get(module, []))
        self._last[module] = nodes
        kept = [each.detach() for each in outputs]
        step = _Step(kept, has_graph, connected, is_new, [None] * len(outputs))
        for place, each in enumerate(outputs):
            if each.requires_grad:
                self._handles.append(_watch(each, step, place))
        steps.append(step)

    @property
    def has_received(self) -> bool:
        """Whether any gradient has come in this update."""
        return any(_has_come(step) for steps in self._steps.values() for step in steps)

    def take(self) -> list[Chain]:
        """Return the chains of an update that has ended."""
        found = []
        for handle in self._handles:
            handle.remove()
        self._last, self._handles = {}, []
        for module, steps in self._steps.items():
            self._steps[module] = []
            if any(map(_has_come, steps)):
                for first, chain in _chains(steps):
                    profile = _profile(chain, self._is_mean)
                    why = _why(steps, first) if first else ""
                    found.append(Chain(self._names[module], first + 1, profile, why))
        return found


def _watch(output: Tensor, step: _Step, place: int) -> RemovableHandle:
    """Let a step receive the gradients of one of its outputs."""

    def hook(gradient: Tensor) -> None:
        step.receive(place, gradient)

    handle: RemovableHandle = output.register_hook(hook)  # type: ignore[no-untyped-call]
    return handle


def _has_come(step: _Step) -> bool:
    return any(each is not None for each in step.received)


def _states(result: object, name: str, module: nn.Module) -> list[Tensor]:
    """Return h_t of what a module returned; and c_t, if it is a pair of one shape."""
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, tuple | list) and result and isinstance(result[0], Tensor):
        first, second = result[0], result[1] if len(result) == 2 else None
        if isinstance(second, Tensor) and second.shape == first.shape:
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


def _chains(steps: list[_Step]) -> Iterator[tuple[int, list[_Step]]]:
    """Return the connected calls, each with the place of its first one."""
    first = 0
    for place in range(1, len(steps) + 1):
        if place == len(steps) or not steps[place].is_connected:
            yield first, steps[first:place]
            first = place


def _why(steps: list[_Step], place: int) -> str:
    """Say why a chain begins at a call; empty: the calls before had their backward pass."""
    if steps[place].is_new:
        return ""
    if not steps[place].has_graph:
        return "it has no graph (no_grad, or a detached copy)"
    if not steps[place - 1].has_graph:
        return "the call before it has no graph (no_grad, or a detached copy)"
    return "it does not depend on the call before (a detach, a copy, or a new sequence)"


def _profile(steps: list[_Step], is_mean: bool) -> Profile:
    """Measure the gradients of connected calls."""
    columns: dict[str, np.ndarray] = {}
    reached = any(map(_has_come, steps))
    for place, name in enumerate(_NAMES[: len(steps[0].outputs)]):
        norms = [_log10(step.outputs[place], step.received[place], is_mean) for step in steps]
        floor = math.log10(torch.finfo(steps[0].outputs[place].dtype).tiny) + _MARGIN
        columns[name] = np.array(norms)
        status = "status" if name == "log10_total" else "status_memory"
        columns[status] = np.array([_status(each, floor, reached) for each in norms], dtype=np.int8)
    states = [step.outputs[0] for step in steps]
    sizes = [float(norm(_rows(each).unsqueeze(0))) / math.sqrt(each.numel()) for each in states]
    return Profile(0, 0, columns | {"state_rms": np.array(sizes)})


def _rows(values: Tensor) -> Tensor:
    return values.reshape(1, -1) if values.ndim < 2 else values.flatten(1)


def _log10(output: Tensor, gradient: Tensor | None, is_mean: bool) -> float:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    if gradient is None:
        return -math.inf
    rows = _rows(gradient.double())
    factor = len(rows) if is_mean else 1
    return float(log10_norm(rows.unsqueeze(0))) + math.log10(factor) - 0.5 * math.log10(len(rows))


def _status(log10_norm: float, floor: float, reached: bool) -> int:
    if not reached:
        return _WORDS["cut_off"]
    if math.isnan(log10_norm):
        return _WORDS["nan"]
    if math.isinf(log10_norm):
        return _WORDS["inf" if log10_norm > 0 else "zero"]
    return _WORDS["underflow" if log10_norm < floor else "ok"]
