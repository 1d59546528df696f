"""Loading the configuration as Hydra does, and refusing what Hydra would pass over in silence.

The classes are Hydra's own with checks and a few abilities added: byte-order marks, decimal ranges,
studies that are sweeps by what they hold, settings that only some choices of a group have.
`use_own_loader` lets Hydra use them.
"""

import copy
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra as hydra_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import (
    CachingConfigRepository,
    ConfigRepository,
    IConfigRepository,
)
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.grammar import Parser, bare_key, values_of
from rnn_exp._hydra.grids import PAIRED, PARAMS
from rnn_exp._hydra.own_parts import RegistrySource, files_named, with_own_settings
from rnn_exp._hydra.study_files import GROUP, FileSource, LoadedFile, refuse_lost, refuse_unknown
from rnn_exp.fields import SettingError
from rnn_exp.registry import Source, load_plugins, use_files
from rnn_exp.words import from_here

_SECTIONS = ("network", "training", "recording", "evaluation", "page")
# For a primary file that is not made of this package's, such as the one in a run's .hydra.
_CHECK = "+hydra.callbacks.check_before_start._target_=rnn_exp._hydra.job.CheckBeforeStart"

__all__ = ["CheckedLoader", "StudyHydra", "use_own_loader"]


def use_own_loader() -> None:
    """Let Hydra's command line use the classes of this module."""
    hydra_module.Hydra = StudyHydra  # type: ignore[misc]


class Repository(ConfigRepository):
    """Hydra's search path, where no file hides another one that has the same name."""

    def __deepcopy__(self, memo: dict[int, object]) -> "Repository":
        """Return another list of the same sources: Hydra makes a new list, and changes no source.

        One of them has the whole store of Hydra's own configurations in it.
        """
        return copy.copy(self)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Make a source of each folder of the search path."""
        super().initialize_sources(config_search_path)
        self.sources = [
            FileSource(source.provider, source.path) if source.scheme() == "file" else source
            for source in self.sources
        ]
        self.sources.insert(-1, RegistrySource())  # Hydra wants its own to be the last one

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a file's content, None if there is no such file.

        Raises:
            SettingError: if a file further down the search path has the same name.
        """
        found = [source for source in self.sources if source.is_config(config_path)]
        files = [source.file(config_path) for source in found if isinstance(source, FileSource)]
        for file in files:
            if files[0] is not file and files[0].read_bytes() != file.read_bytes():
                group, _, name = config_path.rpartition("/")
                raise SettingError(
                    group or "--config-name",
                    name,
                    f"a name of its own: {from_here(file)} would not be used, but "
                    f"{from_here(files[0])}; rename the file",
                )
        result = super().load_config(config_path)
        if result is not None:
            with_own_settings(config_path, result.config)
        return result


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's composition, checked: what a study says is found in the result.

    Attributes:
        files: all that were merged for the last configuration, in their order.
        found: where the files of the last configuration were looked for.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = Repository(config_search_path)
        self.found: IConfigRepository = self.repository
        self.files: list[LoadedFile] = []
        self._made: tuple[list[str], tuple[list[Override], CachingConfigRepository]] | None = None

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a configuration.

        A sweep itself is composed with the default choice of each group, which may lack a setting
        that the choices of the sweep have; such settings are then left to its jobs.

        Raises:
            SettingError: for studies that do not take effect.
            ConfigCompositionException: for what Hydra refuses.
        """
        load_plugins()
        self._made = None
        # The command line may add folders to the search path.
        made = self._parse_overrides_and_create_caching_repo(config_name, overrides)
        self.found = made[1]
        words = Parser(self).parse_overrides(overrides)
        self._refuse_no_choices(words)
        self._refuse_several_studies(words)
        if not self._use_files(words):  # else the primary file has more settings than before
            self._made = list(overrides), made
        rest = (run_mode, from_shell, validate_sweep_overrides)
        try:
            return self._compose(config_name, overrides, *rest)
        except ConfigCompositionException:
            kept = [word for word in overrides if not self._is_of_a_choice(word)]
            if run_mode != RunMode.MULTIRUN or kept == overrides:
                raise
            try:
                config = self._compose(config_name, kept, *rest)
            except ConfigCompositionException:
                config = None
            if config is None:
                raise
        self._add_words(config, overrides)
        return config

    def _compose(self, config_name: str | None, words: list[str], *rest: Any) -> DictConfig:  # noqa: ANN401
        self.files = []
        config = super().load_configuration(config_name, words, *rest)
        refuse_unknown(self.files)
        given = [
            word.key_or_group
            for word in Parser(self).parse_overrides(words)
            if not self.found.group_exists(word.key_or_group) or isinstance(word.value(), dict)
        ]
        refuse_lost(config, self.files, given)
        return config

    def _is_of_a_choice(self, word: str) -> bool:
        """Whether a word gives a value to a setting of a group, which another choice may lack."""
        group, dot, _ = bare_key(word).partition(".")
        return bool(dot) and group != "hydra" and self.found.group_exists(group)

    def _add_words(self, config: DictConfig, words: list[str]) -> None:
        """Write down the words of the command line as Hydra does, also those left to the jobs."""
        own = [word for word in Parser().parse_overrides(words) if not word.is_hydra_override()]
        naming = config.hydra.job.config.override_dirname
        config.hydra.overrides.task = [word.input_line for word in own]
        config.hydra.job.override_dirname = get_overrides_dirname(
            own, naming.exclude_keys, naming.item_sep, naming.kv_sep
        )

    def _refuse_no_choices(self, words: Sequence[Override]) -> None:
        """Refuse a value where a group has a name, and where a section has settings."""
        for word in words:
            key, value = word.key_or_group, word.value()
            if word.is_delete() or word.is_sweep_override() or isinstance(value, (dict, list)):
                continue
            typed = word.get_value_string()
            if self.found.group_exists(key) and not isinstance(value, str):
                options = self.found.get_group_options(key)
                raise SettingError(key, typed, f"one of {', '.join(options)}")
            if key == GROUP and isinstance(value, str) and re.search(r"\.yaml$|\.\.", value):
                # The sweep's folder is called so: outputs/decay.yaml.
                name = value.removesuffix(".yaml").rpartition("/")[2]
                raise SettingError(GROUP, typed, f"a name without a path: {GROUP}={name}")
            if key in _SECTIONS:
                from rnn_exp.training.keys import section_error

                raise section_error(key, typed)

    def _refuse_several_studies(self, words: Sequence[Override]) -> None:
        """Refuse several studies at once, if they have grids or other settings of Hydra's."""
        chosen = [self._studies(word) for word in words]
        names = list(dict.fromkeys(name for named, _ in chosen for name in named))
        own = [found for _, contents in chosen for found in contents if "hydra" in found]
        is_list = any(
            word.key_or_group == GROUP and isinstance(word.value(), list) for word in words
        )
        if len(names) > 1 and (own or is_list):
            each = " && ".join(f"rnn-exp {GROUP}={name}" for name in names)
            raise SettingError(
                GROUP, ",".join(names), f"one study, since each has its own grid: {each}"
            )

    def _studies(self, word: Override) -> tuple[list[str], list[Any]]:
        """Return the names of the studies that a word chooses, and what those say that there are.

        Args:
            word: any word of the command line.
        """
        if word.key_or_group != GROUP or word.is_delete():
            return [], []
        value = word.value()
        names = list(map(str, value)) if isinstance(value, list) else values_of(word)
        found = [self.found.load_config(f"{GROUP}/{name}") for name in names]
        return names, [result.config for result in found if result is not None]

    def _use_files(self, words: Sequence[Override]) -> list[Source]:
        """Run the files of users that the command line and its studies ask for; return these."""
        studies = [study for word in words for study in self._studies(word)[1]]
        own = [source for source in self.found.get_sources() if source.provider == "command-line"]
        folders = [Path(source.path) for source in own if isinstance(source, FileSource)]
        return use_files(files_named(words, studies), folders)

    def _load_single_config(self, default: ResultDefault, repo: IConfigRepository) -> ConfigResult:
        result = repo.load_config(str(default.config_path))
        if result is not None:
            self.files.append(LoadedFile.of(default, result))
        return super()._load_single_config(default, repo)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        known, self._made = self._made, None
        if known is not None and known[0] == overrides:  # Hydra asks for what was just made
            return known[1]
        parsed = Parser().parse_overrides(overrides)
        repository = CachingConfigRepository(self.repository)
        with warnings.catch_warnings():  # Hydra warns of a folder that is not there
            warnings.simplefilter("ignore", UserWarning)
            self._process_config_searchpath(config_name, parsed, repository)
        for source in repository.get_sources():
            if not source.available():
                raise SettingError("hydra.searchpath", source.full_path(), "folders that there are")
        return parsed, repository


