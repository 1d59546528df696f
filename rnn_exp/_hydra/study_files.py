"""What a study file says must be found in what is composed; a file where it is not is refused.

Hydra merges the files of a configuration in silence: a file without a package line lands under the
name of its group, an unknown section is a new one, and a later file overwrites an earlier one.
"""

import copy
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.default_element import ResultDefault
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Container

from rnn_exp.fields import SettingError, as_typed, choice_error
from rnn_exp.words import from_here

__all__ = ["GROUP", "FileSource", "LoadedFile", "refuse_lost", "refuse_unknown"]

GROUP = "study"
FIRST_LINE = "# @package _global_"
_NOTHING = object()
# With zeros before it a number is octal, and with colons it counts in sixties.
_OTHER_NUMBERS = re.compile(r"[-+]?(?:0[0-7_]*[0-7]|[1-9][\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?)")

Place = tuple[str, ...]  # of a setting: ("task", "length")


class FileSource(FileConfigSource):
    """Hydra's folder of files, where a file may begin with a byte-order mark."""

    def file(self, config_path: str) -> Path:
        """Return the path of a file."""
        return Path(self.path) / self._normalize_file_name(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        """Return the content of a file and its header.

        Hydra asks for a file several times, and parsing it takes longer than all else it does.

        Raises:
            OSError: with the file's name, if it is no text.
        """
        found = self.file(config_path).stat()
        as_of = found.st_ino, found.st_mtime_ns, found.st_size
        return copy.deepcopy(_read(self.provider, self.path, config_path, *as_of))

    def read(self, config_path: str) -> ConfigResult:
        """Return what `load_config` does, read from disk."""
        try:
            result = super().load_config(config_path)
        except UnicodeDecodeError as error:
            where = from_here(self.file(config_path))
            raise OSError(f"{where} is not UTF-8: {error.reason} at byte {error.start}") from None
        _refuse_other_numbers(self.file(config_path))
        if result.header["package"] is None:
            with self.file(config_path).open(encoding="utf-8-sig") as text:
                result.header = self._get_header_dict(text.read(512))
        return result


@functools.lru_cache(maxsize=256)
def _read(provider: str, path: str, config_path: str, *as_of: int) -> ConfigResult:
    """Return the content of a file that was last changed then, and was so large."""
    del as_of
    return FileSource(provider, path).read(config_path)


class LoadedFile(NamedTuple):
    """A file of the configuration, as it was before it was merged.

    Attributes:
        name: how it is chosen: ``study/decay``, or ``config``.
        shown: its path, for messages.
        package: where its settings go; empty: they have their own sections.
        settings: its values by their places.
        is_chosen: whether it is the study that was asked for, and none that this builds on. All its
            settings have to take effect.
    """

    name: str
    shown: str
    package: str
    settings: Mapping[Place, Any]
    is_chosen: bool

    @property
    def is_study(self) -> bool:
        """Whether it is a study."""
        return self.name.startswith(f"{GROUP}/")

    def refusal(self, what: str) -> SettingError:
        """Return the refusal of this study, with what it should be."""
        return SettingError(GROUP, self.name.removeprefix(f"{GROUP}/"), what)

    @classmethod
    def of(cls, default: ResultDefault, result: ConfigResult) -> "LoadedFile":
        """Return a file that was loaded.

        Args:
            default: how it is chosen, and where Hydra puts its settings.
            result: what Hydra loaded.

        Raises:
            SettingError: for a study that is no mapping, is empty, or lands in the wrong place.
        """
        name, above = str(default.config_path), f"{GROUP}/"
        content: Any = OmegaConf.to_container(result.config, resolve=False)
        settings = dict(_leaves(content)) if isinstance(content, dict) else {}
        folder = Path(result.path.removeprefix("file://"))
        path = folder / f"{name.removesuffix('.yaml')}.yaml"
        is_chosen = name.startswith(above) and not str(default.parent).startswith(above)
        file = cls(name, str(from_here(path)), default.package or "", settings, is_chosen)
        if file.is_study:
            file._refuse_without_effect(content, bool(result.defaults_list))
        return file

    def _refuse_without_effect(self, content: object, has_defaults: bool) -> None:
        if not isinstance(content, dict):
            raise self.refusal(f"a file of settings (task: …), and {self.shown} is a list")
        if not content and not has_defaults:
            raise self.refusal(f"a file that sets something, and {self.shown} is empty")
        if self.package:
            raise self.refusal(
                f"a file whose first line is '{FIRST_LINE}'; without it the settings in "
                f"{self.shown} have no effect"
            )
        for place, value in self.settings.items():
            if any("." in key for key in (place[:1] if place[0] == "hydra" else place)):
                *sections, last = ".".join(place).split(".")
                nested = f"{{{last}: {as_typed(value)}}}"
                for section in reversed(sections[1:]):
                    nested = f"{{{section}: {nested}}}"
                raise self.refusal(
                    f"a file with sections, {sections[0]}: {nested}, where {self.shown} has "
                    f"{'.'.join(place)}"
                )


def _refuse_other_numbers(file: Path) -> None:
    """Refuse digits that YAML takes for another number: 012 for 10, and 1:30 for 90.

    Args:
        file: one that YAML has read.

    Raises:
        yaml.MarkedYAMLError: with the place of the first one.
    """
    text = file.read_text(encoding="utf-8-sig")
    if not _OTHER_NUMBERS.search(text):  # to scan a file takes long
        return
    with file.open(encoding="utf-8-sig") as stream:
        for token in yaml.scan(stream):
            if isinstance(token, yaml.ScalarToken) and token.plain:
                number = _OTHER_NUMBERS.fullmatch(token.value)
                if number:
                    meant = yaml.safe_load(token.value)
                    why = f"{token.value} is {meant} to YAML; write {meant}, or '{token.value}'"
                    raise yaml.MarkedYAMLError(problem=why, problem_mark=token.start_mark)


def refuse_unknown(files: Sequence[LoadedFile]) -> None:
    """Refuse a study with a section or a setting that the configuration does not have.

    Only the sections that are the same whatever is chosen are looked into.

    Args:
        files: all that are merged, in their order.

    Raises:
        SettingError: with the name of the file, and the nearest word that there is.
    """
    others = [file for file in files if not file.is_study]
    fixed: dict[str, list[str]] = {}  # the settings of each section that no choice changes
    for file in others:
        for place in file.settings if not file.package else ():
            fixed.setdefault(place[0], []).append(".".join(place))
    chosen = {file.package.partition(".")[0] for file in others if file.package}
    sections = sorted({*fixed, *chosen, "hydra"} - {GROUP})
    for file in files:
        for place, value in file.settings.items() if file.is_study else ():
            section, key, known = place[0], ".".join(place), sections
            if section in chosen or section == "hydra":
                continue
            if section in fixed:
                known = fixed[section]
            elif len(place) > 1:
                key, value = section, "{…}"
            if key not in known:
                error = choice_error(key, as_typed(value), known, typed=key)
                raise SettingError(key, as_typed(value), f"{error.allowed}; it is in {file.shown}")


def refuse_lost(config: DictConfig, files: Iterable[LoadedFile], keys: Iterable[str]) -> None:
    """Refuse a study with a setting that is not found in the configuration.

    Args:
        config: composed from the files and the command line.
        files: all that were merged, in their order; a study may build on another one.
        keys: what the command line gives a value, which wins.

    Raises:
        SettingError: with the name of the file, the setting, and what is there in its place.
    """
    said: dict[Place, tuple[Any, LoadedFile]] = {}
    for file in files:
        said |= {place: (value, file) for place, value in file.settings.items() if file.is_chosen}
    given = [tuple(key.replace("/", ".").split(".")) for key in (*keys, "hydra.mode")]
    for place, (value, file) in said.items():
        if any(place[: len(key)] == key or key[: len(place)] == place for key in given):
            continue
        found = _at(config, place)
        if found != value and str(found) != str(value):
            instead = "is not there" if found is _NOTHING else f"is {as_typed(found)}"
            raise file.refusal(
                f"a file whose settings take effect: {'.'.join(place)} is {as_typed(value)} in "
                f"{file.shown}, and {instead} in what would run"
            )


def _leaves(content: Mapping[Any, Any], above: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield the values of nested mappings with their places."""
    for key, value in content.items():
        place = (*above, str(key))
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, place)
        elif value != {}:
            yield place, value


def _at(config: DictConfig, place: Place) -> Any:  # noqa: ANN401 - any value of a configuration
    """Return the value at a place, interpolations unresolved."""
    node: Any = config
    for key in place:
        if not isinstance(node, DictConfig) or key not in (node._content or {}):
            return _NOTHING
        node = node._get_node(key)
    if isinstance(node, Container):
        return OmegaConf.to_container(node, resolve=False)
    return node._value()
