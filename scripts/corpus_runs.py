"""The small runs that `corpus.py` compares: every two settings that go together meet in one.

A mistake may show only in an LSTM of two layers, or only where truncation meets Adam. All
combinations are too many; all pairs of values fit into some two hundred runs. Runs beside them end
in ways that no pair of settings brings about, or train together.
"""

import functools
import itertools
import json
from collections.abc import Mapping
from typing import Any, Final

from corpus_pairs import Factors, Only, Row, covering

__all__ = ["FACTORS", "RULES", "beside", "files", "rows", "settings"]

Options = Mapping[str, Row]

TASKS: Final[Options] = {
    "adding_arjovsky": {"name": "adding", "length": 11},
    "adding_pascanu": {"name": "adding", "length": 20, "convention": "pascanu"},
    "adding_hochreiter": {"name": "adding", "length": 22, "convention": "hochreiter"},
    "multiplication": {"name": "multiplication", "length": 20},
    "temporal_order_2": {"name": "temporal_order", "length": 10},
    "temporal_order_3": {"name": "temporal_order", "length": 13, "cues": 3},
    "permutation": {"name": "permutation", "length": 10},
    "memorization": {"name": "memorization", "length": 4, "positions": 3, "values": 3},
    "copy": {"name": "copy", "length": 5, "symbols": 3},
    "latch": {"name": "latch", "length": 12},
    "digits": {"name": "digits"},
    "noise": {"name": "noise", "length": 10, "channels": 3},
    "hold": {"name": "hold", "length": 10},
}
INITS: Final[Options] = {
    "gaussian": {"name": "gaussian", "gain": 1.5, "input_scale": 0.5},
    "torch": {"name": "torch"},
    "orthogonal": {"name": "orthogonal"},
    "identity": {"name": "identity", "gain": 0.9},
    "spectral_radius": {"name": "spectral_radius", "gain": 1.2},
    "critical": {"name": "critical"},
    "pascanu_sigmoid": {"name": "pascanu", "variant": "sigmoid"},
    "pascanu_basic_tanh": {"name": "pascanu", "variant": "basic_tanh"},
    "pascanu_smart_tanh": {"name": "pascanu", "variant": "smart_tanh"},
    "forget_bias": {"name": "forget_bias", "bias": 2.0},
    "chrono": {"name": "chrono"},
    "unit": {"name": "unit", "weight": 1.5, "bias": -0.5},
}
LATER: Final = {
    *("uniform", "softsign", "hard_tanh", "leaky_relu", "elu", "gelu", "bias", "more"),
    *("momentum", "nesterov", "weight_decay", "rmsprop_alpha", "adam_beta1", "adam_beta2"),
    *(
        "schedule",
        "schedule_every",
        "schedule_factor",
        "warm_up",
        "jacobian_lags",
        "spectrum_every",
        "auto",
        "kernel",
    ),
}
"""What the commits of before do not know: no row has it, so that they can be compared with."""
REMEDIES: Final[Options] = {
    "none": {},
    "clip_norm": {"training.clip_norm": 0.1},
    "clip_value": {"training.clip_value": 0.02},
    "omega_squared": {"training.omega": 1.0},
    "omega_ratio": {"training.omega": 1.0, "training.omega_form": "ratio"},
    "orthogonality": {"training.orthogonality": 0.1},
    "parametrization": {"network.parametrization": "orthogonal"},
    "truncation": {"training.truncate_every": 3, "training.truncate_back": 5},
    "loss_at_every": {"training.loss_at": "every"},
    "stop_when_solved": {"training.stop_when_solved": True},
    "exponents": {"recording.exponents": 2},
}
FACTORS: Final[Factors] = {
    "task": tuple(TASKS),
    "init": tuple(INITS),
    "remedy": tuple(REMEDIES),
    "network.cell": ("rnn", "leaky", "residual", "normed", "gru", "lstm"),
    "network.activation": ("tanh", "sigmoid", "relu", "identity"),
    "network.hidden_size": (5, 8, 12, 1),
    "network.num_layers": (1, 2),
    "network.initial_state": (0.0, 0.5),
    "network.engine": ("scan", "torch"),
    "network.dtype": ("float32", "float64"),
    "training.optimizer": ("sgd", "adam", "rmsprop"),
    "training.batch_size": (3, 5, 1),
    "recording.every": (1, 2),
    "seed": (0, 1),
}

