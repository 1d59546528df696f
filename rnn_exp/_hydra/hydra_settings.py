"""Settings of Hydra's own: each is obeyed or refused by name, before anything is written.

Runs of a sweep share processes, and a single run needs neither launcher nor sweeper. So some
settings could have no effect; what was said and would be passed over is refused here.
"""

import dataclasses
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any

from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnn_exp._hydra.grammar import bare_key, refuse_lists
from rnn_exp._hydra.loader import CheckedLoader
from rnn_exp.fields import SettingError, as_typed, choice_error
from rnn_exp.program import line_of

__all__ = [
    "check_run",
    "check_sweep",
    "is_ours",
    "is_the_same_for_all",
    "naming_the_setting",
    "refuse_folder",
    "refuse_several_folders",
]

_OURS = "hydra_plugins.rnn_exp_plugins."
# Interpolations that are the same for all jobs of a sweep.
_OF_THE_SWEEP = re.compile(
    r"\$\{(hydra\.runtime\.[\w.]+|(now|oc\.env|rnn_exp\.sweep_name):[^{}]*)\}"
)
_MADE_BY_HYDRA = ("hydra.runtime", "hydra.overrides")
_MADE_FOR_EACH_JOB = ("hydra.job.num", "hydra.job.id", "hydra.job.override_dirname")


@contextmanager
def naming_the_setting(key: str, folder: Path) -> Iterator[None]:
    """A context that looks into a folder or makes it, and says by which setting it is another one.

    Args:
        key: the setting.
        folder: the folder.

    Raises:
        SettingError: where the operating system refuses the folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # of this package, and says what to do
            raise
        why = f"a folder that can be made and read ({line_of(error)})"
        raise SettingError(key, str(folder), why) from error


def check_run(config: DictConfig) -> None:
    """Refuse settings that a single run would pass over.

    Args:
        config: composed for a single run.

    Raises:
        SettingError: for the first one, with what to do.
    """
    refuse_lists(_words(config, "task"))
    said = dict(_said(config))
    _refuse_common(config, said)
    refuse_folder("hydra.run.dir", config.hydra.run)
    for key in ("hydra.sweep.dir", "hydra.sweep.subdir"):
        if key in said and "hydra.run.dir" not in said:
            mend = "this for sweeps alone (-m); use hydra.run.dir for a single run"
            raise SettingError(key, said[key], mend)
    if "hydra.launcher.processes" in said and is_ours(config.hydra.launcher):
        _refuse_processes(config.hydra.launcher.processes)
    alone = {
        "hydra.sweeper.max_batch_size": None,
        "hydra.launcher.processes": 1,  # a single run is what that says
        "hydra.launcher.backend": "processes",
        "hydra.launcher.address": None,
    }
    for key, only in alone.items():
        if key in said and said[key] not in (None, only):
            mend = "this for sweeps alone (-m); a single run trains in this process"
            raise SettingError(key, said[key], mend)


def _refuse_processes(processes: Any) -> None:  # noqa: ANN401 - as it came
    """Refuse a number of processes that no sweep can have, though a single run needs none."""
    from rnn_exp.sweeps.pool import Pool

    try:
        Pool(processes=1 if processes is None else processes)
    except SettingError as error:
        raise error.under("hydra.launcher") from None


def check_sweep(config: DictConfig) -> None:
    """Refuse settings that a sweep, or this package's launcher, would pass over.

    Args:
        config: composed for the sweep.

    Raises:
        SettingError: for the first one, with what to do.
    """
    said = dict(_said(config))
    _refuse_common(config, said)
    if "hydra.run.dir" in said and not {"hydra.sweep.dir", "hydra.sweep.subdir"} & set(said):
        mend = "this for a single run alone; use hydra.sweep.dir for a sweep"
        raise SettingError("hydra.run.dir", said["hydra.run.dir"], mend)
    refuse_folder("hydra.sweep.dir", config.hydra.sweep)
    refuse_several_folders(config.hydra.sweep)
    for key in _MADE_FOR_EACH_JOB:
        if key in said:
            raise SettingError(key, said[key], "what Hydra makes of each job")
    if is_ours(config.hydra.launcher):
        _refuse_for_shared_processes(config)


def is_ours(plugin: DictConfig) -> bool:
    """Say whether a launcher or a sweeper is this package's.

    Args:
        plugin: the node ``hydra.launcher`` or ``hydra.sweeper``.
    """
    return str(plugin._target_).startswith(_OURS)


def refuse_several_folders(sweep: DictConfig, folder: str | None = None) -> None:
    """Refuse a sweep's folder that differs from job to job, or is not known before the jobs are.

    Args:
        sweep: the node ``hydra.sweep`` of a sweep or of one of its jobs.
        folder: that of the sweep, if the node is a job's.

    Raises:
        SettingError: with what to do.
    """
    raw = sweep._get_node("dir")._value()  # type: ignore[union-attr]
    own: object = None
    if is_the_same_for_all(raw):
        return
    with suppress(OmegaConfBaseException, SettingError):  # such as a job's number
        own = sweep.dir
    if own is None or folder not in (None, str(own)):
        raise SettingError(
            "hydra.sweep.dir",
            raw,
            "one folder for the whole sweep; use hydra.sweep.subdir for what differs between runs",
        )


def is_the_same_for_all(text: object) -> bool:
    """Whether a text with interpolations is the same for all jobs of a sweep.

    Example:
        >>> is_the_same_for_all("s/${now:%H}"), is_the_same_for_all("s/${network.cell}")
        (True, False)
    """
    before, left = None, str(text)
    while left != before:
        before, left = left, _OF_THE_SWEEP.sub("", left)
    return "${" not in left


def _said(config: DictConfig) -> Iterator[tuple[str, Any]]:
    """Yield the settings of Hydra's that the command line or the study has, with their values."""
    written = {bare_key(word): word.partition("=")[2] for word in _words(config, "hydra")}
    loader = GlobalHydra.instance().config_loader()
    for file in loader.files if isinstance(loader, CheckedLoader) else ():
        if file.is_study:
            written |= {".".join(place): file.settings[place] for place in file.settings}
    for key, text in written.items():
        parent, _, last = key.rpartition(".")
        node = OmegaConf.select(config, parent) if key.startswith("hydra.") else None
        if key.startswith((*_MADE_BY_HYDRA, *_MADE_FOR_EACH_JOB)):
            yield key, text  # Hydra has put its own value there
        elif isinstance(node, DictConfig) and last in list(node):  # `in node` would resolve it
            yield key, OmegaConf.to_container(node, resolve=False)[last]  # type: ignore[call-overload, index]


