"""Grids: the jobs that a command line and the settings of a sweeper ask for.

``params`` is a grid, ``paired`` a list of grids; each grid of the list is trained with the whole of
``params``, so that ``paired`` is a union. The command line wins over both.
"""

import itertools
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from rnn_exp._hydra.command_line import CommandLineError
from rnn_exp._hydra.grammar import Parser, bare_key, refuse_lists, values_of
from rnn_exp.fields import SettingError, as_typed

__all__ = ["PAIRED", "PARAMS", "jobs_of", "jobs_of_sweeper", "union_of"]

PARAMS, PAIRED = "hydra.sweeper.params", "hydra.sweeper.paired"
_MANY, _MOST = 20_000, 200_000  # runs of a sweep: say how many; refuse

Axes = dict[str, list[str]]


def jobs_of(
    words: Sequence[str], params: object, paired: object, loader: ConfigLoader | None = None
) -> list[list[str]]:
    """Return the words of every job, each job once.

    Args:
        words: of the command line.
        params: a mapping from keys to values: a word as on the command line, or a list.
        paired: a list of such mappings; None: one that is empty.
        loader: finds the names that a ``glob`` stands for.

    Raises:
        SettingError: for what is no grid, has no values, or is too large.

    Example:
        >>> jobs_of(["seed=0,1"], {"seed": 5}, [{"init": "torch"}, {"init.gain": [0.5, 1]}])
        ... # doctest: +NORMALIZE_WHITESPACE
        [['init=torch', 'seed=0'], ['init=torch', 'seed=1'],
         ['init.gain=0.5', 'seed=0'], ['init.gain=0.5', 'seed=1'],
         ['init.gain=1', 'seed=0'], ['init.gain=1', 'seed=1']]
    """
    refuse_lists(words)
    parser = Parser(loader)
    typed = {word.get_key_element(): values_of(word) for word in parser.parse_overrides([*words])}
    given = {bare_key(key) for key in typed}
    grid = _axes(parser, PARAMS, params or {})
    combinations = [_axes(parser, PAIRED, pair) for pair in _combinations(paired)]
    _refuse_twice(grid, combinations, given)
    grid = {
        key: typed.get(key, values)
        for key, values in grid.items()
        if key in typed or bare_key(key) not in given
    }
    grids = []
    for pair in combinations:
        own = {k: v for k, v in pair.items() if bare_key(k) not in given}
        grids.append({**own, **{k: v for k, v in grid.items() if k not in own}, **typed})
    _refuse_many(sum(math.prod(map(len, axes.values())) for axes in grids))
    jobs = itertools.chain.from_iterable(map(_product, grids))
    return [list(job) for job in dict.fromkeys(jobs)]


def _refuse_twice(
    grid: Mapping[str, list[str]], combinations: Sequence[Mapping[str, list[str]]], given: set[str]
) -> None:
    """Refuse a key of params that stands in all of paired too, so that no run has its values."""
    pairs = [{bare_key(key) for key in pair} for pair in combinations]
    for key in grid:
        if bare_key(key) not in given and all(bare_key(key) in pair for pair in pairs):
            allowed = f"what is not in all of {PAIRED} as well: write {key} in one of them"
            raise SettingError(PARAMS, key, allowed)


def jobs_of_sweeper(
    words: Sequence[str],
    settings: DictConfig,
    loader: ConfigLoader | None = None,
    hydra_words: Sequence[str] = (),
) -> list[list[str]]:
    """Return the words of every job of a sweep.

    Args:
        words: of the command line.
        settings: of the sweeper, as they are in the configuration.
        loader: finds the names that a ``glob`` stands for.
        hydra_words: the words of the command line that are Hydra's settings.

    Raises:
        SettingError: for what is no grid, has no values, or is too large.
    """
    size = settings.get("max_batch_size")
    if size is not None and (not isinstance(size, int) or size is True or size < 1):
        allowed = "a whole number of at least 1 or null"
        raise SettingError("hydra.sweeper.max_batch_size", size, allowed)
    resolved: Any = OmegaConf.to_container(settings, resolve=True)
    raw: Any = OmegaConf.to_container(settings, resolve=False)
    params, paired = (_of_each_job(resolved.get(k), raw.get(k)) for k in ("params", "paired"))
    _refuse_typed_twice(words, hydra_words, params, paired)
    return jobs_of(words, params, paired, loader)


def _refuse_typed_twice(
    words: Sequence[str], hydra_words: Sequence[str], params: object, paired: object
) -> None:
    """Refuse a key that one command gives both as a word and in a grid: which one is meant?

    Raises:
        SettingError: for an empty grid.
        CommandLineError: with both places.
    """
    typed, given = {bare_key(word) for word in hydra_words}, {bare_key(word) for word in words}
    pairs = paired if isinstance(paired, list) else []
    for word in Parser().parse_overrides([*hydra_words]) if params else ():
        if word.key_or_group == PARAMS and word.value() == {}:
            mend = "null, which takes the grid away, or a grid; {} adds nothing to it"
            raise SettingError(PARAMS, "{}", mend)
    grids = [(PARAMS, params), *((PAIRED, pair) for pair in pairs)]
    for name, grid in grids:
        keys = _flat(name, grid) if isinstance(grid, Mapping) else ()
        twice = given & {bare_key(str(key)) for key in keys}
        if name in typed and twice:
            key = min(twice)
            typed_as = next(each for each in words if bare_key(each) == key)
            raise CommandLineError(
                f"{key} is typed twice, in {name} and as {typed_as}; leave one out"
            )