# What the package refuses, each rule as "with this, only that".
_GATED, _UNGATED = ("gru", "lstm"), ("rnn", "leaky", "residual", "normed")
_NUMBERS = [name for name in TASKS if name.startswith(("adding", "multi", "noise", "hold"))]
_SEVERAL_LENGTHS = ("adding_pascanu", "adding_hochreiter", "multiplication")
_SEVERAL_ANSWERS = ("memorization", "copy")
_ONE_LOSS = [name for name in TASKS if name not in (*_SEVERAL_LENGTHS, *_SEVERAL_ANSWERS)]
_PASCANU = [name for name in INITS if name.startswith("pascanu")]
_SEVERAL_UNITS = [size for size in FACTORS["network.hidden_size"] if size != 1]
RULES: Final = (
    Only("network.cell", _GATED, "network.activation", ["tanh"]),
    Only("init", ["forget_bias", "chrono"], "network.cell", _GATED),
    Only("init", _PASCANU, "network.cell", _UNGATED),
    Only("init", ["unit"], "network.cell", ["rnn"]),
    # Of a gated cell it is refused where its gates vary, which shows when the weights are drawn.
    Only("init", ["critical"], "network.cell", ["rnn", "leaky"]),
    Only("init", ["critical"], "network.hidden_size", _SEVERAL_UNITS),
    Only("init", ["unit"], "network.hidden_size", [1]),
    Only("init", ["unit"], "network.num_layers", [1]),
    Only("init", ["unit"], "task", _NUMBERS),
    Only("remedy", ["parametrization"], "init", ["orthogonal", "identity"]),
    Only("remedy", ["parametrization", "orthogonality"], "network.cell", _UNGATED),
    Only("remedy", ["omega_squared", "omega_ratio", "exponents"], "network.cell", ["rnn"]),
    Only("remedy", ["exponents"], "network.hidden_size", _SEVERAL_UNITS),
    Only("remedy", ["loss_at_every"], "task", _ONE_LOSS),
    Only("remedy", ["truncation"], "network.engine", ["scan"]),
    Only("network.engine", ["torch"], "network.cell", ["rnn", *_GATED]),
    Only("network.engine", ["torch"], "network.activation", ["tanh", "sigmoid", "relu"]),
)

# Rows beside the pairs. What a row does not say is the first value of its factor.
_LONG: Final[Row] = {"task": "latch", "task.length": 60}
_WILD: Final[Row] = {
    **_LONG,
    "network.activation": "relu",
    "training.updates": 12,
    "training.learning_rate": 1.0,
}
# Overflows on the way back alone, for what it reads is next to nothing.
_STEEP: Final[Row] = {
    **_LONG,
    "network.activation": "relu",
    "init": "identity",
    "init.gain": 5.0,
    "init.input_scale": 1e-6,
}
_EASY: Final[Row] = {
    "task": "latch",
    "task.length": 3,
    "task.informative": 2,
    "task.noise": 0.0,
    "training.stop_when_solved": True,
    "training.updates": 40,
    "training.optimizer": "adam",
    "training.learning_rate": 0.05,
}
_FLAT: Final[Row] = {**_LONG, "network.activation": "sigmoid", "init.gain": 0.05}
_LINEAR: Final[Row] = {
    **_LONG,
    "network.activation": "identity",
    "init": "orthogonal",
    "network.dtype": "float64",
}
_UNIT: Final[Row] = {
    "task": "hold",
    "init": "unit",
    "network.hidden_size": 1,
    "network.initial_state": 0.5,
    "network.dtype": "float64",
    "training.updates": 20,
}
_REMEDIES_AT_ONCE: Final[Row] = {
    "task": "latch",
    "training.loss_at": "every",
    "training.truncate_every": 2,
    "training.truncate_back": 4,
    "training.omega": 0.5,
    "training.omega_form": "ratio",
    "training.orthogonality": 0.01,
    "training.clip_norm": 1.0,
    "training.clip_value": 0.05,
    "training.updates": 16,
    "recording.exponents": 3,
    "recording.every": 7,
}
_TOGETHER: Final[Row] = {
    "network.num_layers": 2,
    "training.optimizer": "adam",
    "training.clip_norm": 0.5,
}


