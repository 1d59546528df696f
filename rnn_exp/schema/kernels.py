"""Which networks have kernels, and what ``network.engine=auto`` stands for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["ACTIVATION_CODES", "AUTO", "KERNEL", "KERNEL_CELLS", "KernelVersion", "decided_engine"]

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
