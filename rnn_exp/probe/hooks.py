"""Hooks that see calls and gradients and change neither; after `Hooks.close` none is left.

They are torch's hooks of all modules, and not of the model's own: so a model that is recorded can
be copied and saved as before, and a copy of it is not recorded.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.utils.hooks import RemovableHandle

__all__ = ["Hooks", "watch_gradients"]

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


def watch_gradients(
    tensors: Mapping[str, Tensor], receive: Callable[[dict[str, Tensor | None]], None]
) -> RemovableHandle:
    """Let a function have the gradients of tensors, once a backward pass has all of them.

    Args:
        tensors: by a name; those of the graph.
        receive: is called with the gradients by the same names; None: it has none in this pass.
    """
    names = list(tensors)

    def hook(gradients: Any) -> None:  # noqa: ANN401 - torch's own type
        receive(dict(zip(names, gradients, strict=True)))

    return register_multi_grad_hook(list(tensors.values()), hook)
