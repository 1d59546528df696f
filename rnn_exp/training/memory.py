"""Whether the memory that there is suffices for runs: how many fit, and what is said if none does.

The estimate of what a run needs is made before anything is allocated or written (`sizes`).
"""

from collections.abc import Iterable
from typing import NamedTuple

from rnn_exp.fields import SettingError
from rnn_exp.training.devices import is_gpu
from rnn_exp.training.run import Run
from rnn_exp.training.sizes import Sizes, bytes_of

__all__ = [
    "Memory",
    "NotEnoughMemory",
    "allocation_failure",
    "most_runs",
    "needed",
    "refuse_too_large",
]

# What torch's and the system's allocators say.
_SAID = (
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    "storage size calculation overflowed",
)
_TELLS = 5  # a setting is named if half of it would need a fifth less


class Memory(NamedTuple):
    """Bytes that processes may still take.

    Args:
        together: all of them.
        each: one of them.
        where: what has no more than ``each``, in words.
    """

    together: int
    each: int
    where: str


class NotEnoughMemory(SettingError):  # noqa: N818 - a refusal, as its parent is one
    """A run that needs more memory than there is.

    Args:
        run: the run.
        memory: what there is.
        others: how many more of the runs need too much.
    """

    def __init__(self, run: Run, memory: Memory, others: int = 0) -> None:
        settings = _large_settings(run)
        key, _, value = settings.partition("=")
        super().__init__(key, value, "what needs less memory")
        also = f"; {others} more of the runs need too much" if others else ""
        self.args = (f"{settings} {_in_words(run, memory)}: {run.name}{also}",)

    def under(self, group: str) -> SettingError:
        """Return itself: its settings are named in full."""
        del group
        return self


def needed(run: Run, runs: int = 1) -> int:
    """Return about how many bytes a process needs that trains so many runs like this one.

    Args:
        run: one of them.
        runs: how many train together.

    Example:
        >>> needed(Run()) < needed(Run(), 32) < 2 * needed(Run())
        True
    """
    return bytes_of(Sizes.of(run), runs)


def most_runs(run: Run, memory: int, most: int) -> int:
    """Return how many runs like this one fit into so many bytes together: at least 1.

    Args:
        run: one of them.
        memory: bytes.
        most: how many there are.
    """
    sizes, fitting, too_many = Sizes.of(run), 1, most + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if bytes_of(sizes, middle) <= memory:
            fitting = middle
        else:
            too_many = middle
    return fitting


def refuse_too_large(runs: Iterable[Run], memory: Memory | None) -> None:
    """Refuse runs of which one alone needs more memory than there is.

    Args:
        runs: any runs; those that train on a GPU are not looked at.
        memory: what there is; None: nobody knows.

    Raises:
        NotEnoughMemory: naming the one that needs most.
    """
    if memory is None:
        return
    large = [run for run in runs if not is_gpu(run.device) and needed(run) > memory.each]
    if large:
        raise NotEnoughMemory(max(large, key=needed), memory, len(large) - 1)


def allocation_failure(error: BaseException, run: Run, memory: Memory | None) -> str | None:
    """Say in one line that memory could not be had; None: the error says something else.

    Args:
        error: what was raised while a run trained.
        run: the run.
        memory: what there is now; None: nobody knows.
    """
    said = str(error).lower()
    if not isinstance(error, MemoryError) and not any(words in said for words in _SAID):
        return None
    there = "" if memory is None else f", there are {_bytes_in_words(memory.each)} now"
    return (
        f"memory could not be had: {_large_settings(run)} needs "
        f"{_bytes_in_words(needed(run))}{there}"
    )


def _in_words(run: Run, memory: Memory) -> str:
    need, there = _bytes_in_words(needed(run)), _bytes_in_words(memory.each)
    return f"needs {need} of memory, there are {there} ({memory.where})"


def _large_settings(run: Run) -> str:
    """Return the settings that make a run large, as typed: those of which half needs much less."""
    sizes, settings = Sizes.of(run), run.settings()
    whole = bytes_of(sizes, 1)
    own_length = settings["evaluation.length"] is None
    parts = {
        "network.hidden_size": sizes._replace(hidden=max(1, sizes.hidden // 2)),
        "network.num_layers": sizes._replace(layers=max(1, sizes.layers // 2)),
        "task.longest" if settings.get("task.longest") else "task.length": sizes._replace(
            steps=max(1, sizes.steps // 2),
            held=max(1, sizes.held // 2),
            answers=max(1, sizes.answers // 2),
            test_steps=max(1, sizes.test_steps // (2 if own_length else 1)),
        ),
        "training.batch_size": sizes._replace(batch=max(1, sizes.batch // 2)),
    }
    if not own_length:
        parts["evaluation.length"] = sizes._replace(test_steps=max(1, sizes.test_steps // 2))
    saved = {key: whole - bytes_of(half, 1) for key, half in parts.items() if key in settings}
    named = [key for key, less in saved.items() if _TELLS * less > whole]
    named = sorted(named, key=lambda key: -saved[key]) or ["task"]
    return ", ".join(f"{key}={settings[key]}" for key in named)


def _bytes_in_words(count: int) -> str:
    """Return a number of bytes in words.

    Example:
        >>> [_bytes_in_words(count) for count in (41_300_000_000, 350_000_000, 10**40)]
        ['about 41 GB', 'about 0.35 GB', 'more than a million GB']
    """
    if count > 10**15:
        return "more than a million GB"
    size = count / 1000**3
    return f"about {size:,.0f} GB" if size >= 10 else f"about {size:.2g} GB"
