"""Fields: frozen dataclasses whose fields say what is allowed and refuse everything else.

A field is declared with what it accepts (`Allowed`, in its metadata), and `check` (called from
``__post_init__``) refuses a wrong value in one line: the key, what came, what is allowed.
"""

import dataclasses
import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "Allowed",
    "SettingError",
    "allowed_of",
    "as_typed",
    "check",
    "choice",
    "choice_error",
    "flag",
    "more",
    "number",
    "pairs_of",
    "settings_of",
    "short_of",
    "suggestion",
    "whole",
]

_LONGEST_SHOWN = 80
_SLIP = 0.7  # of difflib: tahn for tanh has 0.75
_LARGEST_INT32 = 2**31 - 1


class SettingError(ValueError):
    """A setting that cannot be: its key, what came, and what is allowed.

    Args:
        key: the setting's key, with or without its group.
        value: what came.
        allowed: what is allowed, in words.

    Example:
        >>> print(SettingError("length", 0, "a whole number of at least 1").under("task"))
        task.length=0 is not possible: allowed is a whole number of at least 1
    """

    def __init__(self, key: str, value: object, allowed: str) -> None:
        super().__init__(f"{key}={_shown(value)} is not possible: allowed is {allowed}")
        self.key, self.value, self.allowed = key, value, allowed

    def under(self, group: str) -> "SettingError":
        """Return the same refusal with the key's group in front of it."""
        return SettingError(f"{group}.{self.key}", self.value, self.allowed)


@dataclasses.dataclass(frozen=True)
class Allowed:
    """What a field accepts.

    Args:
        test: says whether a value is accepted.
        text: what is accepted, in words; empty: one of the options.
        options: the words to choose from, which may grow (a registry); None: any value that passes
            the test.
        is_number: whether accepted values are made floats, so that 1 and 1.0 are one setting.
        most: the largest that is accepted, which is said to whoever gives a larger one.
    """

    test: Callable[[Any], bool]
    text: str = ""
    options: Collection[str] | None = None
    is_number: bool = False
    most: int | None = None

    @property
    def words(self) -> str:
        """What is accepted, in words."""
        return f"one of {', '.join(self.options)}" if self.options is not None else self.text

    def refusal(self, key: str, value: object) -> SettingError:
        """Return the refusal of a value, with the nearest option where there are options."""
        if self.options is not None:
            return choice_error(key, value, list(self.options))
        if isinstance(value, str) and value.lstrip("+-").replace(".", "", 1).isdigit():
            return SettingError(key, repr(value), self.words)  # a text
        if self.most is not None and isinstance(value, int) and value > self.most:
            return SettingError(key, value, f"{self.words}, and of at most {self.most}")
        return SettingError(key, value, self.words)


def allowed_of(field: "dataclasses.Field[Any]") -> Allowed | None:
    """Return what a dataclass's field accepts; None for a field that was declared without it."""
    return field.metadata.get("allowed")


def short_of(field: "dataclasses.Field[Any]") -> str:
    """Return what a field is called in the name of a run: as it was declared, or its own name."""
    return str(field.metadata.get("short", field.name))


def as_typed(value: object) -> str:
    """Return a value as it is typed on the command line.

    Example:
        >>> [as_typed(value) for value in (None, True, 0.5)]
        ['null', 'true', '0.5']
    """
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def whole(
    default: int | None, least: int = 0, most: int = _LARGEST_INT32, *, short: str | None = None
) -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    """Declare a field that accepts whole numbers in a range, and null if the default is null.

    Args:
        default: the value that stands where none is given.
        least: the smallest.
        most: the largest; tables have steps, updates and layers in 32 bits.
        short: here and in the other declarations, what the field is called in the name of a run,
            by default as it is; empty: the value is enough.
    """

    def test(v: object) -> bool:
        if v is None:
            return default is None
        return isinstance(v, int) and not isinstance(v, bool) and least <= v <= most

    words = f"a whole number of at least {least}{_or_null(default)}"
    return _field(default, Allowed(test, words, most=most), short)


def number(
    default: float | None,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    short: str | None = None,
) -> Any:  # noqa: ANN401
    """Declare a field that accepts finite numbers in a range, and null if the default is null."""
    bound = "" if least is None else f" of at least {least:g}"
    bound = bound if above is None else f" above {above:g}"
    bound += "" if below is None else f"{' and' if bound else ''} below {below:g}"
    low = -math.inf if above is None else above
    floor = -math.inf if least is None else least
    high = math.inf if below is None else below

    def test(v: object) -> bool:
        if v is None:
            return default is None
        if isinstance(v, bool) or not isinstance(v, (int, float)):
            return False
        try:
            return math.isfinite(v) and v > low and floor <= v < high
        except OverflowError:  # a whole number beyond every float
            return False

    text = f"a number{bound}{_or_null(default)}"
    return _field(default, Allowed(test, text, is_number=True), short)


