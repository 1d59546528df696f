"""Outcomes that wait for their job: a sweep trains runs together, then each has its Hydra job."""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from rnn_exp.outcome import Outcome

__all__ = ["OUTCOMES"]

OUTCOMES: ContextVar[Mapping[str, Union["Outcome", Exception]]] = ContextVar(
    "outcomes by digest", default=MappingProxyType({})
)
