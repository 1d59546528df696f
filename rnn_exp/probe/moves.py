"""Where one update ends and the next begins, if no optimiser was given: weights have moved.

An optimiser of torch has made a step, or torch has counted a change of a weight in place.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.torch_names import aside, counts_of_changes, weights_by_name

__all__ = ["Counter"]

_FEW: Final = 8


class Counter:
    """Counts updates by the weights of a model: they have moved since a forward pass.

    An optimiser of torch says itself that it has moved weights, whichever these are and however it
    does it (torch counts no change that a fused one makes). A few weights are looked at all the
    same, and all of them while no optimiser has moved any: then a program does it by hand. One that
    moves ``weight.data`` is one that torch's count misses: of the modules that are recorded a few
    numbers are compared too, on a CPU alone, as a GPU would be waited for.

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
        self._all = _All(model)
        self._stepped = self._has_optimizer = False
        self._handle: RemovableHandle | None = None

    def open(self) -> None:
        """Begin to see the steps of all optimisers."""
        self._handle = register_optimizer_step_post_hook(self._step)

    def close(self) -> None:
        """See no more steps."""
        if self._handle is not None:
            self._handle.remove()

    def _step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        weights = (each for group in optimizer.param_groups for each in group["params"])
        if self._all.have_any(each for each in weights if each.grad is not None):
            self._stepped = self._has_optimizer = True

    def has_moved(self) -> bool:
        """Say whether weights have moved since this was last asked; True the first time.

        It is asked before every call of a module that is recorded, so it has to be quick.
        """
        there = [
            where for weights, name in self._looked_at if (where := weights.get(name)) is not None
        ]
        seen = list(map(id, there)), counts_of_changes(there)
        bits = [sample.bits() for sample in self._samples]
        moved = self._stepped or seen != self._seen or bits != self._bits
        if not self._has_optimizer:
            is_replaced = self._seen is None or seen[0] != self._seen[0]
            moved = self._all.have_moved(anew=is_replaced) or moved
        self._seen, self._bits, self._stepped = seen, bits, False
        return moved


class _All:
    """All weights of a model, trained or not: which of them are may change at any time."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._weights: list[nn.Parameter] = []
        self._counts: list[int] = []
        self._ids: set[int] = set()

    def have_any(self, weights: Iterable[Tensor]) -> bool:
        """Say whether some of these are of the model."""
        asked = map(id, weights)
        first = next(asked, None)
        if first is None:
            return False
        if first not in self._ids:
            self._ids = set(map(id, self._model.parameters()))
        return first in self._ids or not self._ids.isdisjoint(asked)

    def have_moved(self, *, anew: bool) -> bool:
        """Say whether some that are trained have moved since this was last asked.

        Weights that are not trained may be moved within an update, as an average of others is.

        Args:
            anew: whether weights may have been replaced by others.
        """
        if anew:
            self._weights = list(self._model.parameters())
            self._counts = counts_of_changes(self._weights)
            return False
        before, self._counts = self._counts, counts_of_changes(self._weights)
        if before == self._counts:
            return False
        pairs = zip(self._weights, before, self._counts, strict=True)
        return any(was != now and weight.requires_grad for weight, was, now in pairs)


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
