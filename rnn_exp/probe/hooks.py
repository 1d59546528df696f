"""Hooks that see calls and gradients and change neither; after `Hooks.close` none is left.

They are torch's hooks of all modules, and not of the model's own: so a model that is recorded can
be copied and saved as before, and a copy of it is not recorded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.torch_names import aside, leave_uncompiled

__all__ = ["Hooks", "watch_gradient"]

Before = Callable[[nn.Module, tuple[Any, ...]], None]
After = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]


class Hooks:
    """The hooks of some modules.

    Args:
        modules: those that are recorded.
        before: is called before each of their calls.
        after: is called after it with what it read and returned.
    """

    def __init__(self, modules: Mapping[nn.Module, str], before: Before, after: After) -> None:
        self._modules, self._before, self._after = modules, before, after
        self._handles: list[RemovableHandle] = []

    def open(self) -> None:
        """Begin to see calls."""
        for hook in (self._pre_hook, self._hook):
            leave_uncompiled(hook)
        self._handles = [
            register_module_forward_pre_hook(self._pre_hook),
            register_module_forward_hook(self._hook, with_kwargs=True),
        ]

    def close(self) -> None:
        """See no more calls."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _pre_hook(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not torch.compiler.is_compiling() and module in self._modules:
            self._before(module, args)

    def _hook(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        if not torch.compiler.is_compiling() and module in self._modules:
            self._after(module, args, kwargs, result)


def watch_gradient(tensor: Tensor, receive: Callable[[Tensor], None]) -> RemovableHandle:
    """Let a function have the gradient of a tensor in every backward pass; nothing is kept alive.

    Args:
        tensor: of the graph; what it becomes in place later on has another gradient.
        receive: is called with the gradient, if there is one in this pass.
    """

    def hook(gradient: Tensor | None) -> None:
        if gradient is None:  # it belongs to a node whose other tensors have one
            return
        with aside():
            receive(gradient)

    leave_uncompiled(hook)
    handle: RemovableHandle = tensor.register_hook(hook)  # type: ignore[no-untyped-call]
    return handle
