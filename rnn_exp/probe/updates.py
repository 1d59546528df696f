"""What is recorded of updates, and what an optimiser that was given makes of the gradient.

An update ends with its step, and its gradient's norm is known before and after clipping, and how
far the weights move. Without it weights that move end an update (`moves`).
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from rnn_exp.fields import SettingError
from rnn_exp.probe.torch_names import after_backward, aside, backward_number

__all__ = ["Scale", "Steps", "Watching", "bool_of", "watching_of"]

_LEAST_SCALE: Final = 1024.0
_LESS: Final = 1 - 1e-5  # what rounding may take off a norm that nobody has clipped


@dataclasses.dataclass(frozen=True)
class Watching:
    """What is recorded, and how often.

    Args:
        every: the first update of so many.
        is_mean: whether the loss is a mean over the batch.
        stop_on_nonfinite: raise an error at the first value that is not finite.
    """

    every: int = 1
    is_mean: bool = True
    stop_on_nonfinite: bool = False

    def __post_init__(self) -> None:
        """Refuse an interval that is none."""
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise SettingError("every", self.every, "a whole number from 1 on")

    def wanted(self, update: int) -> bool:
        """Say whether an update is recorded."""
        return self.stop_on_nonfinite or update % self.every == 0


def watching_of(every: int, reduction: object, stop_on_nonfinite: object) -> Watching:
    """Return what is recorded.

    Args:
        every: the first update of so many.
        reduction: of the loss over the batch: "mean" or "sum".
        stop_on_nonfinite: raise an error at the first value that is not finite.

    Raises:
        SettingError: for what is not allowed.
    """
    if not isinstance(reduction, str) or reduction not in ("mean", "sum"):
        raise SettingError("reduction", reduction, "'mean' or 'sum'")
    return Watching(every, reduction == "mean", bool_of("stop_on_nonfinite", stop_on_nonfinite))


def bool_of(name: str, value: object) -> bool:
    """Return an argument that is True or False: Python takes every word as true.

    Args:
        name: of the argument.
        value: what came.

    Raises:
        SettingError: for anything else.
    """
    if not isinstance(value, bool):
        raise SettingError(name, repr(value), "True or False")
    return value


class Scale:
    """The factor of the loss in a backward pass; it is read once a pass, as a GPU is waited for.

    Args:
        scaler: of the loss; None: there is no factor.
    """

    def __init__(self, scaler: torch.amp.GradScaler | None) -> None:
        self._scaler, self._scale = scaler, 1.0
        self._read_in: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether a scaler was given."""
        return self._scaler is not None

    def now(self) -> float:
        """Return the factor in the backward pass that is going on, or has just ended."""
        if self._scaler is not None and (number := backward_number()) != self._read_in:
            self._read_in, self._scale = number, float(self._scaler.get_scale())
        return self._scale

    def log10(self) -> float:
        """Return the decades of it."""
        return math.log10(self.now())


class Steps:
    """What is measured of an optimiser's steps.

    Args:
        optimizer: whose step ends an update.
        scale: the factor of the loss.
        wanted: whether this update is recorded.
        ended: is called after its step with what was measured of it.
        found_bad: is called when the gradient of all weights is not finite at a step.
        stops: whether it is to be called before the step, which waits for a GPU.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        scale: Scale,
        wanted: Callable[[], bool],
        ended: Callable[[dict[str, float]], None],
        found_bad: Callable[[], None],
        *,
        stops: bool,
    ) -> None:
        self._optimizer, self._wanted, self._ended = optimizer, wanted, ended
        self._found_bad, self._stops = found_bad, stops
        self._scale, self.divided_by = scale, 0.0
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
        norm = self._norm_of_gradient()
        self._unclipped = None if norm is None else norm / self._scale.now()

    def _weights(self) -> list[Tensor]:
        return [each for group in self._optimizer.param_groups for each in group["params"]]

    def _norm_of_gradient(self) -> Tensor | None:
        gradients = [each.grad for each in self._weights() if each.grad is not None]
        if not gradients:
            return None
        return _norm([each.coalesce().values() if each.is_sparse else each for each in gradients])

    def _pre_hook(self, *_: Any) -> None:  # noqa: ANN401 - torch's signature
        if self._wanted():
            with aside():
                full, clipped, self._unclipped = self._unclipped, self._norm_of_gradient(), None
                if clipped is not None:
                    clipped = clipped / self._left_in_it()
                if self._stops and full is not None:
                    self._check(full, clipped)
                weights = [each.detach().clone() for each in self._weights()]
                self._before = {"full": full, "clipped": clipped, "weights": weights}

    def _check(self, *norms: Tensor | None) -> None:
        """Tell of norms that are not finite; but not if the optimiser makes no step for them."""
        skips = getattr(self._optimizer, "found_inf", None)  # a fused one, told by a scaler
        if skips is not None and bool(skips):
            return
        if not all(math.isfinite(float(norm)) for norm in norms if norm is not None):
            self._found_bad()

    def _left_in_it(self) -> Tensor | float:
        """Return the factor that the optimiser itself takes out: a fused one does, in its step."""
        left = getattr(self._optimizer, "grad_scale", None)
        return 1.0 if left is None or not self._scale.is_known else left

    def _is_unscaled(self, full: float, clipped: float) -> bool:
        """Say whether a gradient was divided by a power of two that no clipping would take.

        Powers of two change no digit, so that the norm says it exactly.
        """
        if self._scale.is_known or not clipped or full / clipped < _LEAST_SCALE:
            return False
        if math.frexp(full / clipped)[0] != 0.5:
            return False
        self.divided_by = full / clipped
        return True

    def _post_hook(self, *_: Any) -> None:  # noqa: ANN401
        self.made += 1
        measured = {}
        if self._before:
            with aside():
                measured = self._measured()
        self._ended(measured)

    def _measured(self) -> dict[str, float]:
        """Return what is known of a step that has been made."""
        before, self._before = self._before, {}
        weights = self._weights()
        moved = _norm(
            [now.detach() - old for now, old in zip(weights, before["weights"], strict=True)]
        )
        size, clipped = float(_norm(before["weights"])), math.nan
        full = math.nan if self._unclipped is None else float(self._unclipped)
        if before["full"] is not None:  # else a closure: what is done to its gradient is not seen
            full = float(before["full"])
            clipped = math.nan if before["clipped"] is None else float(before["clipped"])
            self._check(before["full"], before["clipped"])
        else:
            self._check(self._unclipped)
        self._unclipped, is_known = None, math.isfinite(full) and math.isfinite(clipped)
        if is_known and self._is_unscaled(full, clipped):
            full, is_known = clipped, False
        return {
            "grad_norm": full,
            "clipped": clipped < full * _LESS if is_known else math.nan,
            "update_norm": float(moved),
            "update_ratio": float(moved) / size if size else math.nan,
        }


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the norm of all numbers of some tensors, with squares added up in float64."""
    if not tensors:
        return torch.full((), math.nan, dtype=torch.float64)
    each = [torch.linalg.vector_norm(one, dtype=torch.float64) for one in tensors]
    return torch.linalg.vector_norm(torch.stack([one.to(each[0].device) for one in each]))
