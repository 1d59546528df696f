"""The states of every layer of one call of nn.RNN, nn.GRU or nn.LSTM, to the bit.

The call itself gives those of the top layer alone. The layers below are computed once more, each
by torch's own function for one layer, with the dropout masks drawn again from the generator's state
before the call; so that what comes out on top is the call's output to the bit, which is tested.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from rnn_exp.probe.adjoints import Given
from rnn_exp.probe.modules import RecorderError, shown
from rnn_exp.probe.sequences import Layout
from rnn_exp.probe.torch_names import graph_apart, times_changed, without_graph

__all__ = ["Call", "Layer", "layers_of"]

_FUNCTIONS: Final[Mapping[str, Any]] = {
    "RNN_TANH": torch.rnn_tanh,
    "RNN_RELU": torch.rnn_relu,
    "GRU": torch.gru,
    "LSTM": torch.lstm,
}
_HALF: Final = (torch.float16, torch.bfloat16)


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a module: what it read and computed. Nothing is copied but the generator's state.

    Args:
        name: of the module.
        module: itself.
        layout: of its sequences.
        inputs: x, as it lies (of packed sequences their ``data``).
        output: h_1…h_T of the top layer, likewise.
        changes: how often the output had been changed in place when the call returned it.
        initial: h_0, and c_0 of an LSTM; None: zeros.
        weights: by torch's names.
        moves: how often they had been changed in place at the call.
        generator: the state of torch's generator before the call; None: it draws nothing.
        autocast: the precision of autocast; None: it is off.
    """

    name: str
    module: nn.RNNBase
    layout: Layout
    inputs: Tensor
    output: Tensor
    changes: int
    initial: tuple[Tensor, ...] | None
    weights: Mapping[str, Tensor]
    moves: int
    generator: Tensor | None
    autocast: torch.dtype | None

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which gradients are computed: that of the states, float32 at least."""
        return torch.float32 if self.output.dtype in _HALF else self.output.dtype

    def refuse_moved_weights(self) -> None:
        """Refuse to compute with weights that are no longer those of the call.

        Raises:
            RecorderError: if they have moved before the end of the backward pass.
        """
        if sum(map(times_changed, self.weights.values())) != self.moves:
            raise RecorderError(
                f"{shown(self.name, self.module)} cannot be recorded: its weights have moved "
                "before the backward pass has ended"
            )

    def weights_of(self, layer: int, direction: int) -> dict[str, Tensor]:
        """Return the weights of a layer and direction, by their names without its number."""
        end = f"_l{layer}" + ("_reverse" if direction else "")
        return {
            name.removesuffix(end): weight
            for name, weight in self.weights.items()
            if name.endswith(end)
        }

    def initial_of(self, layer: int, direction: int) -> tuple[Tensor, ...]:
        """Return h_0 of a layer and direction, and c_0 of an LSTM, as (batch, k)."""
        place = layer * (1 + self.module.bidirectional) + direction
        if self.initial is not None:
            return tuple(self.layout.hidden(part)[place] for part in self.initial)
        sizes = [self.module.proj_size or self.module.hidden_size]
        sizes += [self.module.hidden_size] * (self.module.mode == "LSTM")
        B = self.layout.lengths.batch
        return tuple(self.inputs.new_zeros(B, size) for size in sizes)  # as the module makes them


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a call: what it read and computed, both directions side by side.

    Args:
        call: whose it is.
        number: of the layer; 0 reads the inputs.
        inputs: as they lie in the call.
        output: likewise.
        mask: what its outputs were multiplied by on their way to the next layer; None: nothing.
    """

    call: Call
    number: int
    inputs: Tensor
    output: Tensor
    mask: Tensor | None = None

    def given(self, direction: int) -> Given:
        """Return what one direction had in the forward pass, in its own direction of time."""
        call, layout = self.call, self.call.layout
        weights = call.weights_of(self.number, direction)
        # Autocast rounds what is multiplied, also where the states are of higher precision.
        used = call.autocast or self.output.dtype
        weights = {name: weight.to(used).to(call.dtype) for name, weight in weights.items()}
        size = weights["weight_hh"].shape[1]
        x = layout.padded(self.inputs).to(used).to(call.dtype)
        states = layout.padded(self.output)[..., direction * size :][..., :size].to(call.dtype)
        if direction:
            x, states = layout.lengths.turned(x), layout.lengths.turned(states)
        h_0, *c_0 = (part.to(call.dtype) for part in call.initial_of(self.number, direction))
        return Given(x, states, h_0, c_0[0] if c_0 else None, weights)


