"""Words of the command line that hold several values, and what Hydra's grammar gets besides.

``range`` gives the decimals that were typed (Hydra's own adds up binary numbers, and turns
``range(0.2,0.9,0.1)`` into 0.30000000000000004), ``logspace`` is new, and what has no value at all
is refused. What is parsed here is parsed by everybody: composition, sweeper, jobs.
"""

import dataclasses
import decimal
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, Optional, Union

from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import ChoiceSweep, Override, Sweep
from hydra.errors import OverrideParseException

from rnn_exp._hydra.brackets import key_twice, left_open
from rnn_exp.fields import SettingError, allowed_of, as_typed

__all__ = ["Parser", "bare_key", "refuse_lists", "values_of"]

_MOST_VALUES = 1_000_000  # of one word
_LOGSPACE = "logspace(first,last,count) with powers of ten from -300 to 300"
_CALLS: Final = {
    "range": "range(stop), range(start,stop) or range(start,stop,step) of numbers; "
    "range(3) is 0,1,2",
    "logspace": _LOGSPACE,
    "choice": "the values themselves, with commas between them",
    "glob": "glob(pattern) for what has names to choose from: task=glob(*)",
    "interval": "interval(low,high) of two numbers, for hydra/sweeper=optuna",
    "shuffle": "the values themselves in it: shuffle(1,2,3) or shuffle(range(3))",
    "sort": "the values themselves in it: sort(3,1,2)",
    "tag": "the values themselves, with commas between them",
    "int": "the number itself",
    "float": "the number itself",
    "bool": "true or false",
}
"""The functions that a value can be, and what is to be typed where the arguments of one are wrong.
"""


class Parser(OverridesParser):
    """Hydra's parser with decimal ranges and ``logspace``.

    Args:
        loader: finds the names that a ``glob`` stands for.

    Example:
        >>> [word] = Parser().parse_overrides(["init.gain=range(0.2,0.5,0.1)"])
        >>> values_of(word)
        ['0.2', '0.3', '0.4']
        >>> values_of(Parser().parse_overrides(["init.gain=logspace(-1,1,3)"])[0])
        ['0.1', '1', '10']
    """

    def __init__(self, loader: ConfigLoader | None = None) -> None:
        functions = create_functions()
        for name, function in (("range", _decimal_range), ("logspace", _logspace)):
            functions.definitions.pop(name, None)
            functions.register(name, function)
        super().__init__(functions, loader)

    def parse_overrides(self, overrides: list[str]) -> list[Override]:
        """Return the words as Hydra parses them.

        Raises:
            SettingError: for a range that has no values, or stands within a list, and for a
                dictionary that has a key twice.
            OverrideParseException: for what Hydra refuses.
        """
        try:
            words = super().parse_overrides(overrides)
        except OverrideParseException as error:
            key, _, value = error.override.partition("=")
            if isinstance(error.__cause__, _NoValuesError):
                raise SettingError(key, value, str(error.__cause__)) from None
            if form := _form_of(key, value):
                closed = "; the ( is not closed" if left_open(value).startswith("(") else ""
                raise SettingError(key, value, f"{form}{closed}") from None
            raise
        for word in words:
            if twice := key_twice(word.input_line or ""):
                raise SettingError(
                    word.get_key_element(),
                    word.get_value_string(),
                    f"each key once in a dictionary, which has {twice} twice",
                )
            if not word.is_sweep_override() and not word.is_delete() and _holds_sweep(word.value()):
                mend = 'a range within a list or a grid in quotes: {seed: "range(3)"}'
                raise SettingError(word.get_key_element(), word.get_value_string(), mend)
        return words


def _form_of(key: str, value: str) -> str:
    """Return how the function is written that a value begins with; empty: it is another slip.

    A colon between arguments is named where the word is refused, and a text is to be quoted.
    """
    name, bracket, inside = value.partition("(")
    is_text = key == "note" or key.startswith(("page.", "hydra."))
    return _CALLS.get(name, "") if bracket and ":" not in inside and not is_text else ""


def _holds_sweep(value: object) -> bool:
    """Whether several values stand within a list or a mapping, where Hydra would store them."""
    if isinstance(value, dict):
        return any(map(_holds_sweep, value.values()))
    return isinstance(value, Sweep) or (isinstance(value, list) and any(map(_holds_sweep, value)))


class _NoValuesError(ValueError):
    """A function of a word that gives no values; its text says what is allowed."""


# Hydra compares arguments with these annotations, and knows no other form of them.
_Number = Union[int, float]  # noqa: UP007


