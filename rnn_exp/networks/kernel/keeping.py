"""Where compiled kernels are kept, and having them compiled before they are needed.

They are compiled once for a processor and a precision, which takes half a minute. numba keeps what
it has compiled of a function until that function's own file changes, but what it calls may lie in
other files: so the folder's name tells the source of all kernels, and the numbers that they take
from elsewhere, which are compiled into them.
"""

import contextlib
import functools
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import torch

from rnn_exp.arithmetic import processor
from rnn_exp.networks.cells.known_activations import LEAK
from rnn_exp.networks.cells.recorded import Measures
from rnn_exp.networks.cells.values import LayerWeights
from rnn_exp.networks.matrices import matrices_of
from rnn_exp.networks.network import Network
from rnn_exp.schema import ACTIVATION_CODES, KERNEL_CELLS

__all__ = ["compile_for", "folder"]

# Relative paths count as none, as the XDG specification has it: jobs may change their folder.
_FOLDERS = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
_CHOICES = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_OPT")


@functools.cache
def folder() -> Path | None:
    """Return the folder for what these sources are compiled to; None: none can be written."""
    text = b"".join(one.read_bytes() for one in sorted(Path(__file__).parent.glob("*.py")))
    versions = f"{platform.python_version()} {version('numba')} {version('llvmlite')}"
    taken = f"{LEAK} {sorted(ACTIVATION_CODES.items())}"
    digest = hashlib.sha256(f"{versions} {taken}".encode() + text).hexdigest()[:16]
    try:
        asked = [Path(os.environ.get(name, "")) for name in _FOLDERS]
        chosen = next((one for one in asked if one.is_absolute()), None)
        found = (chosen or Path.home() / ".cache") / "rnn-exp" / f"kernels-{digest}"
        if not found.is_absolute():
            return None
        found.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=found):
            return found
    except (OSError, RuntimeError):  # read only, or a home that there is not
        return None


def compile_for(networks: Iterable[Network], tell: Callable[[str], object]) -> None:
    """Compile the kernels of some networks, unless they are there or this process has done so.

    Args:
        networks: any networks; those of other engines need nothing.
        tell: is called with a line before it takes a while.
    """
    wanted = {(KERNEL_CELLS[one.cell], one.dtype): one for one in networks if one.by_kernels}
    for (kernels, precision), network in sorted(wanted.items(), key=lambda item: item[0]):
        what, here = f"{kernels}-{precision}", _compiled_here()
        mark = _mark(what)
        if what not in here and (mark is None or not mark.exists()):
            kept = "they are kept" if mark else "they cannot be kept: no folder can be written"
            tell(f"compiling the {kernels} kernels in {precision}, about half a minute; {kept}")
            lost = _compiled_and_lost(network)
            here.add(what)
            if mark is not None and lost:
                where = mark.parent
                tell(f"the kernels could not be kept in {where}: each process compiles its own")
            elif mark is not None:
                with contextlib.suppress(OSError):  # full, or tidied away meanwhile
                    mark.touch()


def _compiled_and_lost(network: Network) -> set[str]:
    """Compile all kernels of a network; return those that could not be kept."""
    from rnn_exp.networks.kernel.compiling import not_kept

    lost = not_kept()
    lost.clear()
    _compile(network)
    return lost


@functools.cache
def _compiled_here() -> set[str]:
    """Return what `compile_for` has compiled in this process, which it fills in."""
    return set()


def _compile(network: Network) -> None:
    """Compile all kernels of a network by a step of one unit."""
    from rnn_exp.networks.kernel import steps
    from rnn_exp.networks.kernel.reader import KernelReader

    one, cell = torch.ones(1, 1, 1, 1, dtype=network.torch_dtype), network.make_cell()
    weights = LayerWeights(*(one.new_ones(1, *size) for size in network.kind.shapes(1, 1).values()))
    trace = cell.forward(one, weights, one[0])
    found = cell.adjoint(one, trace, one, weights)
    if isinstance(cell, Measures):
        cell.measured(trace, found)
        cell.log10_norms(found.total)
    reader, rows = KernelReader(one[0], one[0, 0]), trace.states[0]
    reader.squared(one, one[0])
    outputs = reader.outputs(rows)
    reader.of_classes(one, one[0].long())
    reader.of_squares(one, one[0])
    reader.add(outputs, rows)
    reader.of_states(outputs)
    matrices_of(network.engine).before_cayley(one[0], one[0])
    flat, memory = one[0, 0], {name: one[0, 0].clone() for name in ("step", "mean", "square")}
    steps.adam(flat, flat, memory, 0.0, adam_beta1=0.9, adam_beta2=0.9, weight_decay=0.0)
    steps.rmsprop(flat, flat, memory, 0.0, rmsprop_alpha=0.9, momentum=0.0, weight_decay=0.0)


def _mark(what: str) -> Path | None:
    """Return the file that is there once the kernels of something are compiled."""
    found = folder()
    target = " ".join([processor(), *(os.environ.get(name, "") for name in _CHOICES)])
    digest = hashlib.sha256(target.encode()).hexdigest()[:16]
    return None if found is None else found / f"{what}-{digest}"
