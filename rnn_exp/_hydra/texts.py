"""Texts: the files of ``.hydra`` as Hydra writes them, ten times as fast."""

import functools
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_omega_conf_dumper

__all__ = ["texts"]


def texts(job: DictConfig) -> dict[str, str]:
    """Return the text of each file that belongs to a job, under its path in the job's folder."""
    config: Any = OmegaConf.to_container(job, enum_to_str=True)
    hydra = config.pop("hydra")
    return {
        ".hydra/config.yaml": _yaml(config),
        ".hydra/hydra.yaml": _yaml({"hydra": hydra}),
        ".hydra/overrides.yaml": _yaml(hydra["overrides"]["task"]),
    }


def _yaml(value: Any) -> str:  # noqa: ANN401 - plain values
    """Do as ``OmegaConf.to_yaml``, through libyaml."""
    text: str = yaml.dump(
        value, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_dumper()
    )
    return text


@functools.cache
def _dumper() -> type:
    """Return OmegaConf's dumper on top of libyaml's, where there is one."""
    theirs = get_omega_conf_dumper()
    if not hasattr(yaml, "CDumper"):
        return theirs

    class Dumper(yaml.CDumper):  # type: ignore[misc,unused-ignore]
        """Quotes texts that look like numbers or truth values, as OmegaConf's does."""

    Dumper.add_representer(str, theirs.str_representer)
    return Dumper
