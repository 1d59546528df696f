"""Recording a module that is called once a time step: a cell, or a block in a Python loop.

Autograd's own gradient of a call's output is the total one, ∂L/∂h_t through all later calls, if
these calls are connected. Whether they are is looked up in the graph: where a call does not depend
on the one before (a detach, a no_grad, a copy), the chain is cut, and that is said.
"""

import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.chains import Edge, edge_of, reached
from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.modules import (
    RecorderError,
    refuse_call,
    refuse_gradient,
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
from rnn_exp.probe.steps import Step, norm_of, profile_of
from rnn_exp.probe.updates import Scale
from rnn_exp.words import listing

__all__ = ["Chain", "SteppedCalls"]

_Place = tuple[nn.Module, int]  # a module in a thread


@dataclasses.dataclass(frozen=True)
class Chain:
    """Calls that are connected, and what was measured of them.

    Args:
        name: of the module.
        place: of its first call among all calls of this update.
        number: of the chain, of this module in this update.
        first: the number of its first call in this update, from 0.
        profile: by call.
        steps: the calls.
        why_cut: why the chain begins here and not at the call before; empty: there was none.
    """

    name: str
    place: int
    number: int
    first: int
    profile: Profile
    steps: list[Step]
    why_cut: str


class SteppedCalls:
    """The calls of an update.

    Args:
        names: of the modules.
        places: of the state in what a module returns, where it is given.
        is_mean: whether the loss is a mean over the batch.
        scale: the factor of the loss.
        received: is called with a module, the call that has received a gradient, and this.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        places: Mapping[nn.Module, str | int],
        is_mean: bool,
        scale: Scale,
        received: Callable[[nn.Module, Step, Tensor], None],
    ) -> None:
        self._names, self._places = names, places
        self._is_mean, self._scale, self._received = is_mean, scale, received
        self._steps: dict[nn.Module, list[Step]] = {module: [] for module in names}
        self._chains = {module: itertools.count() for module in names}
        self._last: dict[nn.Module, dict[int, Step]] = {module: {} for module in names}  # by chain
        self._latest: dict[_Place, Step] = {}
        self._reached: set[_Place] = set()  # by a backward pass since the last call
        self._states: dict[nn.Module, tuple[str, ...]] = {}
        self._choices: dict[nn.Module, tuple[list[str], tuple[str, ...]]] = {}
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
        tensors, here = self._tensors(module, result), (module, threading.get_ident())
        has_graph, latest = any(each.requires_grad for each in tensors.values()), None
        if here not in self._reached:
            latest = self._latest.get(here)
        if latest is None and not has_graph:
            return []  # such as one of a test
        for each in tensors.values():
            refuse_call(self._names[module], module, each)
        passed = {id(each) for each in tensors_in(given)}
        outputs = {path: _output(each, id(each) in passed) for path, each in tensors.items()}
        step = Step(place, 0, 1, outputs, self._known(module, outputs), has_graph, latest)
        found = [] if step.states is None else [step]
        before = self._before(module, tensors, step)
        if before is None:
            step.chain = next(self._chains[module])
        else:
            step.chain, step.time = before.chain, before.time + 1
            was_known = before.states is not None
            self._learn(module, tensors, step, before)
            found = [step] if was_known else [before, step]
        self._reached.discard(here)
        self._latest[here] = self._last[module][step.chain] = step
        watched = tensors if step.states is None else step.states
        self._handles += [
            self._watch(here, tensors[path], step, path)
            for path in watched
            if tensors[path].requires_grad
        ]
        self._steps[module].append(step)
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
        self._latest.clear()
        for module, steps in self._steps.items():
            self._steps[module], self._last[module] = [], {}
            self._chains[module] = itertools.count()
            if any(step.has_come for step in steps):
                for first, chain in _chains(steps):
                    for step in chain:
                        step.states = step.states or default_states(step.outputs)
                    found.append(
                        Chain(
                            name=self._names[module],
                            place=chain[0].place,
                            number=chain[0].chain,
                            first=first,
                            profile=profile_of(chain, self._is_mean),
                            steps=chain,
                            why_cut=_why(chain[0]),
                        )
                    )
        return found

    def _tensors(self, module: nn.Module, result: object) -> dict[str, Tensor]:
        """Return the tensors that may be the state; those alone to which a given path leads."""
        tensors, name = outputs_of(result), self._names[module]
        if not tensors:
            raise RecorderError(
                f"{shown(name, module)} cannot be recorded: it returns a {type(result).__name__}, "
                "and what can be recorded are tensors, in tuples, lists, dicts and dataclasses"
            )
        if module not in self._places:
            return tensors
        place = self._places[module]
        if found := below(str(place), tensors):
            return {each: tensors[each] for each in found}
        what = f"steps_of={{{name!r}: {place!r}}}: {shown(name, module)} returns"
        if "" in tensors:
            raise RecorderError(
                f"{what} one tensor, so its state needs no place; write steps_of=[{name!r}]"
            )
        raise RecorderError(f"{what} no tensor there; it returns {listing(map(repr, tensors))}")

    def _known(self, module: nn.Module, outputs: Mapping[str, Output]) -> tuple[str, ...] | None:
        """Return the paths of the states, if there is no other choice or it was made before."""
        if module in self._places or len(outputs) == 1:
            return states_among(outputs, list(outputs))
        states = self._states.get(module)
        return states if states and outputs.keys() >= set(states) else None

    def _before(self, module: nn.Module, tensors: Mapping[str, Tensor], step: Step) -> Step | None:
        """Return the last call of the chain on whose state a call depends."""
        begin = [tensors[path] for path in step.states or tensors]
        latest = self._latest.get((module, threading.get_ident()))
        last = [each for each in list(self._last[module].values()) if each is not latest]
        # The one before is looked for first: the way to it is the shortest.
        for among in ([] if latest is None else [latest]), last:
            owners = {edge: each for each in among for edge in _edges(each)}
            for edge in reached(begin, owners, all_of=False):
                return owners[edge]
        return None

    def _learn(
        self, module: nn.Module, tensors: Mapping[str, Tensor], step: Step, before: Step
    ) -> None:
        """Find out which outputs are the state, if it is not known."""
        if before.states is None:
            wanted = _edges(before)
            begin = [tensors[path] for path in step.states or tensors]
            ways = {wanted[edge] for edge in reached(begin, wanted, all_of=True)}
            there = [path for path in before.outputs if path in ways]
            there = [path for path in there if not before.outputs[path].is_passed] or there
            before.states = self._states[module] = states_among(before.outputs, there)
            if len(there) > len(before.states):
                self._choices[module] = there, before.states
        if step.states is None:
            step.states = self._known(module, step.outputs)

    def _watch(self, here: "_Place", output: Tensor, step: Step, path: str) -> RemovableHandle:
        """Let a step receive the gradients of one of its outputs."""
        module = here[0]

        def receive(gradient: Tensor) -> None:
            refuse_gradient(self._names[module], module, gradient)
            if step.states is not None and path not in step.states:
                return
            step.outputs[path].receive(gradient)
            step.decades = self._scale.log10()
            self._reached.add(here)
            self._received(module, step, gradient.detach())

        return watch_gradient(output, receive)


def _output(tensor: Tensor, is_passed: bool) -> Output:
    shape, norm = tuple(tensor.shape), norm_of(tensor.detach())
    return Output(tensor.dtype, shape, edge_of(tensor), is_passed, norm)


def _edges(step: Step) -> dict[Edge, str]:
    """Return the places in the graph of what may be the state, with their paths."""
    among = ((step.outputs[path].edge, path) for path in step.states or step.outputs)
    return {edge: path for edge, path in among if edge is not None}


def _chains(steps: list[Step]) -> Iterator[tuple[int, list[Step]]]:
    """Return the connected calls, each with the number of its first one, from 0."""
    found: dict[int, tuple[int, list[Step]]] = {}
    for number, step in enumerate(steps):
        found.setdefault(step.chain, (number, []))[1].append(step)
    yield from found.values()


def _why(step: Step) -> str:
    """Say why a chain begins at a call; empty: there is none before it that waits for gradients."""
    if step.before is None:
        return ""
    if not step.has_graph:
        return "it has no graph (no_grad, or a detached copy)"
    if not step.before.has_graph:
        return "the call before it has no graph (no_grad, or a detached copy)"
    returned = listing([repr(path) for path in step.before.outputs if path])
    return (
        "it does not depend on the call before, on nothing that was returned"
        f"{returned and f' ({returned})'}: a detach, a copy, a new sequence, or a state that is "
        "kept inside"
    )