@torch.no_grad()
def layers_of(call: Call, *, check: bool = False) -> list[Layer]:
    """Return the layers of a call, from the first to the top.

    Args:
        call: of a module.
        check: compute the top layer once more too, and compare it with the call's output.

    Raises:
        RecorderError: if that is not the same: then nothing exact can be said of this module.
    """
    layers, x = [], call.inputs
    top = call.module.num_layers - 1
    with _generator_of(call):
        for number in range(top):
            output = _one_layer(call, number, x)
            mask = None
            if call.generator is not None:
                mask = _mask(call, output)
            layers.append(Layer(call, number, x, output, mask))
            x = output if mask is None else _masked(output, mask)
        is_whole = times_changed(call.output) == call.changes
        output = call.output if is_whole and not check else _one_layer(call, top, x)
        layers.append(Layer(call, top, x, call.output if is_whole else output))
        if check and is_whole and not _same(output, call.output):
            raise RecorderError(
                f"{shown(call.name, call.module)} cannot be recorded: its layers, computed one by "
                "one, do not give its output; nothing exact can be said of them"
            )
    return layers


def _mask(call: Call, output: Tensor) -> Tensor:
    """Draw the mask of a layer's outputs, as the module draws it: time first."""
    turned = call.layout.packed is None and call.layout.batch_first and not call.layout.unbatched
    lies = output.transpose(0, 1) if turned else output
    mask = dropout(
        torch.ones_like(lies, memory_format=torch.contiguous_format), call.module.dropout
    )
    return mask.transpose(0, 1) if turned else mask


def _masked(output: Tensor, mask: Tensor) -> Tensor:
    return (output * mask).requires_grad_(output.requires_grad)


def _one_layer(call: Call, number: int, x: Tensor) -> Tensor:
    """Return the outputs of one layer, by torch's own function."""
    module, layout = call.module, call.layout
    directions = 1 + module.bidirectional
    weights = [
        weight
        for direction in range(directions)
        for weight in call.weights_of(number, direction).values()
    ]
    own = [call.initial_of(number, direction) for direction in range(directions)]
    initial = [torch.stack(part) for part in zip(*own, strict=True)]
    for part, given in zip(initial, call.initial or (), strict=False):
        part.requires_grad_(given.requires_grad)
    function = _FUNCTIONS[module.mode]
    rest = weights, module.bias, 1, 0.0, module.training, module.bidirectional
    # With gradients on: oneDNN rounds in another way where it knows that none are wanted.
    with (
        graph_apart(),
        torch.autocast(x.device.type, call.autocast, enabled=call.autocast is not None),
    ):
        if layout.packed is not None:
            initial = [_sorted(part, layout.packed) for part in initial]
            hx = tuple(initial) if module.mode == "LSTM" else initial[0]
            return without_graph(function(x, layout.packed.batch_sizes, hx, *rest)[0])
        hx = tuple(initial) if module.mode == "LSTM" else initial[0]
        if layout.unbatched:
            return without_graph(function(x.unsqueeze(1), hx, *rest, False)[0].squeeze(1))
        return without_graph(function(x, hx, *rest, module.batch_first)[0])


def _sorted(initial: Tensor, packed: PackedSequence) -> Tensor:
    order = packed.sorted_indices
    return initial if order is None else initial.index_select(1, order)


def _same(found: Tensor, output: Tensor) -> bool:
    if output.device.type == "cpu":
        return torch.equal(found, output) or bool(
            (found.isnan() & output.isnan() | (found == output)).all()
        )
    return torch.allclose(found, output, rtol=1e-4, atol=1e-5, equal_nan=True)


@contextlib.contextmanager
def _generator_of(call: Call) -> Iterator[None]:
    """Let torch's generator be as before the call; afterwards it is as it was."""
    if call.generator is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(call.generator)
        yield
