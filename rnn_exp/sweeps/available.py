"""How much memory this machine has for runs: what is free, and what its limits still allow.

On Linux that is what the kernel calls available, and what the limits of the control groups that
the process is in leave (a container, a batch system), less what their page cache would give back.
A limit of the shell (``ulimit -v``) counts for each process. Elsewhere all memory counts. Swap does
not: a run that trains in it trains for ever.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from rnn_exp.training.memory import Memory

__all__ = ["available"]

_ROOT = Path("/")
# A control group of version 1 without a limit says a number about as large as this.
_NO_LIMIT = 1 << 60


def available(root: Path = _ROOT) -> Memory | None:
    """Return how much memory there is now; None: the system does not say.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    together = min(_of_machine(root), default=None)
    each = min([*([together] if together else []), *_of_shell(root)], default=None)
    if each is None:
        return None
    if together is None:
        together = each
    return Memory(together[0], each[0], each[1])


def _of_machine(root: Path) -> Iterator[tuple[int, str]]:
    """Yield what the machine and each control group of this process still has, and its name."""
    free = _numbers(root / "proc/meminfo").get("MemAvailable")
    if free is not None:
        yield free * 1024, "what this machine has available"
    elif root == _ROOT and "SC_PHYS_PAGES" in os.sysconf_names:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield pages, "what this machine has"
    for left in _of_groups(root):
        yield left, "the limit of this process's control group"


def _of_groups(root: Path) -> Iterator[int]:
    """Yield what the limit of each control group of this process leaves, of both versions."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, path = (*line.split(":", 2), "", "")[:3]
        if kinds and "memory" not in kinds.split(","):
            continue
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        base = root / "sys/fs/cgroup/memory"
        if not kinds:
            names, base = ("memory.max", "memory.current", "inactive_file"), root / "sys/fs/cgroup"
        # In a container its own group is seen as the root, under a path that is not there.
        group = base / path.strip("/")
        for folder in dict.fromkeys([group, *group.parents, base]):
            if not folder.is_relative_to(base):
                continue
            limit, used = _number(folder / names[0]), _number(folder / names[1])
            if limit is not None and used is not None and limit < _NO_LIMIT:
                cache = _numbers(folder / "memory.stat").get(names[2], 0)
                yield max(0, limit - max(0, used - cache))


def _of_shell(root: Path) -> Iterator[tuple[int, str]]:
    """Yield what the shell's limits leave to a process that is as large as this one is now."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    pages = (_text(root / "proc/self/statm").split() or ["0"])[0]
    size = int(pages) * os.sysconf("SC_PAGE_SIZE") if pages.isdecimal() else 0
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit not in (resource.RLIM_INFINITY, -1):
        yield max(0, limit - size), "the shell's limit, ulimit -v"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """Return the number in a file; None: there is none, or it says ``max``."""
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file of lines such as ``MemFree: 5 kB`` or ``cache 5``."""
    words = (line.replace(":", " ").split() for line in _text(path).splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}
