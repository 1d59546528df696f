"""Refusals: what Hydra, OmegaConf and the file system complain of, in one line that helps."""

import difflib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from rnn_exp.settings import SettingError

__all__ = ["in_one_line"]


def in_one_line(error: BaseException) -> str | None:
    """Return the line to show, or None for an error that is not the user's doing."""
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, SettingError):
            return str(cause)
        if isinstance(cause, MissingConfigException) and cause.options is not None:
            return _unknown_choice(cause)
        if isinstance(cause, (ConfigKeyError, ConfigAttributeError)) and cause.key is not None:
            return _unknown_key(cause)
    for cause in chain:
        if isinstance(cause, OSError):
            where = f"{cause.filename}: " if cause.filename else ""
            return f"{where}{cause.strerror or cause}"
    if isinstance(error, (HydraException, OmegaConfBaseException)) or _comes_from_hydra(error):
        return " ".join(str(error).split())
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it was raised from, the outermost first."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _comes_from_hydra(error: BaseException) -> bool:
    """Say whether Hydra itself raised a plain error (a command line such as ``=3`` does that)."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and "hydra" in Path(frames[-1].filename).parts


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, name = str(error.missing_cfg_file).rpartition("/")
    options = sorted(error.options or [])
    return (
        f"{group}={name} is not there: allowed is one of {', '.join(options)}{_near(name, options)}"
    )


def _unknown_key(error: OmegaConfBaseException) -> str:
    key, parent = str(error.full_key or error.key), error.parent_node
    if not isinstance(parent, DictConfig):
        return " ".join(str(error).split())
    name = key.rpartition(".")[2]
    options = sorted(str(option) for option in parent if option != "hydra")
    prefix = key.removesuffix(name)
    told = ", ".join(f"{prefix}{option}" for option in options)
    typed = next((word for word in sys.argv[1:] if word.lstrip("+~").startswith(key)), key)
    return (
        f"{typed}: there is no such setting; allowed is one of {told}{_near(name, options, prefix)}"
    )


def _near(name: str, options: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, options, n=1)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""
