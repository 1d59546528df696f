"""Recording nn.RNN, nn.GRU and nn.LSTM: from their calls and what autograd hands to these."""

import dataclasses
import functools
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.modules import refuse_call, refuse_graph_of_gradients
from rnn_exp.probe.profile import Gradients, Profile, profiles_of, states_of
from rnn_exp.probe.replay import Call, layers_of
from rnn_exp.probe.sequences import Layout
from rnn_exp.probe.torch_names import (
    after_backward,
    backward_number,
    times_changed,
    weights_used,
    without_graph,
)

__all__ = ["FusedCalls", "Measured"]


_NONE: Final = Gradients(None, None, None)


@dataclasses.dataclass
class Measured:
    """A call that may receive gradients, and what was measured of them.

    Args:
        call: itself.
        place: of the call among all calls of this update.
        number: of the call, of this module in this update.
        received: what autograd has handed to it in all backward passes of this update.
        profiles: of each layer and direction; none before a gradient has come.
    """

    call: Call
    place: int
    number: int
    received: Gradients = _NONE
    profiles: list[Profile] = dataclasses.field(default_factory=list)
    handles: list[RemovableHandle] = dataclasses.field(default_factory=list)


class FusedCalls:
    """The calls of an update.

    Args:
        names: of the modules.
        is_mean: whether the loss is a mean over the batch.
        received: is called when a call has received gradients and was measured.
    """

    def __init__(
        self,
        names: Mapping[nn.Module, str],
        is_mean: bool,
        received: Callable[[Measured], None],
    ) -> None:
        self._names, self._is_mean, self._received = names, is_mean, received
        self._generator: Tensor | None = None
        self._checked: set[nn.Module] = set()
        self._numbers = Counter[nn.Module]()
        # A call whose graph is dropped without a backward pass is dropped with it.
        self._called = weakref.WeakValueDictionary[int, Measured]()
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
    ) -> None:
        """Keep a call, if its output has a graph; ``place``: among all calls of this update."""
        output, last = result
        values = output.data if isinstance(output, PackedSequence) else output
        if not values.requires_grad or not values.numel():
            return
        call = self._call(module, args, kwargs, values)
        if module not in self._checked:
            layers_of(call, check=True)
            self._checked.add(module)
        ends = last if isinstance(last, tuple) else (last,)
        measured = Measured(call, place, self._numbers[module])
        self._numbers[module] += 1
        for name, each in zip(Gradients._fields, (values, *ends), strict=False):
            receive = functools.partial(self._receive, measured, name)
            measured.handles.append(watch_gradient(each, receive))
        self._called[measured.place] = measured

    def states(
        self,
        module: nn.RNNBase,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        result: Any,  # noqa: ANN401 - of torch's module
    ) -> tuple[int, list[Profile]]:
        """Return the number of a call and the size of its states, where one is not finite."""
        values = result[0].data if isinstance(result[0], PackedSequence) else result[0]
        if bool(values.isfinite().all()):
            return 0, []
        number = self._numbers[module] - values.requires_grad
        return number, states_of(self._call(module, args, kwargs, values))

    def take(self) -> list[Measured]:
        """Return the calls of an update that has ended, in the order in which they were made."""
        for called in self._called.values():
            for handle in called.handles:
                handle.remove()
        measured = [self._measured[place] for place in sorted(self._measured)]
        self._numbers.clear()
        self._called.clear()
        self._measured.clear()
        self._waiting.clear()
        return measured

    def _call(
        self, module: nn.RNNBase, args: tuple[Any, ...], kwargs: Mapping[str, Any], values: Tensor
    ) -> Call:
        refuse_call(self._names[module], module, values)
        given = dict(zip(("input", "hx"), args, strict=False)) | dict(kwargs)
        x, hx = given["input"], given.get("hx")
        inputs = x.data if isinstance(x, PackedSequence) else x
        initial: tuple[Tensor, ...] | None = (hx,) if isinstance(hx, Tensor) else hx
        weights = weights_used(module)
        # Of a module that is not trained torch keeps no input: a program may change it in place.
        is_kept = all(weight.requires_grad for weight in weights.values())
        keep = without_graph if is_kept else _copy
        kind, on = inputs.device.type, torch.is_autocast_enabled(inputs.device.type)
        return Call(
            name=self._names[module],
            module=module,
            layout=Layout.of(x, module.batch_first),
            inputs=keep(inputs),
            output=values.detach(),
            changes=times_changed(values),
            initial=None if initial is None else tuple(map(keep, initial)),
            weights=weights,
            moves=sum(map(times_changed, weights.values())),
            generator=self._generator,
            autocast=torch.get_autocast_dtype(kind) if on else None,
        )

    def _receive(self, measured: Measured, name: str, gradient: Tensor) -> None:
        """Keep a gradient until the backward pass has ended, for more may come to the same call."""
        refuse_graph_of_gradients(measured.call.name, measured.call.module)
        # A copy: autograd may use the same memory again.
        came = _NONE._replace(**{name: gradient.detach().clone()})
        measured.received = measured.received.plus(came)
        number = backward_number()
        if number not in self._waiting:
            self._waiting[number] = {}
            after_backward(functools.partial(self._measure, number))
        self._waiting[number][measured.place] = measured

    def _measure(self, number: int) -> None:
        """Measure the calls that a backward pass has reached, the last one first."""
        waiting = self._waiting.pop(number, {})
        for place in sorted(waiting, reverse=True):
            measured = waiting[place]
            measured.call.refuse_moved_weights()
            measured.profiles = profiles_of(measured.call, measured.received, is_mean=self._is_mean)
            self._measured[place] = measured
            self._received(measured)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
