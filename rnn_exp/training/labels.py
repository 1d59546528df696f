"""Notes and tags: what a person writes on a run; they decide nothing and are not in its digest.

Both end in files, tables, pages and terminals, so they are short and of one line of printable
characters: no control characters, no marks that turn the direction of text.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rnn_exp.fields import Allowed, SettingError, as_typed
from rnn_exp.program import printable
from rnn_exp.words import hydra_word, quoted

__all__ = ["as_word", "label_words", "note", "plain_note", "plain_tags", "tags"]

_LONGEST_NOTE: Final = 500
_MOST_TAGS: Final = 20
_TAG: Final = re.compile(r"[\w.:+-]{1,50}")
_NOTE_TEXT: Final = f"one line of text of at most {_LONGEST_NOTE} characters, or null"
_TAGS_TEXT: Final = "a list of words, such as [paper,fig2], or null"
_NOTE_HINT: Final = "without ${; other numbers than whole ones in quotes: 'note=\"0.5, again\"'"
_TAGS_HINT: Final = f"at most {_MOST_TAGS} of at most 50 letters, digits and . _ : + -"


@dataclasses.dataclass(frozen=True)
class _OfLabel(Allowed):
    """What a note or tags accept; what is refused is shown without what may harm a terminal."""

    hint: str = ""

    def refusal(self, key: str, value: object) -> SettingError:
        """Return the refusal of a value, with a hint."""
        return SettingError(key, printable(value), f"{self.words} ({self.hint})")


def note() -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    """Declare the field of a run that accepts a note; two runs that differ in it are equal."""
    return _field(_OfLabel(_is_note, _NOTE_TEXT, hint=_NOTE_HINT))


def tags() -> Any:  # noqa: ANN401
    """Declare the field of a run that accepts tags; two runs that differ in them are equal."""
    return _field(_OfLabel(_are_tags, _TAGS_TEXT, hint=_TAGS_HINT))


def plain_note(value: object) -> object:
    """Return a note as a run has it: a whole number that was typed for one is text."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_whole else value


def plain_tags(value: object) -> object:
    """Return tags as a run has them: a tuple, each tag once, in the order in which they came."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return value
    texts = [plain_note(each) for each in value]
    are_words = all(isinstance(text, str) for text in texts)
    return tuple(dict.fromkeys(texts)) if are_words else tuple(texts)


def label_words(note: str | None, tags: Sequence[str] | None) -> Iterator[str]:
    """Yield the words of the command line that give a note and tags.

    Example:
        >>> list(label_words("first try", ("paper", "fig2")))
        ['note="first try"', 'tags=[paper,fig2]']
    """
    if note:
        yield f"note={quoted(note)}"
    if tags:
        yield f"tags=[{','.join(_word(tag) for tag in tags)}]"


def as_word(value: object) -> str:
    """Return a value of a setting as Hydra reads it: a text with signs of its grammar in quotes.

    Example:
        >>> as_word(0.5), as_word("cuda:1"), as_word("T (°C)"), as_word("1e5")
        ('0.5', 'cuda:1', '"T (°C)"', '"1e5"')
    """
    return hydra_word(value) if isinstance(value, str) else as_typed(value)


def _word(tag: str) -> str:
    return tag if re.fullmatch(r"[A-Za-z]\w*", tag, re.ASCII) else f'"{tag}"'


def _field(allowed: Allowed) -> Any:  # noqa: ANN401
    return dataclasses.field(default=None, compare=False, metadata={"allowed": allowed})


def _is_note(value: object) -> bool:
    if value is None:
        return True
    is_line = isinstance(value, str) and value.isprintable() and "${" not in value
    return is_line and len(str(value)) <= _LONGEST_NOTE


def _are_tags(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, tuple) or len(value) > _MOST_TAGS:
        return False
    return all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in value)
