"""What was seen of no use: modules without a call or a gradient, an optimizer that stood still."""

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn

from rnn_exp.probe.modules import modules_that_came, shown
from rnn_exp.probe.updates import Steps

__all__ = ["Doubts"]


class Doubts:
    """Which modules were called, what they returned and whether a gradient came.

    Args:
        model: any module.
        names: of the modules that are recorded.
        steps: of the optimizer that was given; None: none was.
    """

    def __init__(
        self, model: nn.Module, names: Mapping[nn.Module, str], steps: Steps | None
    ) -> None:
        self._model, self._names, self._steps = model, names, steps
        self._seen, self._kept, self._empty, self._reached = (set[nn.Module]() for _ in range(4))

    def has_seen(self, module: nn.Module) -> bool:
        """Say whether a call with a graph was seen."""
        return module in self._seen

    def see(self, module: nn.Module) -> None:
        """Note a call with a graph."""
        self._seen.add(module)

    def keep(self, module: nn.Module, made: Collection[Tensor]) -> None:
        """Note a call that is recorded, and what it returned with a graph."""
        if made:
            (self._kept if any(each.numel() for each in made) else self._empty).add(module)

    def reach(self, module: nn.Module) -> None:
        """Note that a gradient came."""
        self._reached.add(module)

    def words(self, *, is_bad: bool) -> Iterator[str]:
        """Yield what was of no use.

        Args:
            is_bad: whether a value that is not finite was found, which explains all else.
        """
        if came := modules_that_came(self._model, self._names):
            yield (
                f"{', '.join(came)} came into the model after this recording was made, and is not "
                "in it: make a recording of the model as it is then"
            )
        if is_bad:
            return
        if left := self._shown(self._kept - self._reached):
            yield (
                f"no gradient came to {left}: was there a backward pass inside the `with` block, "
                "and does the loss depend on what it returns?"
            )
        if left := self._shown(self._empty - self._kept):
            yield (
                f"nothing could be recorded of {left}: all that it returned was empty, as of a "
                "batch without sequences, and what is empty has no gradient"
            )
        if left := self._shown(self._names.keys() - self._seen):
            yield (
                f"no call of {left} with a graph was seen: is it frozen, was it called under "
                "no_grad, or not called inside the `with` block? What torch.compile has put into "
                "its graph calls no hooks: let some updates call the model itself, not what "
                "torch.compile returned"
            )
        if self._steps is not None and self._steps.divided_by:
            yield (
                f"all gradients were divided by {self._steps.divided_by:.0f} before a step: if a "
                "GradScaler did it, scaler= takes its factor out of what is recorded"
            )
        if self._steps is not None and not self._steps.made and self._reached:
            yield (
                "the optimizer that was given made no step, so all was recorded as one update: "
                "does another one train the model?"
            )

    def _shown(self, modules: Collection[nn.Module]) -> str:
        return ", ".join(shown(name, each) for each, name in self._names.items() if each in modules)
