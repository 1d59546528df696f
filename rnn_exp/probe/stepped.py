"""Recording a module that is called once a time step: a cell, or a block in a Python loop.

Autograd's own gradient of a call's output is the total one, ∂L/∂h_t through all later calls, if
these calls are connected. Whether they are is looked up in the graph: where a call does not depend
on the one before (a detach, a no_grad, a copy), the chain is cut, and that is said.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.chains import edge_of, reached
from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.modules import (
    RecorderError,
    refuse_call,
    refuse_graph_of_gradients,
    shown,
)
from rnn_exp.probe.outputs import (
    Output,
    below,
    default_states,
    outputs_of,
    states_among,
    tensors_in,
)
from rnn_exp.probe.profile import Profile
from rnn_exp.probe.steps import Step, profile_of, size_of
from rnn_exp.probe.updates import Scale
from rnn_exp.words import listing

__all__ = ["Chain", "SteppedCalls"]


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
        paths: to the state in what a module returns, where it is given.
        is_mean: whether the loss is a mean over the batch.
        scale: the factor of the loss.
        received: is called with a module, the call that has received a gradient, and this.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        paths: Mapping[nn.Module, str],
        is_mean: bool,
        scale: Scale,
        received: Callable[[nn.Module, Step, Tensor], None],
    ) -> None:
        self._names, self._paths = names, paths
        self._is_mean, self._scale, self._received = is_mean, scale, received
        self._steps: dict[nn.Module, list[Step]] = {module: [] for module in names}
        self._states: dict[nn.Module, tuple[str, ...]] = {}
        self._choices: dict[nn.Module, tuple[list[str], tuple[str, ...]]] = {}
        self._reached: set[nn.Module] = set()  # by a backward pass since the last call
        self._handles: list[RemovableHandle] = []

    def after(self, module: nn.Module, given: object, result: object, place: int) -> list[Step]:
        """Keep a call and watch for the gradients of what it returned.

        Args:
            module: that was called.
            given: its arguments.
            result: what it returned.
            place: of the call among all calls of this update.

        Returns:
            The calls whose states are known since this one; none if nobody asks for it.
        """
        tensors = self._tensors(module, result)
        steps, has_graph = self._steps[module], any(each.requires_grad for each in tensors.values())
        is_new = not steps or module in self._reached
        if is_new and not has_graph:
            return []  # such as one of a test
        self._reached.discard(module)
        passed = {id(each) for each in tensors_in(given)}
        outputs = {path: _output(each, id(each) in passed) for path, each in tensors.items()}
        step = Step(place, 0, 1, outputs, self._known(module, outputs), has_graph, is_new)
        last = steps[-1] if steps else None
        found = [] if step.states is None else [step]
        if last is not None:
            step.chain = last.chain + 1
            was_known = last.states is not None
            if self._goes_on(module, tensors, step, last):
                step.chain, step.time = last.chain, last.time + 1
                found = [step] if was_known else [last, step]
        watched = tensors if step.states is None else step.states
        self._handles += [
            self._watch(module, tensors[path], step, path)
            for path in watched
            if tensors[path].requires_grad
        ]
        steps.append(step)
        return found

    def choices(self) -> Iterator[str]:
        """Say where more reaches the next call than is recorded."""
        for module, (there, states) in self._choices.items():
            name = self._names[module]
            reach, taken = (listing([repr(path) for path in paths]) for paths in (there, states))
            yield (
                f"of what {shown(name, module)} returns {reach} reach its next call, and the "
                f"gradient of {taken} was recorded; steps_of={{{name!r}: …}} names another"
            )

    def take(self) -> list[Chain]:
        """Return the chains of an update that has ended."""
        found = []
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._reached.clear()
        for module, steps in self._steps.items():
            self._steps[module] = []
            if any(step.has_come for step in steps):
                for first, chain in _chains(steps):
                    for step in chain:
                        step.states = step.states or default_states(step.outputs)
                    profile = profile_of(chain, self._is_mean)
                    why = _why(steps, first) if first else ""
                    place, number = chain[0].place, chain[0].chain
                    found.append(Chain(self._names[module], place, number, first + 1, profile, why))
        return found

    def _tensors(self, module: nn.Module, result: object) -> dict[str, Tensor]:
        """Return the tensors that may be the state; those alone to which a given path leads."""
        tensors, name = outputs_of(result), self._names[module]
        if not tensors:
            raise RecorderError(
                f"{shown(name, module)} cannot be recorded: it returns a {type(result).__name__}, "
                "and what can be recorded are tensors, in tuples, lists, dicts and dataclasses"
            )
        if module in self._paths:
            path, there = self._paths[module], listing(map(repr, tensors))
            tensors = {each: tensors[each] for each in below(path, tensors)}
            if not tensors:
                raise RecorderError(
                    f"steps_of={{{name!r}: {path!r}}}: {shown(name, module)} returns no tensor "
                    f"there; it returns {there}"
                )
        for each in tensors.values():
            refuse_call(name, module, each)
        return tensors

    def _known(self, module: nn.Module, outputs: Mapping[str, Output]) -> tuple[str, ...] | None:
        """Return the paths of the states, if there is no other choice or it was made before."""
        if module in self._paths or len(outputs) == 1:
            return states_among(outputs, list(outputs))
        states = self._states.get(module)
        return states if states and outputs.keys() >= set(states) else None

    def _goes_on(
        self, module: nn.Module, tensors: Mapping[str, Tensor], step: Step, last: Step
    ) -> bool:
        """Say whether a call depends on the state of the last one; find out what that is."""
        places = {last.outputs[path].edge: path for path in last.states or last.outputs}
        wanted = {edge: path for edge, path in places.items() if edge is not None}
        begin = [tensors[path] for path in step.states or tensors]
        is_known = last.states is not None
        edges = reached(begin, wanted, all_of=not is_known)
        if not edges:
            return False
        if not is_known:
            ways = {wanted[edge] for edge in edges}
            there = [path for path in last.outputs if path in ways]
            there = [path for path in there if not last.outputs[path].is_passed] or there
            last.states = states_among(last.outputs, there)
            if len(there) > len(last.states):
                self._choices[module] = there, last.states
            self._states[module] = last.states
        if step.states is None:
            step.states = self._known(module, step.outputs)
        return True

    def _watch(self, module: nn.Module, output: Tensor, step: Step, path: str) -> RemovableHandle:
        """Let a step receive the gradients of one of its outputs."""

        def receive(gradient: Tensor) -> None:
            refuse_graph_of_gradients(self._names[module], module)
            if step.states is not None and path not in step.states:
                return
            step.outputs[path].receive(gradient)
            step.decades = self._scale.log10()
            self._reached.add(module)
            self._received(module, step, gradient.detach())

        return watch_gradient(output, receive)


def _output(tensor: Tensor, is_passed: bool) -> Output:
    size = size_of(tensor.detach())
    return Output(tensor.dtype, tuple(tensor.shape), edge_of(tensor), is_passed, size)


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
    returned = listing([repr(path) for path in steps[place - 1].outputs if path])
    return (
        "it does not depend on the call before, on nothing that was returned"
        f"{returned and f' ({returned})'}: a detach, a copy, a new sequence, or a state that is "
        "kept inside"
    )
