"""A run: one network, one seed, one configuration, as a frozen value.

Settings that are each possible but make no sense together are refused when a run is made. What a
machine has (a GPU) is no matter of the run: it is asked where the run trains. `run_from` turns
nested plain values, as composed from conf/, into a `Run`.
"""

import dataclasses
import functools
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rnn_exp.fields import SettingError, as_typed, check, choice_error, settings_of, whole
from rnn_exp.networks import INITS, Init, Network
from rnn_exp.networks.inits import Gaussian
from rnn_exp.registry import Source, SourceText, load_plugins
from rnn_exp.schema import AUTO, ENGINE, KERNEL, decisive
from rnn_exp.tasks import TASKS, Adding, Task
from rnn_exp.tasks.files import FileTask
from rnn_exp.training import labels
from rnn_exp.training.naming import run_name
from rnn_exp.training.origins import defaults_of, own_defaults, sources_of, use_words, usual_of
from rnn_exp.training.refusals import refusals_of
from rnn_exp.training.settings import Evaluation, Recording, Training

__all__ = ["Run", "nested", "run_from"]


@dataclasses.dataclass(frozen=True)
class Run:
    """One network, one seed, one configuration.

    Args:
        task: what is to be learnt.
        network: what the network is.
        init: how its weights are drawn.
        training: how it is trained.
        recording: what is recorded, and when.
        seed: from which every draw of the run follows.
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: CUDA where the run trains, if there is
            one. It decides no result and is no part of the digest.
        note: a line about the run for whoever reads its results. Two runs that differ in nothing
            but note and tags are equal and have one digest.
        tags: words by which to find it again, a list.
        evaluation: on what it is tested, and when.

    Raises:
        SettingError: for a value that is not allowed, or settings that exclude each other.
    """

    task: Task = dataclasses.field(default_factory=Adding)
    network: Network = dataclasses.field(default_factory=Network)
    init: Init = dataclasses.field(default_factory=Gaussian)
    training: Training = dataclasses.field(default_factory=Training)
    recording: Recording = dataclasses.field(default_factory=Recording)
    seed: int = whole(0, most=2**128 - 1)
    device: str = "cpu"
    note: str | None = labels.note()
    tags: Sequence[str] | None = labels.tags()
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        object.__setattr__(self, "note", labels.plain_note(self.note))
        object.__setattr__(self, "tags", labels.plain_tags(self.tags))
        check(self)
        object.__setattr__(self, "init", self.init.for_length(self.task.length))
        object.__setattr__(self, "network", self.network.decided(self.device))
        for key, value, reason in refusals_of(self):
            raise SettingError(key, value, reason)
        _ = self.sources  # those of now: a file may be run again later

    def settings(self) -> dict[str, Any]:
        """Return every setting under its configuration key: ``{"task.length": 50, …}``."""
        groups = ("task", "network", "init", "training", "recording", "evaluation")
        parts = _flat({group: getattr(self, group) for group in groups})
        words = {"task": self.task.name, "init": self.init.name}
        return words | parts | {"seed": self.seed, "device": self.device}

    @functools.cached_property
    def digest(self) -> str:
        """16 hex digits of what decides the results: all settings but device and paths of files.

        A setting that came after the first digests were given counts where it is not the default.
        Of what is no part of this package the source counts as well: its name, version and hash;
        and of kernels their version.
        """
        own = {what: source.identity for what, source in self.sources.items()}
        decides = decisive(self.settings()) | ({"sources": own} if own else {})
        if self.network.by_kernels:
            decides |= {"kernel": KERNEL.version}
        what = json.dumps(decides, sort_keys=True)
        return hashlib.sha256(what.encode()).hexdigest()[:16]

    @functools.cached_property
    def sources(self) -> dict[str, Source]:
        """Where those of its parts come from that are none of this package, by ``task=mine``."""
        return sources_of(self.task, self.network, self.init, self.training)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Say how another process makes this run: with the sources of what it needs."""
        if not self.sources:
            return super().__reduce__()
        texts = [SourceText.of(source) for source in dict.fromkeys(self.sources.values())]
        described = nested(self.settings()) | {"note": self.note, "tags": self.tags}
        if isinstance(self.task, FileTask):  # the other process may work in another folder
            described["task"]["file"] = str(self.task.source.paths[0])
        return _run_elsewhere, (texts, described, self.digest)

    @functools.cached_property
    def name(self) -> str:
        """The folder's name: every setting that is not the default in short, and the digest.

        Example:
            >>> Run(seed=3).name.startswith("adding-T30-tanh-gaussian0.8-seed3-")
            True
        """
        others = {group: getattr(self, group) for group in ("training", "recording", "evaluation")}
        return run_name(self.task, self._as_planned, self.init, others, self.seed, self.digest)

    @property
    def _as_planned(self) -> Network:
        """The network with ``engine=auto`` where that is decided as this run has it."""
        asked = dataclasses.replace(self.network, engine=AUTO)
        return asked if asked.decided(self.device) == self.network else self.network

    @functools.cached_property
    def command(self) -> str:
        """The shell command that makes this run: what is not the default, its note and tags.

        Example:
            >>> Run(init=Gaussian(gain=1.5), seed=2).command
            'rnn-exp init.gain=1.5 seed=2'
        """
        settings = self.settings()
        # Not those of a run: an init may ask for another network than the usual one.
        usual = dict(_usual_settings())
        for group, part in (("task", self.task), ("init", self.init)):
            usual |= {f"{group}.{key}": value for key, value in defaults_of(type(part)).items()}
        for group in _FIXED:
            own = usual_of(getattr(self, group))
            usual |= {f"{group}.{name}": value for name, value in own.items()}
        settings |= {ENGINE: self._as_planned.engine}
        usual |= {ENGINE: AUTO}
        changed = [
            f"{key}={labels.as_word(value)}"
            for key, value in settings.items()
            if value != usual.get(key)
        ]
        words = [*use_words(self.sources), *changed, *labels.label_words(self.note, self.tags)]
        return " ".join(["rnn-exp", *(shlex.quote(word) for word in words)])


def run_from(config: Mapping[str, Any]) -> Run:
    """Return the run that a configuration describes.

    Args:
        config: nested plain values: groups ``task``, ``network``, ``init``, ``training`` and
            ``recording``, of which task and init have a ``name``; ``seed`` and ``device``; the
            group ``evaluation``, ``note`` and ``tags``, which may be missing.

    Raises:
        SettingError: naming the first key that is unknown, missing or has a value not allowed.
    """
    load_plugins()
    groups = [*_NAMED, *_FIXED]
    _refuse_unknown("", config, [*groups, *_PLAIN], "")
    parts: dict[str, Any] = {}
    for group in groups:
        given = config.get(group, _MISSING.get(group))
        if not isinstance(given, Mapping):
            raise SettingError(group, given, "a group of settings")
        parts[group] = _part(group, dict(given))
    parts |= {key: config.get(key) for key in _PLAIN}
    parts["device"] = as_typed(parts["device"])  # null is refused as it is typed
    return Run(**parts)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run as a configuration has them, in groups.

    Args:
        settings: every setting under its key, as `Run.settings` gives them.
    """
    config: dict[str, Any] = {group: {} for group in _NAMED}
    for key, value in settings.items():
        group, _, name = key.rpartition(".")
        if key in _NAMED:  # the word that chooses a task or an init
            config[key]["name"] = value
        elif group:
            config.setdefault(group, {})[name] = value
        else:
            config[name] = value
    return config