def _decimal_range(
    start: _Number,
    stop: Optional[_Number] = None,  # noqa: UP045
    step: _Number = 1,
) -> ChoiceSweep:
    """Return the numbers from start (0 if one number is given) by steps, without stop."""
    low, high = (0, start) if stop is None else (start, stop)
    exact = [_exact(number) for number in (low, high, step)]
    count = math.ceil((exact[1] - exact[0]) / exact[2]) if exact[2] else 0
    if count < 1:
        raise _NoValuesError("range(start,stop,step) with at least one number from start to stop")
    _refuse_many(count)
    if isinstance(low, int) and isinstance(step, int):
        return ChoiceSweep(list=[low + i * step for i in range(count)])
    return ChoiceSweep(list=[float(exact[0] + i * exact[2]) for i in range(count)])


def _logspace(start: _Number, stop: _Number, num: int) -> ChoiceSweep:
    """Return numbers from 10^start to 10^stop, both included, by equal factors."""
    first, last = _exact(start), _exact(stop)
    if num < 1 or abs(first) > 300 or abs(last) > 300:
        raise _NoValuesError(f"{_LOGSPACE}, at least one of them")
    _refuse_many(num)
    step = (last - first) / (num - 1) if num > 1 else Decimal(0)
    powers = [Decimal(10) ** (first + i * step) for i in range(num - 1)]
    numbers = [*powers, Decimal(10) ** (last if num > 1 else first)]
    return ChoiceSweep(list=[_plain(number) for number in numbers])


def _exact(number: _Number) -> Decimal:
    """Return a number as it was typed."""
    if not math.isfinite(number):
        raise _NoValuesError("finite numbers")
    return Decimal(repr(number))


def _plain(number: Decimal) -> _Number:
    """Return a power of ten as a whole number where it is one, so that lengths can be such."""
    with decimal.localcontext(prec=400):
        whole = number == number.to_integral_value() and number < 10**15
    return int(number) if whole else float(number)


def _refuse_many(count: int) -> None:
    if count > _MOST_VALUES:
        raise _NoValuesError(f"at most {_MOST_VALUES} values, and these are {count}")


def values_of(word: Override) -> list[str]:
    """Return the values of a word, each as it is typed; a word without a sweep has one.

    Raises:
        SettingError: for a list, an interval, and a glob that fits nothing.
    """
    key, typed = word.key_or_group, word.get_value_string() if word.value_type else ""
    if word.is_interval_sweep():
        raise SettingError(
            key, typed, "several values or a range; an interval is for hydra/sweeper=optuna"
        )
    if not word.is_sweep_override():
        return [word.get_value_element_as_str()]
    found = list(word.sweep_string_iterator())
    if not found:
        options = _options(word) if typed.startswith("glob(") else []
        what = f"a pattern that fits one of {', '.join(options)}"
        raise SettingError(key, typed, what if options else _form_of(key, typed) or _CALLS["glob"])
    return found


def _options(word: Override) -> Sequence[str]:
    if word.config_loader is None:
        return []
    return word.config_loader.get_group_options(word.key_or_group, ObjectType.CONFIG)


def bare_key(text: str) -> str:
    """Return the key of a word without the signs before it.

    Example:
        >>> bare_key("++seed=3"), bare_key("~init.gain")
        ('seed', 'init.gain')
    """
    return text.partition("=")[0].lstrip("+~")


def refuse_lists(words: Iterable[str]) -> None:
    """Refuse a list where a setting has one value: several values are meant.

    Args:
        words: of the command line.

    Raises:
        SettingError: with the word as it should be.
    """
    for word in Parser().parse_overrides(list(words)):
        value = word.value()
        if isinstance(value, list) and not _takes_lists(word.key_or_group):
            key, inside = word.get_key_element(), ",".join(map(as_typed, value))
            mend = f"one value, or with -m several without brackets: {key}={inside}"
            raise SettingError(key, word.get_value_string(), mend)


def _takes_lists(key: str) -> bool:
    """Whether a setting may be a list: those of Hydra, and of a run and a page what says so."""
    from rnn_exp.storage.study import StudyPage
    from rnn_exp.training.run import Run

    if key.startswith("hydra") or key == "use":
        return True
    kind = StudyPage if key.startswith("page.") else Run
    name = key.removeprefix("page.")
    allowed = [allowed_of(field) for field in dataclasses.fields(kind) if field.name == name]
    return any(each is not None and each.test(("word",)) for each in allowed)