def _words(config: DictConfig, kind: str) -> list[str]:
    """Return the words of the command line that are of a kind, interpolations unresolved."""
    words: Any = OmegaConf.to_container(config.hydra.overrides, resolve=False)
    return list(words[kind])


def _refuse_common(config: DictConfig, said: Mapping[str, Any]) -> None:
    """Refuse what neither a run nor a sweep can use."""
    for key in said:
        if key.startswith(_MADE_BY_HYDRA):
            raise SettingError(key, said[key], "what Hydra finds out itself; leave it out")
    _refuse_unknown(config)
    for name, option in (("launcher", "rnn_exp"), ("sweeper", "rnn_exp")):
        node = config.hydra.get(name)
        target = node.get("_target_") if isinstance(node, DictConfig) else None
        if not isinstance(target, str):
            mend = f"the name of one: hydra/{name}={option}"
            raise SettingError(f"hydra.{name}", as_typed(node), mend)
        if target.startswith(_OURS):
            known = list(inspect.signature(get_class(target)).parameters)
            for key in node:
                if key not in (*known, "_target_"):
                    options = [f"hydra.{name}.{each}" for each in known]
                    typed = f"hydra.{name}.{key}"
                    raise choice_error(typed, node[key], options, typed=typed)
    folder = config.hydra.output_subdir
    if folder is not None and not may_lie_in_a_run(PurePath(str(folder))):
        mend = "null, or a path within a run's folder, not one that the run itself uses"
        raise SettingError("hydra.output_subdir", folder, mend)


