"""Names for tensor shapes in signatures, and the axis letters used everywhere.

Index legend: ``time`` (T), ``run`` (R, networks trained side by side), ``batch`` (B, sequences),
``hidden`` (H), ``input`` (I), ``output`` (O). The shapes are checked in the tests only, so
jaxtyping is not needed to run an experiment.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped
else:
    try:
        from jaxtyping import Float, Shaped
    except ModuleNotFoundError:

        class _Unchecked:
            """Stands in for a jaxtyping type: ``Float[Tensor, "time"]`` is just ``Tensor``."""

            def __class_getitem__(cls, item: Any) -> Any:  # noqa: ANN401 - any array type
                return item[0]

        Float = Shaped = _Unchecked

__all__ = ["Float", "Shaped"]
