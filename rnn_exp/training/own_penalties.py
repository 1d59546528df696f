"""Penalties of users: a value of W_hh in plain torch, whose gradient comes from autograd.

The fields of such a penalty are settings ``training.…``. It counts where its ``weight`` is not 0.
"""

import abc
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnn_exp.fields import SettingError, check, settings_of
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = ["OWN_PENALTIES", "OwnPenalty", "own_penalties", "own_settings"]


@dataclasses.dataclass(frozen=True)
class OwnPenalty(abc.ABC):
    """A penalty on W_hh that a user brings; its fields say what they accept.

    Raises:
        SettingError: for a setting that is not allowed.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    @abc.abstractmethod
    def weight(self) -> float:
        """By how much it counts; 0: it is not used."""

    @abc.abstractmethod
    def value(self, weight_hh: Float[Tensor, "run rows hidden"]) -> Float[Tensor, " run"]:
        """Return the value for each run, in plain torch; no run's may depend on another's.

        Args:
            weight_hh: W_hh of one layer, of every run; of a cell with gates a stack of blocks.
        """

    def refusals(self, network: Network) -> Iterator[Refusal]:
        """Yield why it makes no sense for a network: key, value, what is allowed.

        Args:
            network: what the network is; here, one whose W_hh is no square matrix is refused.
        """
        kind = network.kind
        if not kind.is_square:
            allowed = f"a cell whose W_hh is one square matrix, as the penalty {self.name} needs"
            yield "network.cell", network.cell, f"{allowed} (its {kind.not_square})"

    def with_gradient(
        self, weight_hh: Float[Tensor, "run rows hidden"]
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run rows hidden"]]:
        """Return the value and its gradient by W_hh, by autograd."""
        with torch.inference_mode(False), torch.enable_grad():
            W = weight_hh.detach().clone().requires_grad_()
            value = self.value(W)
            (slope,) = torch.autograd.grad(value.sum(), W)
        return value.detach(), slope


OWN_PENALTIES: Registry[type[OwnPenalty]] = Registry("penalty")


def own_penalties(more: Mapping[str, Any]) -> list[OwnPenalty]:
    """Return the penalties of users that are in use.

    Args:
        more: their settings by name, as `own_settings` returns them.
    """
    made = (kind(**_own(kind, more)) for kind in OWN_PENALTIES.values())
    return [penalty for penalty in made if penalty.weight]


def own_settings(given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the settings of the penalties in use, checked, defaults filled in.

    Args:
        given: names and values.

    Raises:
        SettingError: for a name that none has, a value that is not allowed, or one without effect.
    """
    found: dict[str, Any] = {}
    for kind in OWN_PENALTIES.values():
        own = _own(kind, given)
        penalty = kind(**own)
        if penalty.weight:
            found |= settings_of(penalty)
            continue
        usual = settings_of(kind())
        for name, value in own.items():
            if value != usual[name]:
                why = f"{usual[name]}: it has no effect while the penalty {kind.name} is not used"
                raise SettingError(name, value, why)
    known = {name for kind in OWN_PENALTIES.values() for name in _names(kind)}
    for name, value in given.items():
        if name not in known:
            raise SettingError(
                name, value, "null: no penalty that is registered has a setting of this name"
            )
    return tuple(found.items())


def _own(kind: type[OwnPenalty], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in _names(kind) if name in given}


def _names(kind: type[OwnPenalty]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
