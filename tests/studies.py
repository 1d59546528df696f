"""Studies as their files say: every run they ask for; and synthetic runs of several recipes."""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.grammar import Parser
from rnn_exp._hydra.job import run_from_config
from rnn_exp.training.run import Run
from tests.tables import Study, run

CONF = Path(__file__).parents[1] / "conf"
Settings = Mapping[str, object]


@functools.cache
def composed(*overrides: str) -> DictConfig:
    """What Hydra's own parser makes of these words of the command line."""
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return hydra.compose("config", list(overrides), return_hydra_config=True)


@functools.cache
def runs_of(name: str) -> list[Run]:
    """Every run of a study: its grid with each of its paired combinations."""
    sweeper = composed(f"study={name}").hydra.sweeper
    words = [f"{key}={value}" for key, value in dict(sweeper.params or {}).items()]
    axes = [
        [(axis.key_or_group, value) for value in axis.sweep_string_iterator()]
        if axis.is_sweep_override()
        else [(axis.key_or_group, axis.get_value_element_as_str())]
        for axis in Parser().parse_overrides(words)
    ]
    combinations: Any = OmegaConf.to_container(sweeper.paired) if sweeper.paired else [{}]
    pairs = [
        [(key, "null" if value is None else str(value)) for key, value in combination.items()]
        for combination in combinations
    ]
    assert len({frozenset(key for key, _ in pair) for pair in pairs}) == 1
    return [_run(name, [*pair, *grid]) for pair in pairs for grid in itertools.product(*axes)]


def _run(name: str, choices: Sequence[tuple[str, str]]) -> Run:
    groups = tuple(f"{key}={value}" for key, value in choices if (CONF / key).is_dir())
    config = _settings(f"study={name}", *groups).copy()
    for key, value in choices:
        if not (CONF / key).is_dir():
            assert OmegaConf.select(config, key, default="missing") != "missing", key
            OmegaConf.update(config, key, _value(f"{key}={value}"))
    return run_from_config(config)


@functools.cache
def _settings(*overrides: str) -> DictConfig:
    """What these words give a run, without Hydra's own settings: most of what is to be copied."""
    config = composed(*overrides)
    found: DictConfig = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    return found


@functools.cache
def _value(word: str) -> Any:
    [parsed] = OverridesParser.create().parse_overrides([word])
    return parsed.value()


PLAIN: Settings = {
    "task": "adding",
    "init": "torch",
    "init.gain": np.nan,
    "network.cell": "rnn",
    "network.parametrization": "free",
    "training.clip_norm": 1.0,
    "training.omega": 0.0,
    "chance_loss": 0.25,
    "chance_error": 0.75,
}


def recipes(
    several: Iterable[Settings],
    loss: Callable[[Settings, int], float],
    lengths: Sequence[int] = (20,),
    seeds: int = 3,
    updates: Sequence[int] = (0, 10, 20, 30, 40, 50),
) -> Study:
    """A study of several settings; ``loss`` of a run (its row) at an update is what it recorded."""
    runs = [
        dict(row, run=f"run-{number}-{length}-{seed}")
        for number, settings in enumerate(several)
        for length in lengths
        for seed in range(seeds)
        for row in [run("tanh", np.nan, length, seed, settings={**PLAIN, **settings})]
    ]
    rows = [
        {"run": row["run"], "update": update, "loss": loss(row, update), "error": 0.5}
        for row in runs
        for update in updates
    ]
    broken = pd.DataFrame(columns=["run", "why"])
    return Study(pd.DataFrame(runs), pd.DataFrame(rows), pd.DataFrame(), broken)