def _refuse_unknown(config: DictConfig) -> None:
    """Refuse a setting that ``+`` adds where Hydra has none of that name."""
    known: Any = OmegaConf.structured(HydraConf)
    for word in _words(config, "hydra"):
        parent, _, last = bare_key(word).partition("hydra.")[2].rpartition(".")
        node = OmegaConf.select(known, parent) if parent else known
        kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
        if kind is None or not dataclasses.is_dataclass(kind):
            continue
        options = [field.name for field in dataclasses.fields(kind)]
        if last and "/" not in last and last not in options:
            key = bare_key(word)
            before = key.removesuffix(last)
            typed = word.partition("=")[2]
            raise choice_error(key, typed, [f"{before}{each}" for each in options], typed=key)


def may_be_a_run(path: PurePath) -> bool:
    """Say whether a run's folder may lie so below its sweep's: in none where no run is looked for.

    Example:
        >>> [may_be_a_run(PurePath(text)) for text in ("T10/s1", "report/1", "../1", "a/.b")]
        [True, False, False, False]
    """
    from rnn_exp.storage.unfinished import FOLDER
    from rnn_exp.storage.walk import REPORT

    names = path.parts
    is_below = bool(names) and not path.is_absolute() and ".." not in names
    return is_below and not any(n in (REPORT, FOLDER) or n[0] == "." or _is_aside(n) for n in names)


def may_lie_in_a_run(path: PurePath) -> bool:
    """Say whether Hydra's files may lie so in a run's folder: beside all that the run has there.

    Example:
        >>> [may_lie_in_a_run(PurePath(text)) for text in (".hydra", "unfinished", "aside-1/a")]
        [True, False, False]
    """
    from rnn_exp.schema import RUN_JSON, TABLES, WEIGHTS
    from rnn_exp.storage.files import LOCK
    from rnn_exp.storage.unfinished import FOLDER
    from rnn_exp.storage.walk import REPORT

    taken = {FOLDER, REPORT, LOCK, RUN_JSON, WEIGHTS, *(table.file for table in TABLES.values())}
    [first] = path.parts[:1] or [""]
    is_within = not path.is_absolute() and ".." not in path.parts
    return is_within and first not in taken and not _is_aside(first)


def _is_aside(name: str) -> bool:
    from rnn_exp.storage.files import ASIDE

    return name.startswith(ASIDE)


def refuse_folder(key: str, node: DictConfig) -> None:
    """Refuse no folder at all, the root of a file system and a user's home.

    Args:
        key: the setting.
        node: that has it as ``dir``.
    """
    raw = node._get_node("dir")._value()  # type: ignore[union-attr]
    if not raw:
        raise SettingError(key, "", "the path of a folder")
    if "${rnn_exp." in str(raw) or not is_the_same_for_all(raw):
        return
    home = os.path.expanduser("~")  # noqa: PTH111 - Path's raises an error where there is none
    with suppress(OmegaConfBaseException):  # it is refused where it is used
        folder = Path(str(node.dir)).resolve()
        if folder in (Path(folder.anchor), Path(home).resolve()):
            raise SettingError(key, raw, "a folder of its own, below this one")


def _refuse_for_shared_processes(config: DictConfig) -> None:
    """Refuse what would have to differ between runs that share a process."""
    job = config.hydra.job
    variables = {"hydra.job.env_copy": list(job.env_copy), "hydra.job.env_set": dict(job.env_set)}
    shared = "in a sweep, whose runs share processes"
    for key, wanted in variables.items():
        if wanted:
            mend = f"nothing {shared}; set it in the shell, or use hydra/launcher=basic"
            raise SettingError(key, wanted, mend)
    if job.chdir:
        raise SettingError(
            "hydra.job.chdir", "true", f"false {shared}; or use hydra/launcher=basic"
        )
