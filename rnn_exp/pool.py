"""The pool: who trains chunks. This process, processes beside it, a Dask cluster, or Ray.

Whatever ends a process (a kill, the memory, a lost machine), what it had in hand is done again,
and in the end alone, before it counts as lost.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol, TypeVar, runtime_checkable

from rnn_exp.clusters import Dask, Ray
from rnn_exp.local import Here, Processes
from rnn_exp.settings import SettingError, check, choice, whole

__all__ = ["Lost", "Pool", "Workers", "spread"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_SECONDS_BETWEEN_LOOKS = 5.0


@dataclasses.dataclass(frozen=True)
class Pool:
    """Where chunks are trained: on this machine, on a Dask cluster, or on Ray.

    ``processes``: of this machine; 1 is this process itself. ``address``: of Dask's scheduler
    (``tcp://host:8786``) or of Ray's head (null: a Ray of its own, of as many ``processes``).

    Raises:
        SettingError: for an unknown backend, or Dask without an address.
    """

    backend: str = choice("processes", ["processes", "dask", "ray"])
    processes: int = whole(1, least=1)
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if self.backend == "dask" and self.address is None:
            raise SettingError(
                "address", "null", "the address of a Dask scheduler, tcp://host:8786"
            )

    def open(self) -> "Workers":
        """Start the processes, or connect.

        Raises:
            SettingError: if the library for it is not installed.
            ConnectionError: if the cluster cannot be reached.
        """
        if self.backend == "dask":
            return Dask(str(self.address))
        if self.backend == "ray":
            return Ray(self.address, self.processes)
        return Here() if self.processes == 1 else Processes(self.processes)


class Lost(RuntimeError):  # noqa: N818 - as a value it reads better
    """The process that had an item in hand ended before it was done, every time it was tried."""


@runtime_checkable
class Workers(Protocol):
    """Processes that take items, as many at once as there are.

    ``is_here``: it is this process itself. ``tries``: how often an item is handed over before it
    is lost; from the try ``alone`` on while nothing else is in hand, which may be what kills.
    """

    is_here: bool
    tries: int
    alone: int

    def count(self) -> int:
        """Return how many there are now."""
        ...

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Hand an item over."""
        ...

    def look(self) -> Callable[[], object] | None:
        """Return what an item's function must call from time to time so that it can be ended."""
        ...

    def mend(self) -> None:
        """Replace what broke, if it does not do so by itself."""
        ...

    def close(self) -> None:
        """End them at once, whatever they do."""
        ...


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], workers: Workers
) -> Iterator[tuple[Item, Result | Lost]]:
    """Yield every item with what ``function`` returns for it, in the order they are done.

    Items are drawn from the iterable when there is somebody to take them. ``function`` must not
    raise: what is raised is the pool's, and the item is tried again.

    Raises:
        ConnectionError: if the cluster is gone.
    """
    source, again = iter(items), deque[tuple[Item, int]]()
    in_hand: dict[Future[Result], tuple[Item, int]] = {}
    while True:
        for item, tries in _next(source, again, in_hand, 2 * workers.count(), workers.alone):
            in_hand[workers.submit(function, item)] = (item, tries)
        if not in_hand:
            return
        broken = False
        # Workers of a cluster may come later: they are counted again, whether anything ends or not.
        for future in wait(in_hand, _SECONDS_BETWEEN_LOOKS, FIRST_COMPLETED).done:
            item, tries = in_hand.pop(future)
            error = _error(future)
            if error is None:
                yield item, future.result()
            elif tries < workers.tries:
                again.append((item, tries + 1))
            else:
                yield item, Lost(f"its process ended before it was done ({type(error).__name__})")
            broken |= error is not None
        if broken:
            workers.mend()


def _next(
    source: Iterator[Item], again: deque[tuple[Item, int]],
    in_hand: dict[Future[Result], tuple[Item, int]], most: int, alone: int,
) -> Iterator[tuple[Item, int]]:  # fmt: skip
    """Yield what to hand over now; what has failed in company is tried alone."""
    if any(tries >= alone for _, tries in in_hand.values()):
        return
    while len(in_hand) < most:
        if again and again[0][1] < alone:
            yield again.popleft()
        elif again:
            if not in_hand:
                yield again.popleft()
            return
        elif (item := next(source, again)) is not again:
            yield item, 1  # type: ignore[misc]
        else:
            return


def _error(future: "Future[Any]") -> BaseException | None:
    try:
        return future.exception()
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return error
