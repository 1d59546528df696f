"""What a run is called: a function of the run alone, readable, and safe on every file system.

The name begins with what a reader looks for first: task, length, activation or cell, init and gain,
seed. Every other setting that is not the default follows, shortened as its field says, and the
beginning of the digest ends it: by that two runs that read alike differ, and old names are found.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from rnn_exp.fields import SettingError, as_typed, settings_of, short_of
from rnn_exp.networks import Init, Network
from rnn_exp.tasks import Task
from rnn_exp.training.origins import defaults_of, usual_of

__all__ = ["LONGEST", "SUFFIX", "run_name", "suffix_of"]

LONGEST: Final = 100
"""Characters of the longest name; what does not fit is counted (``-3more-``) or cut (``..``)."""
SUFFIX: Final = re.compile(r"-([0-9a-f]{8})$")
"""How the name of every run ends, in all versions: with the first 8 digits of its digest."""
_FIRST: Final = {"task.length", "network.activation", "network.cell", "init.gain"}
# How long and how often: these differ least within a study, so they are the first to be left out.
_LAST: Final = {"training.updates", "training.batch_size", "recording.every"}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def run_name(
    task: Task, network: Network, init: Init, others: Mapping[str, Any], seed: int, digest: str
) -> str:
    """Return the name of a run, of at most `LONGEST` characters of ``[A-Za-z0-9._-]``.

    Args:
        task: of the run, as the next two.
        network: what the network is.
        init: how its weights are drawn.
        others: the dataclasses of the other groups of settings, by the groups' names.
        seed: of the run.
        digest: of the run.

    Example:
        >>> from rnn_exp.networks.inits import Unit
        >>> from rnn_exp.tasks import Hold
        >>> run_name(Hold(), Network(num_layers=3), Unit(weight=2), {}, 1, "0123456789abcdef")
        'hold-T50-tanh-unit-seed1-weight2-layers3-01234567'
    """
    gain = getattr(init, "gain", None)
    strength = "" if gain is None else _number(gain)
    first = [task.name, f"T{task.length}", _cell_word(network), f"{init.name}{strength}"]
    rest = _changed("init", init, _usual_init(init, task.length)) | _changed("network", network)
    for group, part in {"task": task, **others}.items():
        rest |= _changed(group, part)
    keys = sorted(rest, key=lambda key: key in _LAST)
    begin = "-".join(map(_safe, [*first, f"seed{seed}"])).lstrip("-.")
    return _joined(begin, [_safe(rest[key]) for key in keys], suffix_of(digest))


def suffix_of(digest: str) -> str:
    """Return the part of a digest that names end in."""
    return digest[:8]


def _joined(begin: str, rest: list[str], suffix: str) -> str:
    """Join as many words as a name has room for, and tell how many were left out."""
    for count in range(len(rest), -1, -1):
        more = [f"{len(rest) - count}more"] if count < len(rest) else []
        name = "-".join([begin, *rest[:count], *more, suffix])
        if len(name) <= LONGEST:
            return name
    end = f"..-{suffix}"
    return f"{begin[: LONGEST - len(end)]}{end}"


def _cell_word(network: Network) -> str:
    kind = network.kind
    if kind.only_activation or kind.is_plain:
        return network.activation if kind.is_plain else network.cell
    return f"{network.cell}-{network.activation}"


def _usual_init(init: Init, length: int) -> Init:
    """Return the init by default, with what it takes from the task's length, if it can be had."""
    usual = type(init)()
    try:
        return usual.for_length(length)
    except SettingError:  # too short for that: what the run has was given
        return usual


def _changed(group: str, part: Any, usual: Any = None) -> dict[str, str]:  # noqa: ANN401 - dataclasses
    """Return a word for each setting that is not the default and none of the first ones."""
    before = defaults_of(type(part)) if usual is None else settings_of(usual)
    before |= usual_of(part)
    fields = {field.name: field for field in dataclasses.fields(part)}
    unnamed = {name for name, field in fields.items() if not field.metadata.get("named", True)}
    words = {
        f"{group}.{name}": _word(short_of(fields[name]) if name in fields else name, value)
        for name, value in settings_of(part).items()
        if value != before.get(name) and name not in unnamed
    }
    return {key: word for key, word in words.items() if key not in _FIRST}


def _word(short: str, value: object) -> str:
    """Return a setting in short: ``lr0.1``, ``adam``, ``loss_at_every``, ``stop_when_solved``."""
    if isinstance(value, bool):
        return short if value else f"no_{short}"
    if isinstance(value, int | float):
        return f"{short}{'_' if short[-1:].isdigit() else ''}{_number(value)}"
    text = as_typed(value)
    return f"{short}_{text}" if short else text


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}".replace("e+", "e")


def _safe(text: str) -> str:
    return _UNSAFE.sub("_", text)
