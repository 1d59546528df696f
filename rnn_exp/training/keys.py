"""Keys: which settings there are, and which one a name means.

Every list comes from the dataclasses of a run and from the registries of tasks and inits, so none
is written by hand. `groups` has the dataclasses; `keys_like` guesses for a message what was meant,
and `key_of` takes a name only where it can mean one setting.
"""

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from rnn_exp.fields import SettingError, allowed_of
from rnn_exp.networks.inits import INITS
from rnn_exp.tasks import TASKS
from rnn_exp.training.origins import own_kinds
from rnn_exp.training.run import Run

__all__ = ["groups", "key_of", "keys_like", "meaning", "names_of", "plain_fields", "section_error"]

_FEW = 3
_NEAR = 0.75
_ALL = "rnn-exp --settings lists all"
# What papers and other programs call a setting, where its own documentation has no symbol for it.
_OTHER_NAMES = {"length": ("T",), "updates": ("epochs", "iterations")}


def groups() -> dict[str, Mapping[str, type]]:
    """Return the dataclasses of each group of settings, by the names that choose them.

    A group without a choice has one dataclass, named "".
    """
    default = Run()
    chosen: dict[str, Mapping[str, type]] = {"task": TASKS, "init": INITS}
    return {
        field.name: chosen.get(field.name, {"": type(getattr(default, field.name))})
        for field in dataclasses.fields(Run)
        if not _is_plain(field)
    }


def plain_fields() -> dict[str, "dataclasses.Field[Any]"]:
    """Return the fields of a run that are settings by themselves, not groups: seed, device, …."""
    return {field.name: field for field in dataclasses.fields(Run) if _is_plain(field)}


def _is_plain(field: "dataclasses.Field[Any]") -> bool:
    return field.default is not dataclasses.MISSING


def _every_key() -> dict[str, str]:
    """Return the last name of every setting by its key; tasks and inits are chosen by a group."""
    found = {name: name for name in plain_fields()}
    for group, kinds in groups().items():
        for kind in (*kinds.values(), *own_kinds(group).values()):
            found |= {f"{group}.{name}": name for name in names_of(kind)}
    return found


def names_of(kind: type) -> list[str]:
    """Return the names of a dataclass's settings; those that own parts bring are not its own.

    Args:
        kind: of a group.
    """
    return [field.name for field in dataclasses.fields(kind) if not field.metadata.get("more")]


def key_of(name: str, value: object) -> str:
    """Return the key of the one setting that a name means.

    Args:
        name: a key (``task.length``), with ``__`` for the dot where it has to be a word of Python
            (``task__length``), the choice of a group (``task``), or the last name of a setting that
            no other has (``length``); those of evaluation do not count as others.
        value: what it is to be, which is shown where the name is refused.

    Returns:
        ``task.length``, ``task``, ``seed``, …

    Raises:
        SettingError: if it means none, with what may have been meant, or several, which it lists.

    Example:
        >>> key_of("gain", 1), key_of("training__updates", 5), key_of("task", "latch")
        ('init.gain', 'training.updates', 'task')
        >>> key_of("lenght", 10)
        Traceback (most recent call last):
        rnn_exp.fields.SettingError: lenght=10 is not possible: allowed is the name of a setting \
(did you mean length?); rnn-exp --settings lists all
    """
    keys, written = _every_key(), name.replace("__", ".")
    choices = [group for group, kinds in groups().items() if "" not in kinds]
    if written in keys or written in choices:
        return written
    meant = _first([key for key, last in keys.items() if last == written]) or keys_like(written)
    if len(meant) == 1 and keys[meant[0]] == written:
        return meant[0]
    if meant:
        words = " or ".join(key if "." in name else _in_python(key, keys) for key in meant)
        raise SettingError(name, value, f"the name of a setting (did you mean {words}?); {_ALL}")
    raise SettingError(name, value, f"the name of a setting; {_ALL}")


def _in_python(key: str, keys: Mapping[str, str]) -> str:
    """Return the word of Python that means a key: its last name, where no other setting has it."""
    last = keys.get(key, key)
    alike = _first([other for other, its in keys.items() if its == last])
    return last if alike == [key] else key.replace(".", "__")


def _first(keys: list[str]) -> list[str]:
    """Leave out the settings of evaluation, which are asked for in full, where others are meant."""
    return [key for key in keys if not key.startswith("evaluation.")] or keys


def keys_like(name: str) -> list[str]:
    """Return the settings that a name may mean, if these are few: ``length`` is ``task.length``.

    A setting is meant by its own last name, by its symbol in the documentation, by a word or the
    initials of its name, or by its name with a slip. The first of these that is so counts.

    Args:
        name: what was typed in the place of a key.
    """
    symbols: dict[str, set[str]] = {key: set() for key in plain_fields()}
    for group, kinds in groups().items():
        for kind in (*kinds.values(), *own_kinds(group).values()):
            for field in names_of(kind):
                known = symbols.setdefault(f"{group}.{field}", set())
                known.add(re.split(r"[ ,.]", meaning(kind, field))[0])
    last, names = name.rpartition(".")[2], {key: key.rpartition(".")[2] for key in symbols}
    near = difflib.get_close_matches(last, set(names.values()), n=1, cutoff=_NEAR)
    rules: tuple[Callable[[str], bool], ...] = (
        lambda key: names[key] == last or name in _OTHER_NAMES.get(names[key], ()),
        lambda key: last in symbols[key],
        lambda key: last in names[key].split("_"),
        lambda key: last == "".join(word[0] for word in names[key].split("_")),
        lambda key: names[key] in near,
    )
    found = ([key for key in symbols if rule(key)] for rule in rules)
    first = _first(next((keys for keys in found if keys), []))
    return first if len(first) <= _FEW else []


def section_error(group: str, typed: str) -> SettingError:
    """Return the refusal of a value that was given to a group of settings.

    Args:
        group: its name.
        typed: the value, as it was typed.

    Example:
        >>> print(section_error("network", "gru"))
        network=gru is not possible: allowed is a group of settings (did you mean network.cell=gru?)
    """
    fields = [
        field for kind in groups().get(group, {}).values() for field in dataclasses.fields(kind)
    ]
    allowed = [(field.name, allowed_of(field)) for field in fields]
    meant = [name for name, each in allowed if each and each.options and typed in each.options]
    hint = f" (did you mean {group}.{meant[0]}={typed}?)" if meant else ""
    return SettingError(group, typed, f"a group of settings{hint}")


def meaning(kind: type, name: str) -> str:
    """Return the sentence about a field in the docstring of its class, or "".

    The docstring has it as ``name``: …, or as a line ``name: …`` of Args or Attributes.

    Args:
        kind: a dataclass.
        name: of its field.
    """
    for owner in kind.__mro__:
        text = " ".join((owner.__doc__ or "").split())
        found = re.search(rf"``{name}``(?:, ``\w+``)*: (.+)", text) or re.search(
            rf"^ +{name}: (.+(?:\n {{9,}}.+)*)", owner.__doc__ or "", re.MULTILINE
        )
        if found:
            rest = " ".join(found[1].split())
            # The sentence ends at a full stop, or where the next field is described.
            sentence = re.split(r"\.(?= [A-Z`(]|$)|[.;,] (?=``\w+``(?:, ``\w+``)*: )", rest)[0]
            return sentence.replace("``", "")
    return ""