class StudyHydra(Hydra):
    """Hydra's command line, in which a study is a sweep if it has a grid, whatever its mode."""

    @classmethod
    def create_main_hydra2(
        cls, task_name: str, config_search_path: ConfigSearchPath
    ) -> "StudyHydra":
        """Return Hydra with the loader of this module."""
        hydra = cls(task_name=task_name, config_loader=CheckedLoader(config_search_path))
        GlobalHydra.instance().initialize(hydra)
        return hydra

    def get_mode(self, config_name: str | None, overrides: list[str]) -> RunMode | None:
        """Return the mode that the configuration asks for; None: what the command line says.

        Args:
            config_name: of the primary file.
            overrides: words of the command line; the mode is added to them, as Hydra does itself.

        Raises:
            SettingError: if a single run is asked for by name, and there is a grid.
        """
        try:
            config = self.compose_config(
                config_name,
                overrides,
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
                validate_sweep_overrides=False,
            )
        except SettingError:
            raise
        except Exception:  # Hydra composes once more, and raises it then
            return None
        if "check_before_start" not in (config.hydra.callbacks or {}):
            overrides.append(_CHECK)
        mode: RunMode | None = config.hydra.mode
        grids = [key for key in (PARAMS, PAIRED) if OmegaConf.select(config, key)]
        if not grids or mode == RunMode.MULTIRUN:
            return mode
        if any(bare_key(word) == "hydra.mode" for word in overrides):
            without = " ".join(f"{key}=null" for key in grids)
            raise SettingError(
                "hydra.mode", "RUN", f"MULTIRUN, since there is a grid; one run: {without}"
            )
        overrides.append("hydra.mode=MULTIRUN")
        return RunMode.MULTIRUN
