"""What a machine has for a run: its device (``cpu``, ``cuda:1`` or ``auto``), and a compiler."""

import os

import torch

from rnn_exp.fields import SettingError
from rnn_exp.schema import KERNEL

__all__ = ["is_gpu", "refuse_without_compiler", "resolve_auto", "torch_device"]

_NO_COMPILER = "NUMBA_DISABLE_JIT"


def torch_device(word: str) -> torch.device:
    """Return the device that a run's word means on this machine.

    Args:
        word: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: CUDA if there is one.

    Raises:
        SettingError: for a device that this machine does not have.
    """
    there, word = torch.cuda.is_available(), resolve_auto(word)
    cuda = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if word != "cpu" and not (there and word in cuda):
        here = ", ".join(["cpu", "auto", *cuda]) if there else "cpu, auto (no CUDA here)"
        raise SettingError("device", word, f"one of {here}")
    return torch.device(word)


def resolve_auto(word: str) -> str:
    """Return the word of the device on which a run would train here, with ``auto`` decided."""
    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return word


def is_gpu(word: str) -> bool:
    """Say whether a run with this word trains on a GPU, as far as this machine can tell.

    Example:
        >>> is_gpu("cpu"), is_gpu("cuda:1")
        (False, True)
    """
    return resolve_auto(word) != "cpu"


def refuse_without_compiler(engine: str) -> None:
    """Refuse kernels where numba is told to compile nothing.

    Args:
        engine: of a run's network, decided.

    Raises:
        SettingError: naming the variable of the environment that says so.
    """
    said = os.environ.get(_NO_COMPILER, "").strip()
    if engine == KERNEL.engine and said not in ("", "0"):
        forbidden = f"{_NO_COMPILER}={said} in the environment forbids to compile kernels"
        allowed = f"scan or torch: {forbidden}"
        raise SettingError("network.engine", engine, allowed)