def _run_elsewhere(texts: Sequence[SourceText], config: Mapping[str, Any], digest: str) -> Run:
    """Make a run in a process that may not have run its sources yet.

    Raises:
        SettingError: if the process has another version of them.
    """
    for text in texts:
        text.load()
    run = run_from(config)
    if run.digest != digest:
        raise SettingError("use", ", ".join(map(str, run.sources.values())), "the same everywhere")
    return run


@functools.cache
def _usual_settings() -> Mapping[str, Any]:
    """Return the settings of a run of which nothing is said."""
    return Run().settings()


_NAMED: dict[str, Mapping[str, type]] = {"task": TASKS, "init": INITS}
_PLAIN = ("seed", "device", "note", "tags")
_FIXED: dict[str, type] = {
    "network": Network,
    "training": Training,
    "recording": Recording,
    "evaluation": Evaluation,
}
_MISSING: dict[str, Mapping[str, Any]] = {"evaluation": {}}  # of before


def _part(group: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the dataclasses
    if group in _NAMED:
        name = given.pop("name", None)
        if name not in list(_NAMED[group]):
            raise choice_error(f"{group}.name", name, list(_NAMED[group]))
        kind, chosen = _NAMED[group][name], f" with {group}={name}"
    else:
        kind, chosen = _FIXED[group], ""
    names = [field.name for field in dataclasses.fields(kind) if field.name != "more"]
    own = own_defaults(group)
    more = {key: given.pop(key) for key in own if key in given}
    _refuse_unknown(f"{group}.", given, [*names, *own], chosen)
    if own:
        given["more"] = {key: value for key, value in more.items() if value is not None}
    try:
        return kind(**given)
    except SettingError as error:
        raise error.under(group) from None


def _refuse_unknown(prefix: str, given: Mapping[str, Any], known: list[str], end: str) -> None:
    for key, value in given.items():
        if key not in known:
            full, options = f"{prefix}{key}", [f"{prefix}{name}" for name in known]
            allowed = choice_error(full, value, options, typed=full).allowed
            raise SettingError(full, value, allowed + ("" if "did you mean" in allowed else end))


def _flat(parts: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of groups under their configuration keys."""
    return {
        f"{group}.{key}": value
        for group, part in parts.items()
        for key, value in settings_of(part).items()
    }
