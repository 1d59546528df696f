"""The command ``rnn-exp``: configuration in, run folders out.

Only here and in _hydra is Hydra named. Torch is imported when it is needed, so that help and
completion are quick.
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnn_exp._hydra.job import Failed, job, run_of
from rnn_exp._hydra.messages import FAILED, in_one_line
from rnn_exp.sweeps import process

__all__ = ["main"]

_HERE = Path(__file__).parent


def main() -> None:
    """Run the command line: one run, a sweep (-m), or a study (study=…)."""
    process.settle()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a scheduler sends: as Ctrl-C
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on; they are told in one line
    sys.path.append(str(_HERE / "_hydra"))  # the namespace package hydra_plugins
    _register_resolvers()
    shipped = _HERE / "conf"
    conf = shipped if shipped.is_dir() else _HERE.parent / "conf"
    try:
        hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(job)()
    except Failed as error:
        sys.exit(f"rnn-exp: {error}")
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        line = in_one_line(error)
        if full or line is None:
            raise
        sys.exit(f"rnn-exp: {line}")
    except KeyboardInterrupt:
        sys.exit("\nrnn-exp: stopped; the same command goes on from there")
    if FAILED.get():
        sys.exit(1)


def _register_resolvers() -> None:
    """Register the names of folders: ``${rnn_exp.run_name:}`` and ``${rnn_exp.sweep_name:…}``."""

    def run_name(*, _root_: DictConfig) -> str:
        return run_of(_root_).name

    first: dict[str, str] = {}

    def sweep_name(study: str | None, *, _root_: DictConfig) -> str:
        if study is not None:
            return study
        overrides = "\n".join(sorted(_root_.hydra.overrides.task))
        digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]
        # A job of the sweep is composed with overrides of its own; it belongs to the same folder.
        return first.setdefault("name", f"sweep-{digest}")

    OmegaConf.register_new_resolver("rnn_exp.run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("rnn_exp.sweep_name", sweep_name, replace=True)
