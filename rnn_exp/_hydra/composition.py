"""Composition: the configuration of every job of a sweep, equal to Hydra's own but sooner.

Hydra composes a configuration by merging the files of the chosen groups (some 60 ms) and then
applies the values of the command line to it (well below 1 ms). The first part is the same for all
jobs with the same choices, so it is done once, and the second on a copy.
"""

import copy
import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf._utils import get_omega_conf_dumper

from rnn_exp._hydra.hydra_settings import refuse_several_folders

__all__ = ["Composer", "HydraFiles", "Word"]


class Word(NamedTuple):
    """A word of the command line.

    Attributes:
        override: the word as Hydra parses it.
        is_choice: whether it chooses from a group, as ``task=adding`` does.
    """

    override: Override
    is_choice: bool

    @property
    def is_plain(self) -> bool:
        """Whether it gives a value to a key that exists, and merges nothing."""
        merges = isinstance(self.override.value(), dict)  # a list replaces what was there
        return self.override.type == OverrideType.CHANGE and not merges


class Composer:
    """Composes the jobs of one sweep.

    Args:
        loader: Hydra's loader.
        master: the configuration of the sweep itself.
    """

    def __init__(self, loader: ConfigLoaderImpl, master: DictConfig) -> None:
        self.loader, self.master = loader, master
        self.last: tuple[list[Any] | None, DictConfig] | None = None
        self.bases: dict[tuple[str, ...], DictConfig] = {}
        self.folder: str = master.hydra.sweep.dir
        own: Any = OmegaConf.to_container(master.hydra.overrides.hydra)
        name = master.hydra.job.config_name
        self.repository = loader._parse_overrides_and_create_caching_repo(name, own)[1]
        self.is_group = functools.cache(self.repository.group_exists)
        self.parse, self.parser = functools.cache(self._parse), OverridesParser.create()

    def compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return the configuration of a job, as ``load_sweep_config`` and a launcher would.

        Args:
            overrides: the job's words of the command line.
            number: its place in the sweep, from 0.

        Raises:
            SettingError: if the job's folder would not be in that of the sweep.
        """
        config = copy.deepcopy(self.base(overrides))
        self._fill(config, overrides, number)
        return config

    def revise(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Return what `compose` does, if possible by changing what was returned here last.

        It is possible if the two jobs give plain values to the same keys, as the jobs of a grid
        do; copying takes most of the time of composing.

        Args:
            overrides: the job's words of the command line.
            number: its place in the sweep, from 0.
        """
        words = [self.parse(word) for word in overrides]
        pattern = None  # what two jobs must have in common
        if all(word.is_choice or word.is_plain for word in words):
            pattern = [
                word.override.input_line if word.is_choice else word.override.key_or_group
                for word in words
            ]
        if pattern is None or self.last is None or self.last[0] != pattern:
            self.last = (pattern, self.compose(overrides, number))
        else:
            self._fill(self.last[1], overrides, number)
        return self.last[1]

    def base(self, overrides: Sequence[str]) -> DictConfig:
        """Return the configuration of a job's group choices alone; it must not be changed."""
        choices = tuple(word for word in overrides if self.parse(word).is_choice)
        if choices not in self.bases:
            self.bases[choices] = self.loader.load_sweep_config(self.master, list(choices))
        return self.bases[choices]

    def keys_of(self, group: str) -> set[str]:
        """Return the settings that the choices of a group have, all together."""
        files = [
            self.repository.load_config(f"{group}/{name}")
            for name in self.repository.get_group_options(group)
        ]
        return {str(key) for file in files if file is not None for key in file.config}

    def _fill(self, config: DictConfig, overrides: Sequence[str], number: int) -> None:
        """Set a job's values, overrides and number in its configuration."""
        words = [self.parse(word) for word in overrides]
        self.loader._apply_overrides_to_config(
            [word.override for word in words if not word.is_choice], config
        )
        hydra = config.hydra
        hydra.overrides.task = list(overrides)
        job, naming = hydra.job, hydra.job.config.override_dirname
        job.override_dirname = get_overrides_dirname(
            [word.override for word in words], naming.exclude_keys, naming.item_sep, naming.kv_sep
        )
        with open_dict(job):
            job.id, job.num = number, number
        OmegaConf.copy_cache(from_config=self.master, to_config=config)
        refuse_several_folders(hydra.sweep, self.folder)
        hydra.sweep.dir = self.folder

    def _parse(self, text: str) -> Word:
        override = _whole_number(text) or self.parser.parse_overrides([text])[0]
        self.loader.validate_sweep_overrides_legal([override], RunMode.RUN, from_shell=True)
        # A dictionary that is given to a group is a value, not a choice.
        is_choice = self.is_group(override.key_or_group) and not isinstance(override.value(), dict)
        return Word(override, is_choice)


class HydraFiles:
    """The files that Hydra writes for a job, as texts.

    Most of what one job has in them the next one has as well, and writing YAML takes long: so the
    text of a section is kept for as long as the section says the same.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[str, str]] = {}

    def of(self, job: DictConfig) -> dict[str, str]:
        """Return the text of each file under its path in the job's folder, byte for byte Hydra's.

        Args:
            job: its configuration.

        Returns:
            The texts; nothing if ``hydra.output_subdir`` is null.
        """
        folder = job.hydra.output_subdir
        if folder is None:
            return {}
        config: Any = OmegaConf.to_container(job, enum_to_str=True)
        hydra = config.pop("hydra")
        own = [self._text((), key, value) for key, value in config.items()]
        hydras = [self._text(("hydra",), key, value) for key, value in hydra.items()]
        return {
            f"{folder}/config.yaml": "".join(own) or _yaml(config),
            f"{folder}/hydra.yaml": "".join(["hydra:\n", *hydras]),
            f"{folder}/overrides.yaml": _yaml(hydra["overrides"]["task"]),
        }

    def _text(self, above: tuple[str, ...], key: str, value: Any) -> str:  # noqa: ANN401 - plain
        """Return the lines of a section, where it stands below others."""
        said, known = repr(value), self._known.get((*above, key))
        if known is not None and known[0] == said:  # not the values: True is 1
            return known[1]
        nested = {key: value}
        for name in reversed(above):
            nested = {name: nested}
        text = "".join(_yaml(nested).splitlines(keepends=True)[len(above) :])
        self._known[*above, key] = said, text
        return text


def _whole_number(text: str) -> Override | None:
    """Parse ``seed=17`` and the like as Hydra's grammar does, which takes a millisecond for it.

    A sweep over ten thousand seeds has ten thousand such words, and all others in common.
    """
    found = re.fullmatch(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)=(0|[1-9]\d*)", text, re.ASCII)
    if found is None:
        return None
    return Override(
        type=OverrideType.CHANGE,
        key_or_group=found[1],
        value_type=ValueType.ELEMENT,
        _value=int(found[2]),
        input_line=text,
    )


def _yaml(value: Any) -> str:  # noqa: ANN401 - plain values
    """Return what ``OmegaConf.to_yaml`` returns, by the faster libyaml."""
    text: str = yaml.dump(
        value, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_dumper()
    )
    return text


@functools.cache
def _dumper() -> type:
    """Return OmegaConf's dumper on top of libyaml's, if that is installed."""
    omegaconfs = get_omega_conf_dumper()
    if not hasattr(yaml, "CDumper"):
        return omegaconfs

    class Dumper(yaml.CDumper):  # type: ignore[misc,unused-ignore]
        """Quotes texts that look like numbers or truth values, as OmegaConf's does."""

    Dumper.add_representer(str, omegaconfs.str_representer)
    return Dumper
