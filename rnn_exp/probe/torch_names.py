"""What a recorder must know of torch and torch has no public name for: all of it in one place."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd import Variable
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import _disable_current_modes

__all__ = [
    "after_backward",
    "aside",
    "autocast_of",
    "backward_number",
    "counts_of_changes",
    "graph_apart",
    "in_backward",
    "in_transform",
    "is_batched",
    "leave_uncompiled",
    "made_at",
    "times_changed",
    "weights_by_name",
    "weights_used",
    "without_graph",
]

_NO_TASK: Final = -1


def without_graph(tensor: Tensor) -> Tensor:
    """Return the same numbers outside the graph, which still say whether they want a gradient.

    torch rounds a product in another way where it knows that none is wanted.
    """
    return tensor.detach().requires_grad_(tensor.requires_grad)


def weights_used(module: nn.RNNBase) -> dict[str, Tensor]:
    """Return the weights that a module hands to its function, by name, also where they are made."""
    names = module._flat_weights_names  # noqa: SLF001
    weights = module._flat_weights  # noqa: SLF001
    return {
        name: without_graph(weight.clone() if _moves_at_once(weight) else weight)
        for name, weight in zip(names, weights, strict=True)
        if weight is not None
    }


def autocast_of(module: nn.Module) -> torch.dtype | None:
    """Return the precision that autocast gives products of a module; None: it is off."""
    if not torch._C._is_any_autocast_enabled():  # noqa: SLF001
        return None
    kind = next((each.device.type for each in module.parameters()), "cpu")
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def weights_by_name(module: nn.Module) -> dict[str, nn.Parameter | None]:
    """Return the weights of a module alone, as they are at any time: to be read."""
    return module._parameters  # noqa: SLF001


def _moves_at_once(weight: Tensor) -> bool:
    """Say whether something is done as soon as a weight has its gradient, such as to move it."""
    return bool(weight._post_accumulate_grad_hooks)  # noqa: SLF001


def in_backward() -> bool:
    """Say whether a backward pass is going on: a module called there computes something again."""
    return backward_number() != _NO_TASK


def backward_number() -> int:
    """Return the number of the backward pass that is going on."""
    return int(torch._C._current_graph_task_id())  # noqa: SLF001


def after_backward(function: Callable[[], None]) -> None:
    """Call a function when the backward pass that is going on has ended."""
    engine: Any = Variable._execution_engine  # noqa: SLF001

    def called() -> None:
        with aside():
            function()

    leave_uncompiled(called)  # a program may compile its whole step
    engine.queue_callback(called)


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Let what is computed be seen by no mode of the program: a checkpoint, autocast, a device.

    A checkpoint may keep what is computed in it, in order, and expects the same the second time.
    Autocast, which is off on every kind of device here, would round what is multiplied.
    """
    functions = torch._C._len_torch_function_stack()  # noqa: SLF001
    has_modes = bool(functions or torch._C._len_torch_dispatch_stack())  # noqa: SLF001
    has_autocast = torch._C._is_any_autocast_enabled()  # noqa: SLF001
    if not has_modes and not has_autocast:
        yield
        return
    with contextlib.ExitStack() as off:
        if has_autocast:  # torch.autocast would have to know each kind of device
            off.enter_context(torch._C._DisableAutocast())  # noqa: SLF001
        if has_modes:
            off.enter_context(torch._C.DisableTorchFunction())  # noqa: SLF001
            off.enter_context(_disable_current_modes())
        yield


@contextlib.contextmanager
def graph_apart() -> Iterator[None]:
    """Make a graph, of which a checkpoint of the program keeps nothing."""
    with torch.enable_grad(), saved_tensors_hooks(_itself, _itself):
        yield


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def leave_uncompiled(function: Any) -> None:  # noqa: ANN401 - anything that has code
    """Have torch.compile run a function, and all that it calls, as it is written.

    A module that torch.compile leaves to Python, as it does nn.LSTM, has its hooks called by Python
    too; but then each of these is compiled by itself, and finds itself to be compiled.
    """
    frames = torch._C._dynamo.eval_frame  # noqa: SLF001
    if hasattr(frames, "set_code_exec_strategy"):  # torch has had it since 2.8
        skip = frames._FrameAction.SKIP  # noqa: SLF001
        strategy = frames._FrameExecStrategy(skip, skip)  # noqa: SLF001
        frames.set_code_exec_strategy(function.__code__, strategy)


def in_transform() -> bool:
    """Say whether a transform of torch.func is going on: what it computes with is gone after it."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # noqa: SLF001


def is_batched(tensor: Tensor) -> bool:
    """Say whether a gradient is many at once: of torch.vmap, or of is_grads_batched=True."""
    functorch = torch._C._functorch  # noqa: SLF001
    return bool(functorch.is_batchedtensor(tensor) or functorch.is_legacy_batchedtensor(tensor))


def made_at(node: Any) -> int:  # noqa: ANN401 - torch's nodes have no class in common
    """Return the place of a node of the graph in the order in which nodes were made."""
    return int(node._sequence_nr())  # noqa: SLF001


def times_changed(tensor: Tensor) -> int:
    """Return how often a tensor was changed in place."""
    return int(tensor._version)  # noqa: SLF001


def counts_of_changes(tensors: Iterable[Tensor]) -> list[int]:
    """Return how often each tensor was changed in place."""
    return [tensor._version for tensor in tensors]  # noqa: SLF001
