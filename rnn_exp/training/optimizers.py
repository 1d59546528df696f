"""Optimisers over many runs: torch's own arithmetic, with a memory that is plain tensors.

The functions are those that ``torch.optim.SGD``, ``Adam`` and ``RMSprop`` call, with their
defaults. The classes themselves would import torch's compiler when the first one is made, which
takes longer than a small sweep, and would hide what a checkpoint has to hold. Where the passes are
kernels, so are the steps of those with a square root (`networks.kernel.steps`).
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from rnn_exp.fields import SettingError, as_typed, pairs_of
from rnn_exp.networks.parameters import Layout
from rnn_exp.registry import Registry
from rnn_exp.schema import KERNEL
from rnn_exp.shapes import Float
from rnn_exp.words import listing

__all__ = ["OPTIMIZERS", "Memory", "Optimizer", "own_settings_of"]

Memory = dict[str, Tensor]
"""What an optimiser remembers of many runs: a row a run, and ``step``, the number of steps."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """One optimiser.

    Args:
        name: the word of ``training.optimizer``.
        step: changes parameters in place, from the parameters (run, size), their gradient, the
            memory, the learning rate, and each setting of ``takes`` under its name. With an
            argument ``layout`` it gets a `Layout`, which knows the names and shapes of what lies in
            a row.
        remembers: what the memory has a row a run of, zeros at first.
        takes: the settings of the training that it has, beside the learning rate.
        remembers_for: what the memory has besides, by the setting that asks for it if it is not 0.
        options: a frozen dataclass of settings ``training.…``, given to the argument ``own`` of the
            step; None: it has none of its own.

    Raises:
        ValueError: if there are options and no argument ``own``, or the other way round.
    """

    name: str
    step: Callable[..., None]
    remembers: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    remembers_for: Mapping[str, str] = dataclasses.field(default_factory=dict)
    options: type | None = None

    def __post_init__(self) -> None:
        """Refuse options that the step does not take."""
        if self._takes("own") != (self.options is not None):
            both = "options and an argument own of its step go together"
            raise ValueError(f"the optimizer {self.name}: {both}")

    def _takes(self, argument: str) -> bool:
        return argument in inspect.signature(self.step).parameters

    def remembered(self, training: object) -> tuple[str, ...]:
        """Return what the memory has a row a run of.

        Args:
            training: how it is used: it has the settings of ``takes``.
        """
        wanted = (name for key, name in self.remembers_for.items() if getattr(training, key))
        return (*self.remembers, *wanted)

    def memory(self, flat: Float[Tensor, "run size"], training: object = None) -> Memory:
        """Return what is remembered before the first step: zeros, a row a run, and ``step``.

        Args:
            flat: what is trained.
            training: how it is used, where it takes any settings.

        Example:
            >>> memory = OPTIMIZERS["adam"].memory(torch.ones(2, 3))
            >>> {name: tuple(tensor.shape) for name, tensor in memory.items()}
            {'step': (), 'mean': (2, 3), 'square': (2, 3)}
        """
        names = self.remembered(training)
        memory = {"step": torch.zeros(())} if names else {}
        return memory | {name: torch.zeros_like(flat) for name in names}

    def step_of(self, engine: str) -> Callable[..., None]:
        """Return the step where an engine computes the gradients.

        Args:
            engine: the word of ``network.engine``.
        """
        if engine != KERNEL.engine:
            return self.step
        from rnn_exp.networks.kernel import steps

        # Of steps, not of words: another step under one of these words has no kernel.
        own: dict[Callable[..., None], Callable[..., None]]
        own = {_adam: steps.adam, _rmsprop: steps.rmsprop}
        return own.get(self.step, self.step)

    def settings_of(self, training: object) -> dict[str, Any]:
        """Return the settings that `step` takes, by name; those of its own as ``own``.

        Args:
            training: how it is used: it has the settings of ``takes``, and others in ``more``.
        """
        found = {name: getattr(training, name) for name in self.takes}
        if self.options is None:
            return found
        more: dict[str, Any] = dict(getattr(training, "more", ()))
        own = {name: more[name] for name in _names(self.options) if name in more}
        return found | {"own": self.options(**own)}

    def arguments(self, training: object, layout: Layout) -> dict[str, Any]:
        """Return all that `step` takes by name.

        Args:
            training: as for `settings_of`.
            layout: of a row of parameters.
        """
        found = self.settings_of(training)
        return found | {"layout": layout} if self._takes("layout") else found


def _sgd(
    flat: Tensor,
    gradient: Tensor,
    memory: Memory,
    rate: float,
    *,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """Make the step v ← μ v + g + λ w, w ← w − η v (or with g + λ w + μ v in the place of v)."""
    sgd(
        [flat],
        [gradient],
        [memory.get("velocity")],
        foreach=False,
        fused=False,
        lr=rate,
        weight_decay=weight_decay,
        momentum=momentum,
        dampening=0.0,
        nesterov=nesterov,
        maximize=False,
    )


def _adam(
    flat: Tensor,
    gradient: Tensor,
    memory: Memory,
    rate: float,
    *,
    adam_beta1: float,
    adam_beta2: float,
    weight_decay: float,
) -> None:
    """Make the step of Kingma & Ba 2015, algorithm 1, with ε = 1e-8."""
    adam(
        [flat],
        [gradient],
        [memory["mean"]],
        [memory["square"]],
        [],
        [memory["step"]],
        foreach=False,
        fused=False,
        lr=rate,
        weight_decay=weight_decay,
        amsgrad=False,
        beta1=adam_beta1,
        beta2=adam_beta2,
        eps=1e-8,
        maximize=False,
    )


def _rmsprop(
    flat: Tensor,
    gradient: Tensor,
    memory: Memory,
    rate: float,
    *,
    rmsprop_alpha: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Make the step of Tieleman & Hinton 2012 as torch does: ε = 1e-8 beside the root."""
    rmsprop(
        [flat],
        [gradient],
        [memory["square"]],
        [],
        [memory["velocity"]] if momentum else [],
        [memory["step"]],
        foreach=False,
        lr=rate,
        alpha=rmsprop_alpha,
        eps=1e-8,
        weight_decay=weight_decay,
        momentum=momentum,
        centered=False,
        maximize=False,
    )


