r"""Parametrisations: what is trained in the place of W_hh.

``Free`` trains W itself. ``Orthogonal`` trains A, from 0, and the network has

    W = W_0 (1 + S)⁻¹ (1 − S),    S = A − Aᵀ,

which is orthogonal for every A where W_0 is (Helfrich, Willmott & Ye 2018, eq. 3: the scaled Cayley
transform, with W_0 in the place of their signs).
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor

from rnn_exp.networks.matrices import Matrices
from rnn_exp.networks.parameters import Parameters
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = ["PARAMETRIZATIONS", "Free", "Orthogonal", "Parametrization"]

Named = dict[str, Tensor]


@runtime_checkable
class Parametrization(Protocol):
    """What turns the trained numbers into the network's, and gradients back.

    It is made from the parameters that training starts from, and what computes with matrices.
    ``is_orthogonal``: whether W_hh stays orthogonal.
    """

    name: ClassVar[str]
    is_orthogonal: ClassVar[bool]

    def __init__(self, given: Parameters, matrices: Matrices) -> None: ...

    def start(self, given: Float[Tensor, "run size"]) -> Float[Tensor, "run size"]:
        """Return the numbers to be trained of which the given parameters are made."""
        ...

    def network(self, trained: Named) -> Named:
        """Return the network's parameters."""
        ...

    def pull_back(self, trained: Named, gradients: Named) -> Named:
        """Return the gradients by what is trained from those by the network's parameters."""
        ...

    def keep(self, places: Sequence[int]) -> None:
        """Forget all runs but those at these places."""
        ...


class Free:
    """W itself is trained: nothing is in between."""

    name: ClassVar[str] = "free"
    is_orthogonal: ClassVar[bool] = False

    def __init__(self, given: Parameters, matrices: Matrices) -> None:
        del given, matrices

    def start(self, given: Float[Tensor, "run size"]) -> Float[Tensor, "run size"]:
        """Return a copy."""
        return given.clone()

    def network(self, trained: Named) -> Named:
        """Return what was given."""
        return trained

    def pull_back(self, trained: Named, gradients: Named) -> Named:
        """Return what was given."""
        del trained
        return gradients

    def keep(self, places: Sequence[int]) -> None:
        """Do nothing: nothing is kept of any run."""
        del places


class Orthogonal:
    """W_hh of every layer as W_0 times a Cayley transform."""

    name: ClassVar[str] = "orthogonal"
    is_orthogonal: ClassVar[bool] = True

    def __init__(self, given: Parameters, matrices: Matrices) -> None:
        self.shapes, self.matrices = given.shapes, matrices
        self.first = {
            name: view.clone()
            for name, view in given.views().items()
            if name.startswith("weight_hh")
        }

    def start(self, given: Float[Tensor, "run size"]) -> Float[Tensor, "run size"]:
        """Return the given parameters with A = 0 for every W_hh."""
        trained = Parameters(given.clone(), self.shapes)
        views = trained.views()
        for name in self.first:
            views[name].zero_()
        return trained.flat

    def network(self, trained: Named) -> Named:
        """Return the parameters with W made of A."""
        return trained | {
            name: self.matrices.product(first, self.matrices.cayley(trained[name]))
            for name, first in self.first.items()
        }

    def pull_back(self, trained: Named, gradients: Named) -> Named:
        """Return the gradients with ∂L/∂A in the place of ∂L/∂W."""
        result = dict(gradients)
        for name, first in self.first.items():
            of_Q = self.matrices.product(first.mT, gradients[name])
            result[name] = self.matrices.before_cayley(trained[name], of_Q)
        return result

    def keep(self, places: Sequence[int]) -> None:
        """Keep the first weights of the runs that stay."""
        self.first = {name: first[list(places)] for name, first in self.first.items()}


PARAMETRIZATIONS: Registry[type[Parametrization]] = Registry("parametrization")
PARAMETRIZATIONS.register(Free)
PARAMETRIZATIONS.register(Orthogonal)
