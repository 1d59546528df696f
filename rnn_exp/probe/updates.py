"""Where one update ends and the next begins, and what an optimiser makes of the gradient.

Without an optimiser an update ends when the weights have moved: torch counts how often a tensor was
changed in place. With one it ends with its step, and its gradient's norm is known before and after
clipping, and how far the weights move.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.torch_names import (
    after_backward,
    aside,
    backward_number,
    counts_of_changes,
    weights_by_name,
)

__all__ = ["Counter", "Steps"]

_FEW: Final = 8
_LESS: Final = 1 - 1e-5  # what rounding may take off a norm that nobody has clipped


class Counter:
    """Counts updates by the weights of a model: they have moved since a forward pass.

    A few of them are looked at: an optimiser moves all of its own at once. A program that moves
    ``weight.data`` is one that torch's count misses: of the modules that are recorded a few numbers
    are compared too, on a CPU alone, as a GPU would be waited for.

    Args:
        model: any module.
        recorded: the modules of it that are recorded.
    """

    def __init__(self, model: nn.Module, recorded: Iterable[nn.Module]) -> None:
        places = _places_of(model)
        own = [each[-1] for module in recorded if (each := _places_of(module))]
        self._looked_at = [*places[:: max(1, len(places) // _FEW)], *own[:_FEW]]
        self._samples = [_Sample(*place) for place in own[:_FEW]]
        self._seen: tuple[list[int], ...] | None = None
        self._bits: list[bytes] = []

    def has_moved(self) -> bool:
        """Say whether weights have moved since this was last asked; True the first time.

        It is asked before every call of a module that is recorded, so it has to be quick.
        """
        there = [
            where for weights, name in self._looked_at if (where := weights.get(name)) is not None
        ]
        seen = list(map(id, there)), counts_of_changes(there)
        bits = [sample.bits() for sample in self._samples]
        moved = seen != self._seen or bits != self._bits
        self._seen, self._bits = seen, bits
        return moved


Weights = dict[str, nn.Parameter | None]


class _Sample:
    """The bits of some numbers of a weight on a CPU, from all over it; it is read very often."""

    def __init__(self, weights: Weights, name: str) -> None:
        self._weights, self._name = weights, name
        self._place, self._view = 0, np.empty(0)

    def bits(self) -> bytes:
        weight = self._weights.get(self._name)
        if type(weight) is not nn.Parameter or not weight.is_cpu:
            return b""
        if weight.data_ptr() != self._place:
            self._place, self._view = weight.data_ptr(), _few_of(weight)
        return self._view.tobytes()


def _few_of(weight: nn.Parameter) -> np.ndarray:
    """Return some numbers of a weight, as they are at any time; none if they lie apart."""
    if not weight.is_contiguous():
        return np.empty(0)
    with aside():
        numbers = weight.detach()
        if numbers.dtype == torch.bfloat16:  # numpy has none
            numbers = numbers.view(torch.int16)
        flat: np.ndarray = numbers.numpy().ravel()
    return flat[:: max(1, len(flat) // _FEW)]


def _places_of(model: nn.Module) -> list[tuple[Weights, str]]:
    """Return where the weights that are trained lie."""
    return [
        (weights_by_name(module), name)
        for module in model.modules()
        for name, weight in module.named_parameters(recurse=False)
        if weight.requires_grad
    ]


class Steps:
    """What is measured of an optimiser's steps.

    Args:
        optimizer: whose step ends an update.
        wanted: whether this update is recorded.
        ended: is called after its step with what was measured of it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        wanted: Callable[[], bool],
        ended: Callable[[dict[str, float]], None],
    ) -> None:
        self._optimizer, self._wanted, self._ended = optimizer, wanted, ended
        self._handles: list[RemovableHandle] = []
        self._unclipped: Tensor | None = None
        self._before: dict[str, Any] = {}
        self._asked_in, self.made = -1, 0

    def open(self) -> None:
        """Begin to see steps."""
        self._handles = [
            self._optimizer.register_step_pre_hook(self._pre_hook),
            self._optimizer.register_step_post_hook(self._post_hook),
        ]

    def close(self) -> None:
        """See no more steps."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def ask_for_norm(self) -> None:
        """Take the gradient's norm when the backward pass that is going on has ended."""
        if self._asked_in != backward_number():
            self._asked_in = backward_number()
            after_backward(self._take_norm)

    def _take_norm(self) -> None:
        self._unclipped = self._norm_of_gradient()

    def _weights(self) -> list[Tensor]:
        return [each for group in self._optimizer.param_groups for each in group["params"]]

    def _norm_of_gradient(self) -> Tensor:
        gradients = [each.grad for each in self._weights() if each.grad is not None]
        return _norm([each.coalesce().values() if each.is_sparse else each for each in gradients])

    def _pre_hook(self, *_: Any) -> None:  # noqa: ANN401 - torch's signature
        if self._wanted():
            weights = self._weights()
            self._before = {
                "full": self._unclipped,
                "clipped": self._norm_of_gradient(),
                "weights": [each.detach().clone() for each in weights],
            }
            self._unclipped = None

    def _post_hook(self, *_: Any) -> None:  # noqa: ANN401
        self.made += 1
        if not self._before:
            self._ended({})
            return
        before, self._before = self._before, {}
        weights = self._weights()
        moved = _norm(
            [now.detach() - old for now, old in zip(weights, before["weights"], strict=True)]
        )
        size, clipped = float(_norm(before["weights"])), math.nan
        full = math.nan if self._unclipped is None else float(self._unclipped)
        if before["full"] is not None:  # else a closure: what is done to its gradient is not seen
            full, clipped = float(before["full"]), float(before["clipped"])
        self._unclipped, is_known = None, math.isfinite(full) and math.isfinite(clipped)
        self._ended(
            {
                "grad_norm": full,
                "clipped": clipped < full * _LESS if is_known else math.nan,
                "update_norm": float(moved),
                "update_ratio": float(moved) / size if size else math.nan,
            }
        )


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the norm of all numbers of some tensors, with squares added up in float64."""
    if not tensors:
        return torch.full((), math.nan, dtype=torch.float64)
    each = [torch.linalg.vector_norm(one, dtype=torch.float64) for one in tensors]
    return torch.linalg.vector_norm(torch.stack([one.to(each[0].device) for one in each]))
