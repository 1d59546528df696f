"""The run that a composed configuration describes."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from rnn_exp.run import Run

__all__ = ["checkpoint_seconds_of", "run_of", "settings_of"]


def settings_of(config: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """Return a configuration's settings as nested plain values: all but Hydra's and the study."""
    content: Any = config._content
    return {
        str(key): OmegaConf.to_container(node, resolve=resolve) if OmegaConf.is_config(node)
        else config[key] if resolve else node._value()
        for key, node in content.items() if key not in ("hydra", "study")
    }  # fmt: skip


def checkpoint_seconds_of(hydra: Any) -> float:  # noqa: ANN401 - Hydra's own node
    """Return the seconds between two checkpoints of a run alone, whoever the launcher is.

    Raises:
        SettingError: if they are no number of at least 0.
    """
    from rnn_exp.checkpoint import seconds_from

    return seconds_from(hydra.launcher.get("checkpoint_seconds", 60))


def run_of(config: DictConfig) -> "Run":
    """Return the run that a composed configuration describes.

    Raises:
        SettingError: for the first setting that cannot be.
    """
    from rnn_exp.configuration import run_from

    return run_from(settings_of(config, resolve=True))
