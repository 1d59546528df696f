"""``use=[mine.py]`` on the command line and in studies, and choices that no file of settings has.

A file is run before anything is composed, since it may bring the task that is chosen. Where it is
looked for says `registry.used`. Nothing is ever run because a results folder names it.
"""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from rnn_exp.fields import SettingError

__all__ = ["KEY", "RegistrySource", "files_named", "with_own_settings"]

KEY: Final = "use"
_ALLOWED: Final = "a list of Python files, use=[mine.py,other.py]"
_ORIGINS: Final = "rnn_exp.training.origins"
_REGISTRIES: Final = {"task": ("rnn_exp.tasks", "TASKS"), "init": ("rnn_exp.networks", "INITS")}


def files_named(words: Iterable[Override], studies: Sequence[DictConfig | ListConfig]) -> list[str]:
    """Return the files that a command line and its studies ask for, each once.

    Args:
        words: of the command line, parsed.
        studies: what the chosen studies say.

    Raises:
        SettingError: if that is no list of texts, or several lists to choose from.
    """
    named: list[str] = []
    for word in words:
        if word.key_or_group == KEY and not word.is_delete():
            if word.is_sweep_override():
                typed = (word.input_line or "").partition("=")[2]
                raise SettingError(KEY, typed, _ALLOWED)
            named += _texts(word.value())
    for study in studies:
        if isinstance(study, DictConfig) and KEY in study:
            found: Any = OmegaConf.to_container(study)
            named += _texts(found[KEY])
    return list(dict.fromkeys(named))


def _texts(value: object) -> list[str]:
    """Return the paths that a value lists; null: none."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    texts = [each for each in listed if isinstance(each, str)]
    if len(texts) < len(listed):
        raise SettingError(KEY, ",".join(map(str, listed)), _ALLOWED)
    return texts


class RegistrySource(ConfigSource):
    """The tasks and inits that users have registered, as files of settings with their defaults."""

    def __init__(self) -> None:
        super().__init__("rnn-exp", "registry://")

    @staticmethod
    def scheme() -> str:
        """Return the word by which Hydra knows such a source."""
        return "registry"

    def available(self) -> bool:
        """Return that it is there."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Say whether there is something of users in a group."""
        return bool(_own(config_path.rstrip("/")))

    def is_config(self, config_path: str) -> bool:
        """Say whether users have registered this choice of a group."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        return name in _own(group)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the choices of a group."""
        return sorted(_own(config_path)) if results_filter != ObjectType.GROUP else []

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the defaults of a choice, as its dataclass has them."""
        group, _, name = config_path.removesuffix(".yaml").rpartition("/")
        fields = dataclasses.fields(_own(group)[name])
        defaults = {field.name: field.default for field in fields}
        return ConfigResult(
            provider=self.provider,
            path="registry://",
            config=OmegaConf.create({"name": name} | defaults),
            header={"package": None},
        )


def with_own_settings(config_path: str, config: Any) -> None:  # noqa: ANN401 - Hydra's
    """Add the settings of own cells, optimisers and penalties to the primary file, as null.

    Args:
        config_path: of the file.
        config: its content, which is changed.
    """
    if config_path.removesuffix(".yaml") != "config" or _ORIGINS not in sys.modules:
        return
    from rnn_exp.training.origins import own_defaults

    for group in ("network", "training"):
        with open_dict(config):
            for name in own_defaults(group):
                config[group].setdefault(name, None)


def _own(group: str) -> Mapping[str, Any]:
    """Return what users have registered in a group of settings, by name."""
    module, word = _REGISTRIES.get(group, ("", ""))
    if module not in sys.modules:  # so nothing is registered there
        return {}
    registry = getattr(sys.modules[module], word)
    return {name: kind for name, kind in registry.items() if registry.source_of(name, kind)}