def flag(default: bool, *, short: str | None = None) -> Any:  # noqa: ANN401
    """Declare a field that accepts true and false."""
    return _field(default, Allowed(lambda v: isinstance(v, bool), "true or false"), short)


def choice(default: str, options: Collection[str], *, short: str | None = None) -> Any:  # noqa: ANN401
    """Declare a field that accepts one of a few words.

    Args:
        default: the word that stands where none is given.
        options: the words; a registry may get more of them later.
        short: what it is called in the name of a run.
    """
    return _field(default, Allowed(lambda v: v in list(options), options=options), short)


def more() -> Any:  # noqa: ANN401
    """Declare the field that holds the settings of own parts: pairs of names and values."""
    return dataclasses.field(default=(), metadata={"more": True})


def settings_of(part: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Return the settings of a dataclass by name, with those of own parts among them.

    Args:
        part: a dataclass; nothing in it is copied.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        found |= dict(value) if field.metadata.get("more") else {field.name: value}
    return found


def pairs_of(kinds: Mapping[str, type], given: Any) -> tuple[tuple[str, Any], ...]:  # noqa: ANN401
    """Return the settings of own parts, checked, with the defaults of those that are not given.

    Args:
        kinds: the dataclasses of the parts that are chosen, by what chooses them.
        given: names and values, a mapping or pairs.

    Raises:
        SettingError: for a name that none of them has, or a value that is not allowed.
    """
    values, found = dict(given), dict[str, Any]()
    for kind in kinds.values():
        names = [field.name for field in dataclasses.fields(kind)]
        own = {name: values.pop(name) for name in names if name in values}
        made = kind(**own)
        check(made)
        found |= settings_of(made)
    for name, value in values.items():
        chosen = ", ".join(kinds) or "anything that is chosen"
        raise SettingError(name, value, f"null: it is no setting of {chosen}")
    return tuple(found.items())


def choice_error(
    key: str, value: object, options: Sequence[str], typed: str | None = None
) -> SettingError:
    """Return the refusal of a word that is not among the options, with the nearest one named.

    Args:
        key: the setting's key.
        value: what came.
        options: what could have been chosen.
        typed: the word that was meant to be an option, where that is not the value.
    """
    hint = suggestion(str(value) if typed is None else typed, options)
    return SettingError(key, value, f"one of {', '.join(options)}{hint}")


def suggestion(word: str, options: Iterable[str], prefix: str = "") -> str:
    """Return " (did you mean …?)" if a word is one of the options with a slip, else "".

    Another thing's name is no slip: slips leave the first letter and the digits as they are.

    Args:
        word: what came.
        options: what could have been meant.
        prefix: what stands before the option in the hint.

    Example:
        >>> suggestion("tahn", ["tanh", "relu"])
        ' (did you mean tanh?)'
        >>> suggestion("bfloat16", ["float32", "float64"]), suggestion("elu", ["tanh", "relu"])
        ('', '')
    """
    word = word.strip("[]'\" ").lower()
    if not word or len(word) > _LONGEST_SHOWN:
        return ""
    alike = [
        option
        for option in options
        if option[:1].lower() == word[:1] and _digits(option) == _digits(word)
    ]
    near = difflib.get_close_matches(word, alike, n=1, cutoff=_SLIP)
    return f" (did you mean {prefix}{near[0]}?)" if near else ""


def _digits(word: str) -> list[str]:
    return [sign for sign in word if sign.isdigit()]


def _shown(value: object) -> str:
    """Return a value as it is typed, and a very long one by its beginning."""
    try:
        text = as_typed(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "(thousands of digits)"
    except RecursionError:
        return "(nested too deeply)"
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[: _LONGEST_SHOWN // 2]}… ({len(text)} characters)"


def check(settings: Any) -> None:  # noqa: ANN401 - any dataclass
    """Refuse the first field whose value is not allowed; make numbers such as 1 floats, 1.0.

    Args:
        settings: a dataclass; fields without `Allowed` are left alone.

    Raises:
        SettingError: naming key, value and what is allowed.
    """
    for field in dataclasses.fields(settings):
        allowed, value = allowed_of(field), getattr(settings, field.name)
        if allowed is None:
            continue
        if not allowed.test(value):
            raise allowed.refusal(field.name, value)
        if allowed.is_number and value is not None:
            # 1 and 1.0 (0.0 and -0.0) are one setting: one digest, one folder.
            object.__setattr__(settings, field.name, float(value) + 0.0)


def _field(default: Any, allowed: Allowed, short: str | None) -> Any:  # noqa: ANN401
    named = {} if short is None else {"short": short}
    return dataclasses.field(default=default, metadata={"allowed": allowed, **named})


def _or_null(default: object) -> str:
    return " or null" if default is None else ""
