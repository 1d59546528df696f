"""Which modules of a model are recorded, and why some cannot be: said before training."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import nn

from rnn_exp.probe.hooks import watch_gradient
from rnn_exp.probe.torch_names import in_transform, is_batched
from rnn_exp.words import listing

__all__ = [
    "FUSED",
    "RecorderError",
    "StepsOf",
    "called_modules",
    "fused_modules",
    "modules_that_came",
    "names_for_steps",
    "paths_of",
    "refuse_call",
    "refuse_gradient",
    "refuse_hidden",
    "refuse_other",
    "shown",
]

StepsOf = str | Iterable[str] | Mapping[str, str | int | None]
"""Names of modules that are called once a time step, alone or with the place of their state."""
FUSED: Final = (nn.RNN, nn.GRU, nn.LSTM)
"""The modules that compute all time steps in one call."""


class RecorderError(ValueError):
    """What cannot be recorded exactly: which module, why, and what to do instead."""


def refuse_other(model: object, optimizer: object, scaler: object) -> None:
    """Refuse what is no model, no optimizer or no scaler, in one line that says what came.

    Raises:
        RecorderError: for such a thing.
    """
    if not isinstance(model, nn.Module):
        raise RecorderError(
            f"model: {_what(model)} came, and what is allowed is a module, an instance of "
            f"torch.nn.Module{_instead(model)}"
        )
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise RecorderError(
            f"optimizer: {_what(optimizer)} came, and what is allowed is one "
            "torch.optim.Optimizer: that whose step ends an update"
        )
    if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
        raise RecorderError(
            f"scaler: {_what(scaler)} came, and what is allowed is a torch.amp.GradScaler"
        )


def _what(came: object) -> str:
    if isinstance(came, type):
        return f"the class {came.__name__}"
    if inspect.isroutine(came):
        return f"the function {came.__name__}"
    return "None" if came is None else f"a value of type {type(came).__name__}"


def _instead(came: object) -> str:
    if isinstance(came, type) and issubclass(came, nn.Module):
        return ": make one of it first"
    if isinstance(getattr(came, "__self__", None), nn.Module):
        return ": give the model, not a method of it"
    if isinstance(came, list | tuple | Mapping):
        return ": put several into an nn.ModuleList, or nn.ModuleDict"
    if isinstance(came, torch.optim.Optimizer):
        return ": the model comes first, then optimizer=…"
    return ""


def fused_modules(model: nn.Module) -> dict[nn.Module, str]:
    """Return the nn.RNN, nn.GRU and nn.LSTM inside a model, with their names.

    Args:
        model: any module.

    Raises:
        RecorderError: for one that cannot be recorded exactly.
    """
    found: dict[nn.Module, str] = {
        each: name for name, each in model.named_modules() if isinstance(each, FUSED)
    }
    for name, each in model.named_modules():
        if isinstance(each, nn.DataParallel) and len(each.device_ids) > 1:
            raise RecorderError(
                f"{shown(name, each)} cannot be recorded: it calls copies of its module on "
                f"{len(each.device_ids)} GPUs; use DistributedDataParallel"
            )
    for module, name in found.items():
        if isinstance(module, FUSED) and (why := _refusal(module)):
            raise RecorderError(f"{shown(name, module)} cannot be recorded: {why}")
    return found


def paths_of(steps_of: object) -> dict[str, str | int | None]:
    """Return the names of step modules, with the place of the state in what each returns, as typed.

    Args:
        steps_of: names; or with each the place of its state: a number, a key, a path such as "1.0".

    Raises:
        RecorderError: for what is no name, or no place.
    """
    given = steps_of if isinstance(steps_of, Mapping) else dict.fromkeys(_names(steps_of))
    found: dict[str, str | int | None] = {}
    for name, place in given.items():
        if not isinstance(name, str):
            raise RecorderError(
                f"steps_of: a {type(name).__name__} came, and what is allowed are names of modules "
                "(model.named_modules()), such as steps_of=['cell']"
            )
        if place is not None and (not isinstance(place, str | int) or isinstance(place, bool)):
            raise RecorderError(
                f"steps_of={{{name!r}: …}}: a {type(place).__name__} came, and what is allowed is "
                "the place of the state in what the module returns: 1, 'state', '1.0'"
            )
        found[name] = place
    return found


def _names(steps_of: object) -> Iterable[object]:
    if isinstance(steps_of, str):
        return [steps_of]
    if isinstance(steps_of, Iterable) and not isinstance(steps_of, nn.Module):
        return steps_of
    return [steps_of]


def called_modules(model: nn.Module, names: Iterable[str]) -> dict[nn.Module, str]:
    """Return the modules that are called once a time step, with their names.

    Args:
        model: any module.
        names: as ``model.named_modules()`` gives them; ``""`` is the model itself.

    Raises:
        RecorderError: for a name that there is not.
    """
    # A module that has two parents has two names, and either may be given.
    there = dict(model.named_modules(remove_duplicate=False))
    found: dict[nn.Module, str] = {}
    for name in names:
        if name not in there:
            raise RecorderError(
                f"steps_of={name!r}: the model has no such module; {names_for_steps(model)}"
            )
        if isinstance(there[name], FUSED):
            what = type(there[name]).__name__
            raise RecorderError(
                f"steps_of={name!r}: a nn.{what} computes all time steps in one call and is found "
                "without being named; leave it out of steps_of"
            )
        found.setdefault(there[name], name)
    return found


def names_for_steps(model: nn.Module) -> str:
    """Say what may stand in steps_of, and what is found without it.

    Args:
        model: any module.

    Example:
        >>> names_for_steps(nn.GRUCell(3, 4))
        "what can be named is the model itself: steps_of=''"
        >>> names_for_steps(nn.GRU(3, 4))
        'the model (GRU) is found without being named; leave steps_of out'
    """
    there = dict(model.named_modules(remove_duplicate=False))
    found = [shown(name, each) for name, each in there.items() if isinstance(each, FUSED)]
    names = [repr(name) for name, each in there.items() if name and not isinstance(each, FUSED)]
    itself = "the model itself: steps_of=''"
    if isinstance(model, FUSED):
        return f"{found[0]} is found without being named; leave steps_of out"
    are = "are" if len(found) > 1 else "is"
    without = f"; {listing(found)} {are} found without being named" if found else ""
    named = f"{', '.join(names)}, or {itself}" if names else itself
    return f"what can be named is {named}{without}"


def modules_that_came(model: nn.Module, known: Mapping[nn.Module, str]) -> list[str]:
    """Return, as messages name them, modules that would be recorded, but came in later.

    Args:
        model: as it is now.
        known: the modules that were found, with their names.
    """
    names = set(known.values())
    return [
        shown(name, each)
        for name, each in model.named_modules()
        if each not in known and (isinstance(each, FUSED) or name in names)
    ]


def shown(name: str, module: nn.Module) -> str:
    """Return how messages name a module."""
    return f"{name or 'the model'} ({type(module).__name__})"


def refuse_gradient(name: str, module: nn.Module, gradient: torch.Tensor) -> None:
    """Refuse a backward pass whose gradients are more than numbers.

    With create_graph=True the next one would count them twice.

    Raises:
        RecorderError: in such a pass.
    """
    if torch.is_grad_enabled():  # what torch has it be in a backward pass
        raise RecorderError(
            f"{shown(name, module)} cannot be recorded in a backward pass with create_graph=True: "
            "gradients of gradients reach the states inside its calls, where nothing sees them"
        )
    if is_batched(gradient):
        raise RecorderError(
            f"{shown(name, module)} cannot be recorded in a backward pass with many gradients at "
            "once (is_grads_batched=True, vectorize=True, torch.vmap): they are of many losses"
        )


def refuse_call(name: str, module: nn.Module, values: torch.Tensor) -> None:
    """Refuse a call whose gradients are not those of the loss, or cannot be kept.

    Raises:
        RecorderError: in a transform of torch.func; for values in float16, where a loss is scaled.
    """
    if in_transform():
        raise RecorderError(
            f"{shown(name, module)} cannot be recorded in a transform of torch.func, which hands "
            "out no gradient that outlives it; use loss.backward()"
        )
    if values.dtype == torch.float16:
        raise RecorderError(
            f"{shown(name, module)} cannot be recorded in float16: there a loss is scaled, and all "
            "gradients with it; use bfloat16 or float32"
        )


def refuse_hidden(name: str, module: nn.Module, tensors: Iterable[torch.Tensor]) -> None:
    """Refuse a graph that is made in a backward pass and has one of its own in it.

    A checkpoint with use_reentrant=False computes the call again too, and has none.

    Args:
        name: of the module.
        module: that was called in a backward pass.
        tensors: of this graph.

    Raises:
        RecorderError: when a gradient comes to them.
    """

    def refuse(_: torch.Tensor) -> None:
        raise RecorderError(
            f"{shown(name, module)} cannot be recorded: it runs under checkpoint(…, "
            "use_reentrant=True), which hides its graph; use use_reentrant=False"
        )

    for each in tensors:
        watch_gradient(each, refuse)


_FORWARDS: Final[Mapping[type, object]] = {kind: kind.forward for kind in FUSED}


def _refusal(module: nn.RNNBase) -> str:
    """Return why a module cannot be recorded exactly; empty: it can."""
    kind = next(kind for kind in FUSED if isinstance(module, kind))
    if isinstance(module, torch.jit.ScriptModule):
        return "it is compiled by torch.jit, which calls no hooks; record it before it is scripted"
    if type(module).forward is not _FORWARDS[kind] or "forward" in vars(module):
        return f"its forward is not that of nn.{kind.__name__}; name it in steps_of if it is a step"
    on_gpu = any(each.device.type == "cuda" for each in module.parameters())
    if on_gpu and module.dropout and module.num_layers > 1:
        return (
            "the masks of its dropout between layers are drawn inside cuDNN; set its dropout to 0"
        )
    return ""
