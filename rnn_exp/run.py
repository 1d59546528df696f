"""A run: one network, one seed, one configuration, as a frozen value."""

import dataclasses
import hashlib
import json
import shlex
from typing import Any

import torch

from rnn_exp.compatibility import refuse_nonsense
from rnn_exp.inits import Chrono, Gaussian, Init
from rnn_exp.network import Network
from rnn_exp.recording import Recording
from rnn_exp.settings import SettingError, as_typed, check, whole
from rnn_exp.tasks import Adding, Task
from rnn_exp.training import Training

__all__ = ["Run"]


@dataclasses.dataclass(frozen=True)
class Run:
    """One network, one seed, one configuration."""

    task: Task = dataclasses.field(default_factory=Adding)
    network: Network = dataclasses.field(default_factory=Network)
    init: Init = dataclasses.field(default_factory=Gaussian)
    training: Training = dataclasses.field(default_factory=Training)
    recording: Recording = dataclasses.field(default_factory=Recording)
    seed: int = whole(0)
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if isinstance(self.init, Chrono) and self.init.longest is None:
            longest = self.task.length
            if longest < Chrono.least:
                allowed = f"a whole number of at least {Chrono.least} with init=chrono"
                raise SettingError("task.length", longest, f"{allowed} (or give init.longest)")
            object.__setattr__(self, "init", dataclasses.replace(self.init, longest=longest))
        refuse_nonsense(self.task, self.network, self.init, self.training, self.recording)
        if self.device == "cpu":
            return
        there = torch.cuda.is_available()
        cuda = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        if not there or self.device not in cuda:
            here = ", ".join(["cpu", "auto", *cuda]) if there else "cpu, auto (no CUDA here)"
            raise SettingError("device", self.device, f"one of {here}")

    def settings(self) -> dict[str, Any]:
        """Return every setting under its configuration key: ``{"task.length": 50, …}``."""
        groups = ("task", "network", "init", "training", "recording")
        parts = _flat({group: getattr(self, group) for group in groups})
        words = {"task": self.task.name, "init": self.init.name}
        return words | parts | {"seed": self.seed, "device": self.device}

    @property
    def answers(self) -> int:
        """How many time steps have a loss."""
        return self.task.steps if self.training.loss_at == "every" else self.task.answers

    @property
    def digest(self) -> str:
        """16 hex digits of what decides the results: every setting but the device."""
        what = {key: value for key, value in self.settings().items() if key != "device"}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """The folder's name: readable, and unique by its digest.

        Example:
            >>> Run(seed=3).name.startswith("adding-T50-tanh-gaussian1-seed3-")
            True
        """
        gain = getattr(self.init, "gain", None)
        strength = "" if gain is None else f"{gain:g}"
        cell, activation = self.network.cell, self.network.activation
        kind = (
            cell if self.network.gated else activation if cell == "rnn" else f"{cell}-{activation}"
        )
        return (f"{self.task.name}-T{self.task.length}-{kind}-"
                f"{self.init.name}{strength}-seed{self.seed}-{self.digest[:8]}")  # fmt: skip

    @property
    def command(self) -> str:
        """The shell command that reproduces this run: every setting that is not the default.

        Example:
            >>> Run(init=Gaussian(gain=1.5), seed=2).command
            'rnn-exp init.gain=1.5 seed=2'
        """
        settings = self.settings()
        # Not those of a run: an init may ask for another network than the usual one.
        usual = Run().settings() | _flat({"task": type(self.task)(), "init": type(self.init)()})
        changed = [f"{key}={as_typed(value)}"
                   for key, value in settings.items() if value != usual[key]]  # fmt: skip
        return " ".join(["rnn-exp", *(shlex.quote(word) for word in changed)])


def _flat(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of groups under their configuration keys."""
    return {f"{group}.{key}": value for group, part in parts.items()
            for key, value in dataclasses.asdict(part).items()}  # fmt: skip
