"""The weights before training, made again: what a run leaves, and its code, say them exactly.

They are no file of a run's folder, which they would nearly double; they follow from the settings
and the seed.
"""

import warnings
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import Tensor

from rnn_exp.fields import SettingError
from rnn_exp.networks.parameters import Parameters
from rnn_exp.schema import RUN_JSON
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.trust import read_json
from rnn_exp.storage.writing import versions
from rnn_exp.theory.edge import initial_weights as drawn_weights
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.run import Run, nested, run_from
from rnn_exp.words import from_here

__all__ = ["FILE", "OtherVersionsWarning", "initial_weights", "run_of", "write_initial_weights"]

FILE: Final = "weights_initial.safetensors"


class OtherVersionsWarning(UserWarning):
    """A run was made with other versions, so the last bits of its first weights may be others."""


def initial_weights(run: Run) -> dict[str, Tensor]:
    """Return the weights with which a run makes its update 0, as the network uses them.

    Args:
        run: any run; the weights are drawn on the CPU.

    Returns:
        Tensors under torch's names.
    """
    drawn = drawn_weights(run.network, run.init, run.task, run.seed)
    batch = RunBatch([run], Parameters.stack([drawn], run.network.torch_dtype))
    return {name: tensor[0].detach().clone() for name, tensor in batch.weights.items()}


def run_of(folder: Path) -> Run:
    """Return the run that a folder's run.json describes, of this or a former version.

    Raises:
        OSError: if there is no run.json that can be read.
        ValueError: if it describes no run of this version.
    """
    path = from_here(folder) / RUN_JSON
    if not path.exists():
        raise FileNotFoundError(f"{path.parent} is no run's folder (no {RUN_JSON})")
    try:
        said: Any = read_json(path)
    except (OSError, ValueError) as error:
        raise OSError(f"{path} cannot be read: {error}") from None
    try:
        run, digest = run_from(nested(dict(said["settings"]))), said["digest"]
    except (LookupError, TypeError, ValueError, AttributeError, SettingError) as error:
        raise ValueError(f"{path} describes no run of this version: {_why(said, error)}") from None
    if run.digest != digest:
        raise ValueError(f"{path} describes run {digest}, its settings are those of {run.digest}")
    if said.get("versions") != versions():
        warnings.warn(
            f"{path.parent} was made with other versions ({said.get('versions')}): the last bits "
            "of its initial weights may be others",
            OtherVersionsWarning,
            stacklevel=2,
        )
    return run


def write_initial_weights(folder: Path) -> Path:
    """Write `FILE` beside a run's other files, and return its path.

    Raises:
        OSError, ValueError: as `run_of`, or if it cannot be written.
    """
    weights = {name: each.contiguous() for name, each in initial_weights(run_of(folder)).items()}
    replace_bytes(folder / FILE, safetensors.torch.save(weights))
    return folder / FILE


def _why(said: Any, error: Exception) -> str:  # noqa: ANN401 - what a file says
    """Say why settings are no run's: parts of one's own that nobody has named, or another error."""
    sources = said.get("sources") if isinstance(said, dict) else None
    if not sources:
        return str(error)
    parts = [str(each).rpartition(" ")[0] for each in sources]  # without the hash
    return f"it was made with {', '.join(parts)}; name these files with --use"
