"""rnn-exp: see where the gradient of a recurrent network goes.

``rnn_exp.load(folder)`` reads what runs left behind; everything else is in the modules.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnn_exp.storage.loading import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute
    """Import `load` (and pandas with it) when it is first asked for: the command line is quick."""
    if name == "load":
        from rnn_exp.storage.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