def _of_each_job(resolved: Any, raw: Any) -> Any:  # noqa: ANN401 - values of a configuration
    """Return values of a grid in which an interpolation of a run's setting is left to each run."""
    if isinstance(resolved, Mapping):
        return {key: _of_each_job(value, raw[key]) for key, value in resolved.items()}
    if isinstance(resolved, list):
        return [_of_each_job(*values) for values in zip(resolved, raw, strict=True)]
    return raw if isinstance(raw, str) and re.search(r"\$\{(?!hydra)[\w.]+\}", raw) else resolved


def union_of(group: str, key: str, values: Iterable[str], able: Mapping[str, bool]) -> str:
    """Return how a union is typed in which only some choices of a group have a key.

    Args:
        group: a group, such as ``init``.
        key: a key of it that not all choices have.
        values: the values of the key.
        able: the choices, and whether each has the key.

    Example:
        >>> union_of("init", "init.gain", ["0.5", "1"], {"torch": False, "gaussian": True})
        "'hydra.sweeper.paired=[{init: torch}, {init: gaussian, init.gain: [0.5, 1]}]'"
    """
    several = list(values)
    value = several[0] if len(several) == 1 else f"[{', '.join(several)}]"
    grids = [
        f"{{{group}: {choice}, {key}: {value}}}" if has else f"{{{group}: {choice}}}"
        for choice, has in able.items()
    ]
    return f"'{PAIRED}=[{', '.join(grids)}]'"


def _combinations(paired: object) -> Sequence[object]:
    if paired is None:
        return [{}]
    if not isinstance(paired, Sequence) or isinstance(paired, str) or not paired:
        raise SettingError(PAIRED, paired, "a list of grids, [{task.length: 10, seed: [0, 1]}, …]")
    return paired


def _axes(parser: Parser, where: str, content: object) -> Axes:
    """Return the values of every key of a grid."""
    texts = [_text(key, value) for key, value in _flat(where, content).items()]
    axes = {word.get_key_element(): values_of(word) for word in parser.parse_overrides(texts)}
    for key in axes:
        if bare_key(key) == "study":
            raise SettingError(f"{where}.study", axes[key], "no study: it has one grid itself")
        if bare_key(key) == "use":
            mend = "what the whole sweep uses: use=[…] outside of its grid"
            raise SettingError(f"{where}.use", ",".join(axes[key]), mend)
        if bare_key(key).partition(".")[0].partition("/")[0] == "hydra":
            raise SettingError(f"{where}.{key}", axes[key], "keys of settings, not of Hydra's own")
    return axes


def _flat(where: str, content: object) -> dict[str, Any]:
    """Return the values of a grid under their full keys; sections become ``section.key``."""
    if not isinstance(content, Mapping):
        raise SettingError(where, content, "{key: value, …}, such as {task.length: [10, 30]}")
    result: dict[str, Any] = {}
    for key, value in content.items():
        if not isinstance(key, str):
            mend = "{key: value, …}, where several values are written [0.5, 1]"
            raise SettingError(where, dict(content), mend)
        inner = _flat(where, value) if isinstance(value, Mapping) else {"": value}
        for below, each in inner.items():
            full = f"{key}.{below}" if below else key
            if bare_key(full) in {bare_key(known) for known in result}:
                mend = f"each key once: {bare_key(full)} is there twice"
                raise SettingError(where, dict(content), mend)
            result[full] = each
    return result


def _text(key: str, value: object) -> str:
    """Return a key of a grid and its values as a word of the command line."""
    if not isinstance(value, (list, tuple)):
        return f"{key}={as_typed(value)}"
    if not value or any(isinstance(each, (list, tuple, Mapping)) for each in value):
        raise SettingError(key, value, "one value, or a list of values: [0.5, 1]")
    return f"{key}={','.join(map(as_typed, value))}"


def _product(axes: Axes) -> Iterable[tuple[str, ...]]:
    """Yield the words of every combination of values."""
    words = [[f"{key}={value}" for value in values] for key, values in axes.items()]
    return itertools.product(*words)


def _refuse_many(count: int) -> None:
    """Refuse more runs than can be planned; say how many there are before a long check.

    Raises:
        SettingError: with the number of runs.
    """
    if count > _MOST:
        raise SettingError("the grid", f"{count:,} runs", f"at most {_MOST:,} in one sweep")
    if count > _MANY:
        print(f"{count:,} runs are checked before the first one starts", file=sys.stderr)
