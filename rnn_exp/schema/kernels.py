"""Which networks have kernels, and what ``network.engine=auto`` stands for."""

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

__all__ = [
    "ACTIVATION_CODES",
    "AUTO",
    "ENGINE",
    "KERNEL",
    "KERNEL_CELLS",
    "KernelVersion",
    "decided_engine",
    "engines_are_decided",
    "is_of_other_kernels",
    "kernel_of",
    "with_its_engine",
]

ENGINE: Final = "network.engine"
"""The setting of what computes a network."""
_DECIDING: Final = ("network.cell", "network.activation", "device")
AUTO: Final = "auto"
"""The word of ``network.engine`` that is decided when a run is planned."""


class KernelVersion(NamedTuple):
    """The word of ``network.engine``, and what is counted up when kernels give other bits."""

    engine: str
    version: int


KERNEL: Final = KernelVersion("kernel", 5)
KERNEL_CELLS: Final[Mapping[str, str]] = MappingProxyType(
    {"rnn": "rnn", "leaky": "rnn", "residual": "rnn", "gru": "gru", "lstm": "lstm"}
)
"""The cells that have kernels, and which."""
ACTIVATION_CODES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "tanh": 0,
        "sigmoid": 1,
        "relu": 2,
        "identity": 3,
        "leaky_relu": 4,
        "hard_tanh": 5,
        "softsign": 6,
        "elu": 7,
    }
)
"""The activations that kernels have, and their numbers in there (`kernel.functions`)."""


def decided_engine(engine: str, cell: str, activation: str, device: str) -> str:
    """Return the engine that a word of ``network.engine`` stands for.

    Args:
        engine: the word.
        cell: of the network.
        activation: of the network.
        device: where it is to be computed: kernels are of the processor, ``cpu``.

    Example:
        >>> [decided_engine("auto", cell, "tanh", "cpu") for cell in ("rnn", "normed")]
        ['kernel', 'scan']
    """
    if engine != AUTO:
        return engine
    able = device == "cpu" and cell in KERNEL_CELLS and activation in ACTIVATION_CODES
    return KERNEL.engine if able else "scan"


def engines_are_decided(runs: Any) -> bool:  # noqa: ANN401 - a mapping, or a table of pandas
    """Say whether every run has the engine that ``auto`` decides on for it.

    Args:
        runs: the columns of a table of runs.

    Example:
        >>> runs = {"network.engine": ["kernel", "scan"], "network.cell": ["rnn", "normed"]}
        >>> engines_are_decided(runs | {"network.activation": ["tanh"] * 2, "device": ["cpu"] * 2})
        True
    """
    keys = (ENGINE, *_DECIDING)
    if not all(key in runs for key in keys):
        return False
    found = {tuple(map(str, each)) for each in zip(*(runs[key] for key in keys), strict=True)}
    return all(decided_engine(AUTO, *others) == engine for engine, *others in found)


def kernel_of(said: Mapping[str, Any]) -> object:
    """Return the version of the kernels that a run.json tells; None: it was made without.

    Args:
        said: what run.json says.
    """
    network = said.get("network")
    return network.get("kernel") if isinstance(network, dict) else None


def is_of_other_kernels(said: Mapping[str, Any]) -> bool:
    """Say whether kernels of another version than today's have made, or begun, a run.

    Args:
        said: what run.json says.
    """
    return kernel_of(said) not in (None, KERNEL.version)


def with_its_engine(command: str, settings: object) -> str:
    """Return a run's command with its engine, where without it the command means another now.

    Before there were kernels ``scan`` was the default, and commands do not name it.

    Args:
        command: as the run has it.
        settings: of the run, under their keys.

    Example:
        >>> settings = {"network.cell": "rnn", "network.activation": "tanh", "device": "cpu"}
        >>> with_its_engine("rnn-exp seed=1", settings | {"network.engine": "scan"})
        'rnn-exp seed=1 network.engine=scan'
        >>> with_its_engine("rnn-exp seed=1", settings | {"network.engine": "kernel"})
        'rnn-exp seed=1'
    """
    if not isinstance(settings, Mapping) or not command.startswith("rnn-exp"):
        return command
    engine, *others = (str(settings.get(key)) for key in (ENGINE, *_DECIDING))
    if engine in ("None", decided_engine(AUTO, *others)) or f"{ENGINE}=" in command:
        return command
    return f"{command} {ENGINE}={shlex.quote(engine)}"
