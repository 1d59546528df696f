"""Recording nn.RNN, nn.GRU and nn.LSTM: from their calls and what autograd hands to these."""

import functools
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnn_exp.probe.bad import Profiled
from rnn_exp.probe.chains import edge_of, edges_of, watch_readers
from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.measured import Measured, call_before, joined
from rnn_exp.probe.modules import refuse_call, refuse_gradient
from rnn_exp.probe.profile import Gradients, states_of
from rnn_exp.probe.replay import Call, layers_of
from rnn_exp.probe.sequences import Layout
from rnn_exp.probe.torch_names import (
    after_backward,
    backward_number,
    times_changed,
    weights_used,
    without_graph,
)
from rnn_exp.probe.updates import Scale

__all__ = ["FusedCalls"]


class FusedCalls:
    """The calls of an update.

    Args:
        names: of the modules.
        is_mean: whether the loss is a mean over the batch.
        scale: the factor of the loss.
        received: is called when a call has received gradients and was measured.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        is_mean: bool,
        scale: Scale,
        received: Callable[[Measured], None],
    ) -> None:
        self._names, self._is_mean, self._received = names, is_mean, received
        self._scale = scale
        self._generator: Tensor | None = None
        self._checked: set[nn.Module] = set()
        self._numbers = Counter[nn.Module]()
        # A call whose graph is dropped without a backward pass is dropped with it.
        self._called = weakref.WeakValueDictionary[int, Measured]()
        self._last = defaultdict[nn.Module, weakref.WeakValueDictionary[int, Measured]](
            weakref.WeakValueDictionary
        )  # of each sequence
        self._measured: dict[int, Measured] = {}
        self._waiting: dict[int, dict[int, Measured]] = {}  # by the number of the backward pass

    def before(self, module: nn.RNNBase) -> None:
        """Keep the state of the generator, if the call will draw from it."""
        draws = module.training and module.dropout and module.num_layers > 1
        self._generator = torch.get_rng_state() if draws else None

    def after(
        self,
        module: nn.RNNBase,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,  # noqa: ANN401 - of torch's module
        place: int,
        *,
        autocast: torch.dtype | None,
    ) -> None:
        """Keep a call, if its output has a graph.

        Args:
            module: that was called.
            args: its arguments.
            kwargs: likewise, by name.
            result: what it returned.
            place: of the call among all calls of this update.
            autocast: the precision of autocast in it; None: it was off.
        """
        output, last = result
        values = _values_of(output)
        if not values.requires_grad or not values.numel():
            return
        call = self._call(module, args, kwargs, values, autocast)
        if module not in self._checked:
            layers_of(call, check=True)
            self._checked.add(module)
        ends, number = last if isinstance(last, tuple) else (last,), self._numbers[module]
        measured = Measured(
            call=call,
            place=place,
            number=number,
            ends=tuple(each.detach() for each in ends),
            edges=tuple(map(edge_of, ends)),
            results=edges_of((values, *ends)),
            first=number,
        )
        self._numbers[module] += 1
        self._begin(measured, args, kwargs, (values, *ends))
        for name, each in zip(Gradients._fields, (values, *ends), strict=False):
            receive = functools.partial(self._receive, measured, name)
            measured.handles.append(watch_gradient(each, receive))
        self._called[measured.place] = self._last[module][measured.place] = measured

    def _begin(
        self,
        measured: Measured,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        results: tuple[Tensor, ...],
    ) -> None:
        """See whether a call goes on with the sequence of a call before it."""
        inputs, initial = _given(args, kwargs)
        last = self._last[measured.call.module]
        # One copy at once: a program may have threads.
        there = [each for one in last.valuerefs() if (each := one()) is not None]
        found = call_before(measured, initial, there)
        if found is None:
            # Of one that has had its backward pass it is truncated on purpose.
            unreached = (each for each in there if each.place not in self._measured)
            measured.is_cut = any(each.ended_with(initial) for each in unreached)
            return
        before, is_exact = found
        handles = []
        if is_exact and initial[0].requires_grad:
            handles = watch_readers(initial[0], results, _values_of(inputs), before.take_back)
            # An input that is the state itself reads it in a second place.
            is_exact = bool(handles) and edge_of(_values_of(inputs)) != before.edges[0]
        measured.go_on_from(before, is_exact=is_exact)
        measured.handles += handles
        del last[before.place]

    def states(
        self,
        module: nn.RNNBase,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,  # noqa: ANN401 - of torch's module
        *,
        autocast: torch.dtype | None,
    ) -> list[Profiled]:
        """Return the size of the states of a call that was kept, where one is not finite."""
        values = _values_of(result[0])
        if bool(values.isfinite().all()):
            return []
        profiles = states_of(self._call(module, args, kwargs, values, autocast))
        name, kept = self._names[module], max(self._last[module].items(), default=None)
        if kept is None or not values.requires_grad:
            return [Profiled(0, name, self._numbers[module], profiles)]
        return [Profiled(0, name, kept[1].first, profiles, kept[1].steps_before)]

    def cuts(self) -> list[tuple[str, int]]:
        """Return which calls begin with the state of another one without its graph."""
        return [(each.call.name, each.number) for each in self._measured.values() if each.is_cut]

    def take(self) -> list[Profiled]:
        """Return the sequences of an update that has ended, in the order of their first calls."""
        for one in self._called.valuerefs():
            if (called := one()) is not None:
                for handle in called.handles:
                    handle.remove()
        found = joined(self._measured)
        self._numbers.clear()
        self._called.clear()
        self._last.clear()
        self._measured.clear()
        self._waiting.clear()
        return found

    def _call(
        self,
        module: nn.RNNBase,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        values: Tensor,
        autocast: torch.dtype | None,
    ) -> Call:
        refuse_call(self._names[module], module, values)
        x, initial = _given(args, kwargs)
        inputs = _values_of(x)
        weights = weights_used(module)
        # Of a module that is not trained torch keeps no input: a program may change it in place.
        is_kept = all(weight.requires_grad for weight in weights.values())
        keep = without_graph if is_kept else _copy
        return Call(
            name=self._names[module],
            module=module,
            layout=Layout.of(x, module.batch_first),
            inputs=keep(inputs),
            output=values.detach(),
            changes=times_changed(values),
            initial=tuple(map(keep, initial)) or None,
            weights=weights,
            moves=sum(map(times_changed, weights.values())),
            generator=self._generator,
            autocast=autocast,
        )

    def _receive(self, measured: Measured, name: str, gradient: Tensor) -> None:
        """Keep a gradient until the backward pass has ended, for more may come to the same call."""
        refuse_gradient(measured.call.name, measured.call.module, gradient)
        # A copy: autograd may use the same memory again.
        measured.receive(name, gradient.detach().clone())
        number = backward_number()
        if number not in self._waiting:
            self._waiting[number] = {}
            after_backward(functools.partial(self._measure, number))
        self._waiting[number][measured.place] = measured

    def _measure(self, number: int) -> None:
        """Measure the calls that a backward pass has reached, the last one first."""
        waiting, decades = self._waiting.pop(number, {}), self._scale.log10()
        for place in sorted(waiting, reverse=True):
            measured = waiting[place]
            measured.measure(is_mean=self._is_mean, decades=decades)
            self._measured[place] = measured
            self._received(measured)


def _given(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
    """Return what a call read: its input, and h_0 (and c_0) if it was given these."""
    given = dict(zip(("input", "hx"), args, strict=False)) | dict(kwargs)
    hx = given.get("hx")
    return given["input"], () if hx is None else (hx,) if isinstance(hx, Tensor) else tuple(hx)


def _values_of(sequences: Tensor | PackedSequence) -> Tensor:
    """Return the numbers of sequences as they lie."""
    return sequences.data if isinstance(sequences, PackedSequence) else sequences


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
