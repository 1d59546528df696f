"""Which networks have kernels, and what ``network.engine=auto`` stands for."""

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
]

ENGINE: Final = "network.engine"
"""The setting of what computes a network."""
AUTO: Final = "auto"
"""The word of ``network.engine`` that is decided when a run is planned."""


class KernelVersion(NamedTuple):
    """The word of ``network.engine``, and what is counted up when kernels give other bits."""

    engine: str
    version: int


KERNEL: Final = KernelVersion("kernel", 1)
KERNEL_CELLS: Final = ("rnn", "leaky", "residual", "lstm")
"""The cells that have kernels."""
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
        >>> [decided_engine("auto", cell, "tanh", "cpu") for cell in ("rnn", "gru")]
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
        >>> runs = {"network.engine": ["kernel", "scan"], "network.cell": ["rnn", "gru"]}
        >>> engines_are_decided(runs | {"network.activation": ["tanh"] * 2, "device": ["cpu"] * 2})
        True
    """
    keys = (ENGINE, "network.cell", "network.activation", "device")
    if not all(key in runs for key in keys):
        return False
    found = {tuple(map(str, each)) for each in zip(*(runs[key] for key in keys), strict=True)}
    return all(decided_engine(AUTO, *others) == engine for engine, *others in found)
