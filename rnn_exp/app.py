"""The command ``rnn-exp``: configuration in, run folders out.

Only here and in _hydra is Hydra named. Torch is imported when it is needed, so that help and
completion are quick.
"""

import hashlib
import logging
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnn_exp import process
from rnn_exp._hydra.refusal import in_one_line
from rnn_exp._hydra.waiting import OUTCOMES

if TYPE_CHECKING:
    from rnn_exp.outcome import Outcome
    from rnn_exp.run import Run

__all__ = ["job", "main", "run_of"]

_HERE = Path(__file__).parent
log = logging.getLogger("rnn_exp")


def main() -> None:
    """Run the command line: one run, a sweep (-m), or a study (study=…)."""
    process.settle()
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on; they are told in one line
    sys.path.append(str(_HERE / "_hydra"))  # the namespace package hydra_plugins
    _register_resolvers()
    shipped = _HERE / "conf"
    conf = shipped if shipped.is_dir() else _HERE.parent / "conf"
    try:
        hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(job)()
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        line = in_one_line(error)
        if full or line is None:
            raise
        sys.exit(f"rnn-exp: {line}")
    except KeyboardInterrupt:
        sys.exit("\nrnn-exp: stopped; finished runs are kept, the same command goes on from there")


def job(config: DictConfig) -> str:
    """Train one run (or take its outcome, if it was trained with others) and write its folder."""
    from rnn_exp import storage

    run = run_of(config)
    folder = Path(HydraConfig.get().runtime.output_dir)
    waiting = OUTCOMES.get()
    if storage.is_done(folder, run):  # only another launcher than ours starts such a job
        log.info("already there")
        return "already there"
    storage.write_status(folder, run, "running")
    log.info("%s", run.command)
    try:
        outcome = waiting[run.digest] if run.digest in waiting else _train(run)
        if isinstance(outcome, Exception):
            raise outcome
        storage.write(folder, outcome)
    except Exception as error:
        log.exception("failed")
        storage.write_status(folder, run, "failed", failure=f"{type(error).__name__}: {error}")
        raise
    told = _in_words(outcome)
    log.info("%s", told)
    if HydraConfig.get().mode == RunMode.RUN:
        print(f"{told}\n{folder}")
    return outcome.status


def run_of(config: DictConfig) -> "Run":
    """Return the run that a composed configuration describes."""
    from rnn_exp.configuration import run_from

    wanted = [str(key) for key in config if key not in ("hydra", "study")]
    plain: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, wanted), resolve=True)
    return run_from(plain)


def _train(run: "Run") -> "Outcome":
    from rnn_exp.experiment import execute
    from rnn_exp.progress import RunBar

    process.use_one_thread()
    with closing(RunBar(run)) as bar:
        return execute([run], bar.watch)[0]


def _in_words(outcome: "Outcome") -> str:
    first, last, theory = outcome.first, outcome.last, outcome.prediction.rate
    if outcome.divergence is not None:
        update, when, direction = outcome.divergence
        return f"diverged: not finite at update {update}, time step {when}, {direction} pass"
    predicted = "" if theory is None else f" (predicted {theory:.3f})"
    return (f"{outcome.status}: {first.verdict} at the start, decay rate {first.rate:.3f} per time "
            f"step{predicted}; {last.verdict} at the end, {last.rate:.3f}")  # fmt: skip


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
