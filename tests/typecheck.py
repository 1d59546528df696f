"""The checker of types and shapes that the tests turn on: an int is a float, as PEP 484 has it.

Of a list beartype looks at one item that it draws. It draws from a generator of its own here:
Python's global one belongs to hypothesis, which refuses that a strategy changes it.

jaxtyping's own decorator binds the arguments of every call to their names, and checks them a second
time together with the result; and it does so for functions without a shape. That was half of the
time of what computes. `checked` does without: the same arguments, results and axes are checked,
each of them once.
"""

import dataclasses
import functools
import inspect
import random
import types
from unittest import mock

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping._decorator import _destring_annotation
from jaxtyping._storage import pop_shape_memo, push_shape_memo

# Stays for the whole process; an AttributeError tells that beartype has it no longer.
mock.patch("beartype._check.code.codemain.getrandbits", random.Random(0).getrandbits).start()

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
# Of a checker's frames `rnn_exp.registry.source` knows that none of them registers anything.
_CHECKER = {**globals(), "__name__": "jaxtyping.checked"}
_by_jaxtyping = jaxtyping.jaxtyped(typechecker=typecheck)


def checked(thing):
    """Return a function, a method or a data class whose calls are checked."""
    if inspect.isclass(thing):
        if dataclasses.is_dataclass(thing) and not hasattr(thing.__init__, "__wrapped__"):
            thing.__init__ = checked(thing.__init__)
        return thing
    if isinstance(thing, classmethod | staticmethod):
        return type(thing)(checked(thing.__func__))
    if isinstance(thing, property):
        return property(*(part and checked(part) for part in (thing.fget, thing.fset, thing.fdel)))
    if inspect.isgeneratorfunction(thing):  # its body runs after the call
        return _by_jaxtyping(thing)
    for name, hint in thing.__annotations__.items():
        if isinstance(hint, str):  # of a class that may not be there: then anything fits
            thing.__annotations__[name] = _destring_annotation(hint, thing.__globals__)
    if any("jaxtyping" in repr(hint) for hint in thing.__annotations__.values()):
        return functools.wraps(thing)(_with_axes(typecheck(thing)))
    return typecheck(thing)


def _with_axes(function):
    """Return a function of whose arguments and result an axis of one name has one size."""

    def call(*args, **kwargs):
        push_shape_memo({})
        try:
            return function(*args, **kwargs)
        finally:
            pop_shape_memo()

    return types.FunctionType(call.__code__, _CHECKER, closure=call.__closure__)


def _jaxtyped(typechecker):
    """Stand in for what the import hook puts above every function and class."""
    return checked


mock.patch("jaxtyping.jaxtyped", _jaxtyped).start()