def beside() -> dict[str, list[Row]]:
    """Return the rows that the pairs do not bring about, by what they are there for."""
    cells, dtypes = FACTORS["network.cell"], FACTORS["network.dtype"]
    layers, optimizers = FACTORS["network.num_layers"], FACTORS["training.optimizer"]
    tasks = ("adding_pascanu", "copy")
    return {
        "diverged_forward": _each(_WILD, {"network.dtype": dtypes, "seed": range(4)}),
        "diverged_backward": _each(_STEEP, {"seed": range(3)}),
        "solved": _each(_EASY, {"network.cell": ["rnn", "lstm"], "seed": range(4)}),
        "vanished": _each(_FLAT, {"network.cell": ["rnn", "normed"], "network.dtype": dtypes}),
        "linear_orthogonal": _each(_LINEAR, {"network.num_layers": layers}),
        "one_unit": _each(_UNIT, {"network.activation": FACTORS["network.activation"]}),
        "one_step": _each({"task": "noise", "task.length": 1}, {"network.cell": cells}),
        "remedies_at_once": _each(_REMEDIES_AT_ONCE, {"training.optimizer": optimizers}),
        "together": _each(_TOGETHER, {"task": tasks, "network.cell": cells, "seed": range(3)}),
    }


def _each(row: Row, varied: Factors) -> list[Row]:
    """Return a row with each combination of these values; the last key varies fastest."""
    combinations = itertools.product(*varied.values())
    return [{**row, **dict(zip(varied, values, strict=True))} for values in combinations]


def rows() -> dict[str, Row]:
    """Return every row of the corpus under a name of its own, the covering ones first."""
    named = [
        ("-".join(str(row[key]) for key in ("network.cell", "task", "init", "remedy")), row)
        for row in covering(FACTORS, RULES)
    ]
    named += [(name, row) for name, several in beside().items() for row in several]
    return {f"{number:03d}-{name}": row for number, (name, row) in enumerate(named)}


def settings(row: Row) -> dict[str, Any]:
    """Return what a row asks of the package, in the groups of its configuration.

    Example:
        >>> settings({"task": "copy", "init.gain": 2.0})["init"]
        {'name': 'gaussian', 'gain': 2.0, 'input_scale': 0.5}
    """
    given = {key: values[0] for key, values in FACTORS.items()} | {"training.updates": 4, **row}
    task, init, remedy = (str(given.pop(key)) for key in ("task", "init", "remedy"))
    if given["network.cell"] in ("leaky", "residual"):
        given["network.leak"] = 0.3
    result: dict[str, Any] = {"task": dict(TASKS[task]), "init": dict(INITS[init])}
    for key, value in {**REMEDIES[remedy], **given}.items():
        group, _, name = key.rpartition(".")
        place = result.setdefault(group, {}) if group else result
        place[name] = value
    return result


@functools.cache
def files() -> dict[str, str]:
    """Return a study of one run for each row: the text of its file, by the file's path in conf.

    A row is a study of its own: tasks and inits differ in their keys, which the combinations of one
    study must not. One sweep over all of these studies trains them.
    """
    result = {}
    for name, row in rows().items():
        asked = settings(row)
        choices = [{f"override /{group}": asked[group]["name"]} for group in ("task", "init")]
        text = json.dumps({"defaults": choices, **asked}, indent=1)
        result[f"study/{name}.yaml"] = f"# @package _global_\n{text}\n"
    return result
