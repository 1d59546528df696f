"""Theory: what mathematics says of a network before it trains.

`mean_field`, `critical_gain`, `bound_gain` and `norm_bound` speak of wide random networks in their
stationary state, `edge_gain` of such networks on their way there, `log_sizes` and `growth` of cells
that keep part of their gradient,
`correlation_map` and `fixed_correlation` of two sequences in one of them, `spectrum` and
`sum_rule` of Lyapunov exponents, `log10_singular_values` of Jacobians over many steps,
`chain_rule`, `loss_surface` and `saddle_nodes` of a single unit, `predict` of one network under
its own inputs. They are imported when they are first asked for: figures take formulas from here
that need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rnn_exp.theory.correlation import correlation_map as correlation_map
    from rnn_exp.theory.correlation import correlation_slope as correlation_slope
    from rnn_exp.theory.correlation import fixed_correlation as fixed_correlation
    from rnn_exp.theory.directions import log10_singular_values as log10_singular_values
    from rnn_exp.theory.directions import (
        log10_singular_values_of_cell as log10_singular_values_of_cell,
    )
    from rnn_exp.theory.lyapunov import spectrum as spectrum
    from rnn_exp.theory.lyapunov import sum_rule as sum_rule
    from rnn_exp.theory.one_unit import chain_rule as chain_rule
    from rnn_exp.theory.one_unit import loss_surface as loss_surface
    from rnn_exp.theory.one_unit import saddle_nodes as saddle_nodes
    from rnn_exp.theory.prediction import predict as predict
    from rnn_exp.theory.stationary import bound_gain as bound_gain
    from rnn_exp.theory.stationary import critical_gain as critical_gain
    from rnn_exp.theory.stationary import mean_field as mean_field
    from rnn_exp.theory.stationary import norm_bound as norm_bound
    from rnn_exp.theory.transient import edge_gain as edge_gain
    from rnn_exp.theory.two_time import growth as growth
    from rnn_exp.theory.two_time import log_sizes as log_sizes

__all__ = [
    "bound_gain",
    "chain_rule",
    "correlation_map",
    "correlation_slope",
    "critical_gain",
    "edge_gain",
    "fixed_correlation",
    "growth",
    "log10_singular_values",
    "log10_singular_values_of_cell",
    "log_sizes",
    "loss_surface",
    "mean_field",
    "norm_bound",
    "predict",
    "saddle_nodes",
    "spectrum",
    "sum_rule",
]

_PLACES: Final = {
    "stationary": ("bound_gain", "critical_gain", "mean_field", "norm_bound"),
    "correlation": ("correlation_map", "correlation_slope", "fixed_correlation"),
    "directions": ("log10_singular_values", "log10_singular_values_of_cell"),
    "lyapunov": ("spectrum", "sum_rule"),
    "one_unit": ("chain_rule", "loss_surface", "saddle_nodes"),
    "prediction": ("predict",),
    "transient": ("edge_gain",),
    "two_time": ("growth", "log_sizes"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute
    """Import a public name when it is first asked for."""
    for module, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
