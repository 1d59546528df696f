"""Lengths: what most tasks say of their time steps."""

__all__ = ["OneLength"]


class OneLength:
    """A task with ``length`` time steps in every sequence, and one answer, at the last of them."""

    length: int

    @property
    def steps(self) -> int:
        """T, the number of time steps."""
        return self.length

    @property
    def shortest(self) -> int:
        """T: no sequence is shorter."""
        return self.steps

    @property
    def answers(self) -> int:
        """One."""
        return 1
