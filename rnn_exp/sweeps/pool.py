"""The pool: who trains chunks. This process, processes beside it, a Dask cluster, or Ray.

Whatever ends a process (a kill, the memory, a lost machine), what it had in hand is done again,
and in the end alone, before it counts as lost.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, Protocol, TypeVar, runtime_checkable

from rnn_exp.fields import SettingError, check, choice, whole
from rnn_exp.sweeps.clusters import Dask, Ray

__all__ = ["Here", "Lost", "Pool", "Processes", "Workers", "spread"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Here:
    """This process itself."""

    is_here, tries, alone = True, 1, 2

    def count(self) -> int:
        """Return one: itself."""
        return 1

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Do an item."""
        future: Future[Result] = Future()
        future.set_result(function(item))
        return future

    def look(self) -> None:
        """Return nothing to call."""

    def mend(self) -> None:
        """Do nothing: it cannot break and go on."""

    def close(self) -> None:
        """Do nothing: nothing was started."""


class Processes:
    """Processes of this machine, forked from one that has imported what they need."""

    is_here, tries, alone = False, 4, 3

    def __init__(self, count: int) -> None:
        self.processes = count
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rnn_exp.sweeps.worker"])
        self.mend()

    def count(self) -> int:
        """Return how many there are."""
        return self.processes

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Hand an item over."""
        return self.executor.submit(function, item)

    def look(self) -> None:
        """Return nothing to call: they can be ended."""

    def mend(self) -> None:
        """Start others in the place of all: one that died takes its pool with it."""
        self.executor = ProcessPoolExecutor(
            self.processes, self.context, initializer=_attend, initargs=(os.getpid(),)
        )

    def close(self) -> None:
        """End them at once."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.kill()
            process.join()


def _attend(starter: int) -> None:
    """Leave Ctrl-C to the process that started this one, and end when it is no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while _alive(starter):
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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
    source: Iterator[Item],
    again: deque[tuple[Item, int]],
    in_hand: dict[Future[Result], tuple[Item, int]],
    most: int,
    alone: int,
) -> Iterator[tuple[Item, int]]:
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
