"""A run: one network, one seed, one configuration, as a frozen value.

`refuse_nonsense` names settings that are each possible but make no sense together; `run_from` turns
nested plain values, as composed from conf/, into a `Run`.
"""

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from rnn_exp.fields import SettingError, as_typed, check, refuse_choice, whole
from rnn_exp.networks.inits import (
    INITS,
    Chrono,
    Critical,
    ForgetBias,
    Gaussian,
    Identity,
    Init,
    Orthogonal,
    Pascanu,
    Unit,
)
from rnn_exp.networks.network import Network
from rnn_exp.tasks import TASKS, Adding, Task
from rnn_exp.training.settings import Recording, Training

__all__ = ["Run", "refuse_nonsense", "run_from"]


def refuse_nonsense(
    task: Task, network: Network, init: Init, training: Training, recording: Recording
) -> None:
    """Refuse the first pair of settings that exclude each other.

    Raises:
        SettingError: naming one of the two, and the reason.
    """
    for key, value, reason in (
        *_about_init(task, network, init),
        *_about_penalties(network, training),
        *_about_loss(task, network, training),
        *_about_exponents(network, recording),
    ):
        raise SettingError(key, value, reason)


Refusal = tuple[str, object, str]


def _about_init(task: Task, network: Network, init: Init) -> Iterator[Refusal]:
    if isinstance(init, ForgetBias | Chrono) and not network.gated:
        yield (
            "init",
            init.name,
            f"another init with network.cell={network.cell}: it has no gate "
            "that forgets (use network.cell=lstm or gru)",
        )
    if isinstance(init, Pascanu) and network.gated:
        yield (
            "init",
            init.name,
            f"another init with network.cell={network.cell}: the paper's networks have no gates",
        )
    if isinstance(init, Critical) and network.cell != "rnn":
        yield (
            "init",
            init.name,
            f"another init with network.cell={network.cell}: the mean field "
            "here is that of network.cell=rnn",
        )
    if isinstance(init, Critical) and network.hidden_size == 1:
        yield (
            "network.hidden_size",
            1,
            "more than 1 with init=critical: the mean field is that of many units",
        )
    if isinstance(init, Unit) and (network.hidden_size, network.num_layers) != (1, 1):
        yield (
            "network.hidden_size",
            network.hidden_size,
            "1 (and network.num_layers=1) with init=unit, which gives all of a network of one unit",
        )
    if isinstance(init, Unit) and (network.cell != "rnn" or task.output_size != 1):
        yield "init", init.name, "another init unless network.cell=rnn and the task has one output"
    if network.parametrization == "orthogonal" and type(init) not in (Orthogonal, Identity):
        yield (
            "network.parametrization",
            "orthogonal",
            f"free with init={init.name}: W_hh stays "
            "orthogonal only from where it is (use init=orthogonal or identity)",
        )


def _about_penalties(network: Network, training: Training) -> Iterator[Refusal]:
    if training.omega and network.cell != "rnn":
        yield (
            "training.omega",
            training.omega,
            f"0 with network.cell={network.cell}: Ω is written for h_t = φ(W h_{{t-1}} + …)",
        )
    if training.orthogonality and network.gated:
        yield (
            "training.orthogonality",
            training.orthogonality,
            "0 with network.cell="
            f"{network.cell}: its W_hh is a stack of gates, not a square matrix",
        )
    if training.orthogonality and network.parametrization == "orthogonal":
        yield (
            "training.orthogonality",
            training.orthogonality,
            "0 with network.parametrization=orthogonal, which needs no penalty",
        )


def _about_loss(task: Task, network: Network, training: Training) -> Iterator[Refusal]:
    if training.loss_at == "every" and task.shortest < task.steps:
        yield (
            "training.loss_at",
            "every",
            f"task with task={task.name}, whose sequences are of several lengths",
        )
    if training.loss_at == "every" and task.answers > 1:
        yield (
            "training.loss_at",
            "every",
            f"task with task={task.name}, which asks for answers at every time step already",
        )
    if network.engine == "torch" and training.truncation is not None:
        yield (
            "training.truncate_every",
            training.truncate_every,
            "null with network.engine="
            "torch, whose module goes back to the start; use network.engine=scan",
        )


def _about_exponents(network: Network, recording: Recording) -> Iterator[Refusal]:
    if recording.exponents and network.cell != "rnn":
        yield (
            "recording.exponents",
            recording.exponents,
            f"0 with network.cell={network.cell}: the Jacobian here is that of network.cell=rnn",
        )
    if recording.exponents > network.hidden_size:
        yield (
            "recording.exponents",
            recording.exponents,
            f"at most {network.hidden_size} with network.hidden_size={network.hidden_size}",
        )


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
        return (
            f"{self.task.name}-T{self.task.length}-{kind}-"
            f"{self.init.name}{strength}-seed{self.seed}-{self.digest[:8]}"
        )

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
        changed = [
            f"{key}={as_typed(value)}" for key, value in settings.items() if value != usual[key]
        ]
        return " ".join(["rnn-exp", *(shlex.quote(word) for word in changed)])


def _flat(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of groups under their configuration keys."""
    return {
        f"{group}.{key}": value
        for group, part in parts.items()
        for key, value in dataclasses.asdict(part).items()
    }


_NAMED: dict[str, Mapping[str, type]] = {"task": TASKS, "init": INITS}
_FIXED: dict[str, type] = {"network": Network, "training": Training, "recording": Recording}


def run_from(config: Mapping[str, Any]) -> Run:
    """Return the run a configuration describes.

    Raises:
        SettingError: naming the first key that is unknown, missing or has a value not allowed.
    """
    groups = [*_NAMED, *_FIXED]
    _refuse_unknown("", config, [*groups, "seed", "device"])
    parts: dict[str, Any] = {}
    for group in groups:
        given = config.get(group)
        if not isinstance(given, Mapping):
            raise SettingError(group, given, "a group of settings")
        parts[group] = _part(group, dict(given))
    return Run(**parts, seed=config.get("seed"), device=_device(config.get("device")))  # type: ignore[arg-type]


def _part(group: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the dataclasses
    if group in _NAMED:
        name = given.pop("name", None)
        if name not in _NAMED[group]:
            raise refuse_choice(f"{group}.name", name, list(_NAMED[group]))
        kind = _NAMED[group][name]
    else:
        kind = _FIXED[group]
    _refuse_unknown(f"{group}.", given, [field.name for field in dataclasses.fields(kind)])
    try:
        return kind(**given)
    except SettingError as error:
        raise error.under(group) from None


def _refuse_unknown(prefix: str, given: Mapping[str, Any], known: list[str]) -> None:
    for key, value in given.items():
        if key not in known:
            full, options = f"{prefix}{key}", [f"{prefix}{name}" for name in known]
            raise refuse_choice(full, value, options, typed=full)


def _device(name: object) -> str:
    """Return the device's name, with auto decided."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(name)
