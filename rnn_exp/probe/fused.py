"""Recording nn.RNN, nn.GRU and nn.LSTM: from their calls and what autograd hands to these."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.hooks import watch_gradients
from rnn_exp.probe.profile import Gradients, Profile, profiles_of
from rnn_exp.probe.replay import Call, layers_of
from rnn_exp.probe.sequences import Layout
from rnn_exp.probe.torch_names import weights_used, without_graph

__all__ = ["FusedCalls", "Measured"]


Result = tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, Tensor]]
_NONE: Final = Gradients(None, None, None)


@dataclasses.dataclass
class Measured:
    """A call that may receive gradients, and what was measured of them.

    Args:
        call: itself.
        received: what autograd has handed to it in all backward passes of this update.
        profiles: of each layer and direction; none before a gradient has come.
    """

    call: Call
    received: Gradients = _NONE
    profiles: list[Profile] = dataclasses.field(default_factory=list)
    handle: RemovableHandle | None = None


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
        self.calls: list[Measured] = []

    def before(self, module: nn.RNNBase) -> None:
        """Keep the state of the generator, if the call will draw from it."""
        draws = module.training and module.dropout and module.num_layers > 1
        self._generator = torch.get_rng_state() if draws else None

    def after(
        self, module: nn.RNNBase, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Result
    ) -> None:
        """Keep a call, if its output has a graph."""
        output, last = result
        values = output.data if isinstance(output, PackedSequence) else output
        if not values.requires_grad:
            return
        call = self._call(module, args, kwargs, values)
        if module not in self._checked:
            layers_of(call, check=True)
            self._checked.add(module)
        names = ("output", "h_n", "c_n")
        ends = last if isinstance(last, tuple) else (last,)
        measured = Measured(call)
        watched = {"output": values, **dict(zip(names[1:], ends, strict=False))}

        def receive(gradients: dict[str, Tensor | None]) -> None:
            self._receive(measured, Gradients(*(gradients.get(name) for name in names)))

        measured.handle = watch_gradients(watched, receive)
        self.calls.append(measured)

    def take(self) -> list[Measured]:
        """Return the calls of an update that has ended, in the order in which they were made."""
        calls, self.calls = self.calls, []
        for each in calls:
            if each.handle is not None:
                each.handle.remove()
        return [each for each in calls if each.profiles]

    def _call(
        self, module: nn.RNNBase, args: tuple[Any, ...], kwargs: Mapping[str, Any], values: Tensor
    ) -> Call:
        given = dict(zip(("input", "hx"), args, strict=False)) | dict(kwargs)
        x, hx = given["input"], given.get("hx")
        inputs = x.data if isinstance(x, PackedSequence) else x
        initial: tuple[Tensor, ...] | None = (hx,) if isinstance(hx, Tensor) else hx
        kind, on = inputs.device.type, torch.is_autocast_enabled(inputs.device.type)
        return Call(
            name=self._names[module],
            module=module,
            layout=Layout.of(x, module.batch_first),
            inputs=without_graph(inputs),
            output=values.detach(),
            initial=None if initial is None else tuple(map(without_graph, initial)),
            weights=weights_used(module),
            generator=self._generator,
            autocast=torch.get_autocast_dtype(kind) if on else None,
        )

    def _receive(self, measured: Measured, gradients: Gradients) -> None:
        if all(part is None for part in gradients):
            return
        measured.received = measured.received.plus(
            Gradients(*(None if part is None else part.detach() for part in gradients))
        )
        measured.profiles = profiles_of(measured.call, measured.received, is_mean=self._is_mean)
        self._received(measured)
