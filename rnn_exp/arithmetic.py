"""What the bits of a result depend on beside the run: the processor, and how it is to compute.

MKL chooses how it multiplies by where a matrix lies in memory, unless it is asked not to. The entry
points ask (`ask_for_strict_products`); what is in effect is a part of every result (`arithmetic`).
Torch is imported when it is asked, so that help and completion are quick.
"""

import ctypes
import functools
import os
import platform
from pathlib import Path

__all__ = ["arithmetic", "ask_for_strict_products", "is_settled", "processor", "was_asked_too_late"]

_MKL, _STRICT = "MKL_CBWR", "AUTO,STRICT"
_ALL_SETTINGS, _STRICT_BIT = -1, 0x10000  # of MKL's own question for what is in effect

# Settings of the environment that choose other instructions, for torch, its libraries or numpy.
_CHOICES = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "GLIBC_TUNABLES",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)


def ask_for_strict_products() -> None:
    """Ask MKL for the same bits wherever a matrix lies, unless the user has asked for something.

    A setting that is there but empty says nothing: MKL takes it as if it were not there.
    """
    if not is_settled():
        os.environ[_MKL] = _STRICT


def is_settled() -> bool:
    """Say whether MKL has been told how to compute, by the entry points or by the user."""
    return bool(_set(_MKL))


def was_asked_too_late() -> bool:
    """Say whether MKL was asked for strict products after its first one, when it asks no more.

    Call it after `ask_for_strict_products`: from this question on MKL keeps to what it answers.
    Where torch has no MKL, or one that cannot be asked, nothing is known to be wrong.
    """
    import torch

    if "STRICT" not in _set(_MKL).upper():
        return False  # the user has asked for something else
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        in_effect = library.mkl_serv_cbwr_get(_ALL_SETTINGS)
    except (OSError, AttributeError):
        return False
    return not in_effect & _STRICT_BIT


def arithmetic() -> dict[str, str]:
    """Return what decides the bits of results on this machine's processor, as plain words.

    Where two processes agree in it, in the versions of the libraries and in the run, they give the
    same bits. It says what is in effect now: call it in the process that trains.

    Returns:
        Sorted by key: ``cpu_capability``, the instructions that torch uses; ``processor``;
        ``flush_denormal``, ``matmul_precision``, ``mkldnn``, ``threads``, torch's own settings; and
        every variable of the environment that is set and changes results (``MKL_CBWR`` and others).

    Example:
        >>> found = arithmetic()
        >>> list(found) == sorted(found), "processor" in found
        (True, True)
    """
    import torch

    smallest = torch.full((1,), torch.finfo(torch.float32).tiny)
    found = {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "flush_denormal": str(not bool((smallest / 2).any())).lower(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": str(bool(torch.backends.mkldnn.enabled)).lower(),
        "processor": processor(),
        "threads": str(torch.get_num_threads()),
    }
    found |= {name: said for name in (_MKL, *_CHOICES) if (said := _set(name))}
    return dict(sorted(found.items()))


def _set(name: str) -> str:
    """Return a variable of the environment; an empty word where it says nothing."""
    return os.environ.get(name, "").strip()


@functools.cache
def processor() -> str:
    """Return the processor's model, as far as the system tells without starting a program."""
    if platform.system() == "Darwin":
        return _processor_of_mac() or platform.machine()
    said: dict[str, str] = {}
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if not key.strip():
                    break  # the first processor is described; the others are like it
                said[key.strip()] = " ".join(value.split())
    except OSError:
        return platform.machine()
    # One name may stand for several generations (``AMD EPYC``): the numbers tell them apart.
    keys = ("model name", "cpu family", "model", "CPU implementer", "CPU part", "cpu")
    return ", ".join(said[key] for key in keys if said.get(key)) or platform.machine()


def _processor_of_mac() -> str:
    libc, size = ctypes.CDLL(None), ctypes.c_size_t(256)
    words = ctypes.create_string_buffer(size.value)
    libc.sysctlbyname(b"machdep.cpu.brand_string", words, ctypes.byref(size), None, 0)
    return words.value.decode(errors="replace")