_VELOCITY = {"momentum": "velocity"}

OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")
OPTIMIZERS.register(
    Optimizer(
        "sgd",
        _sgd,
        takes=("momentum", "nesterov", "weight_decay"),
        remembers_for=_VELOCITY,
    )
)
OPTIMIZERS.register(
    Optimizer(
        "adam",
        _adam,
        remembers=("mean", "square"),
        takes=("adam_beta1", "adam_beta2", "weight_decay"),
    )
)
OPTIMIZERS.register(
    Optimizer(
        "rmsprop",
        _rmsprop,
        remembers=("square",),
        takes=("rmsprop_alpha", "momentum", "weight_decay"),
        remembers_for=_VELOCITY,
    )
)


def own_settings_of(
    optimizer: str, given: Mapping[str, Any]
) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """Return the settings that an optimiser of a user brings, checked, with defaults filled in.

    Args:
        optimizer: the word that chooses it.
        given: settings of own parts of the training, by name.

    Returns:
        Its settings, and those that no optimiser has.

    Raises:
        SettingError: for a value that is not allowed, or a setting of another optimiser.
    """
    kind, able = OPTIMIZERS[optimizer].options, dict[str, list[str]]()
    for name, one in OPTIMIZERS.items():
        for key in _names(one.options):
            able.setdefault(key, []).append(name)
    own = {key: value for key, value in given.items() if optimizer in able.get(key, ())}
    rest = {key: value for key, value in given.items() if key not in own}
    for key, value in rest.items():
        if key in able:
            reason = f"it is a setting of {listing(able[key])}"
            allowed = f"null with optimizer={optimizer}: {reason}"
            raise SettingError(key, as_typed(value), allowed)
    return pairs_of({} if kind is None else {f"optimizer={optimizer}": kind}, own), rest


def _names(options: type | None) -> list[str]:
    return [] if options is None else [field.name for field in dataclasses.fields(options)]
