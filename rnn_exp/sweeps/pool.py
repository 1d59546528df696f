"""Who trains the chunks: this process, processes beside it, a Dask cluster, or Ray.

`Pool` holds the settings and opens the workers, `map_unordered` sends items to them. If a process
ends before its item is done (a kill, too little memory, a lost machine), the item is sent again,
in the end while no other item is running, before it counts as lost.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any, Protocol, TypeVar, runtime_checkable

from rnn_exp.fields import SettingError, check, choice, whole
from rnn_exp.sweeps.clusters import Dask, Ray, RefusedByWorker
from rnn_exp.sweeps.processes import NoProcess, ProcessEnded, Processes

__all__ = ["LostWorker", "Pool", "Processes", "ThisProcess", "Workers", "map_unordered"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_SECONDS_BETWEEN_COUNTS = 5.0


class LostWorker(RuntimeError):  # noqa: N818 - it is yielded as a result, never raised
    """The process that worked on an item ended before the item was done, at every attempt."""


@runtime_checkable
class Workers(Protocol):
    """Processes or threads that take items, as many at once as there are of them.

    Attributes:
        in_this_process: whether the calling process does the work itself.
        max_attempts: how often an item is sent before it counts as lost.
        alone_from_attempt: from this attempt on an item is sent only while no other is running,
            since another item may be what ends the processes.
    """

    in_this_process: bool
    max_attempts: int
    alone_from_attempt: int

    def count(self) -> int:
        """Return how many workers there are now."""
        ...

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Send an item to a worker and return the future of ``function(item)``.

        Raises:
            BrokenExecutor: if a worker has ended, and `recover` has to be called first.
        """
        ...

    def stop_check(self) -> Callable[[], object] | None:
        """Return what an item's function has to call often so that it can be stopped, or None."""
        ...

    def recover(self) -> None:
        """Make the workers usable again after one of them has ended."""
        ...

    def close(self) -> None:
        """Stop all workers at once, whatever they are doing."""
        ...


class ThisProcess:
    """The calling process as the only worker."""

    in_this_process, max_attempts, alone_from_attempt = True, 1, 2

    def count(self) -> int:
        """Return 1."""
        return 1

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Call the function now and return its result as a future."""
        future: Future[Result] = Future()
        future.set_result(function(item))
        return future

    def stop_check(self) -> None:
        """Return None: Ctrl-C reaches this process by itself."""

    def recover(self) -> None:
        """Do nothing: if this process ends, nothing is left to recover."""

    def close(self) -> None:
        """Do nothing: nothing was started."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Settings of the workers.

    ``backend``: where chunks are trained, on this machine or on a Dask or Ray cluster.
    ``processes``: how many processes of this machine; 1 is the calling process itself.
    ``address``: of Dask's scheduler (``tcp://host:8786``) or of Ray's head (null: a Ray cluster is
    started on this machine, with as many ``processes``).

    Raises:
        SettingError: for an unknown backend, or Dask without an address.
    """

    backend: str = choice("processes", ["processes", "dask", "ray"])
    processes: int = whole(1, least=1)
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that are not possible."""
        check(self)
        if not isinstance(self.address, str | None):
            raise SettingError("address", self.address, "a text such as tcp://host:8786, or null")
        if self.backend == "processes" and self.address is not None:
            mend = "null with backend=processes, which are of this machine; or backend=dask or ray"
            raise SettingError("address", self.address, mend)
        if self.backend == "dask" and self.address is None:
            raise SettingError(
                "address", "null", "the address of a Dask scheduler, tcp://host:8786"
            )

    def open(self) -> "Workers":
        """Start the processes, or connect to the cluster.

        Returns:
            The workers; the caller closes them.

        Raises:
            SettingError: if the library for it is not installed.
            ConnectionError: if the cluster cannot be reached.
        """
        if self.backend == "dask":
            return Dask(str(self.address))
        if self.backend == "ray":
            return Ray(self.address, self.processes)
        return ThisProcess() if self.processes == 1 else Processes(self.processes)


def map_unordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: Workers,
    at_once: int | None = None,
) -> Iterator[tuple[Item, Result | LostWorker]]:
    """Yield every item with what ``function`` returns for it, in the order in which they finish.

    Items are taken from the iterable one by one, when a worker is free or about to be.

    Args:
        function: what a worker calls. It must not raise: an exception is taken for the end of a
            worker, and the item is sent again.
        items: what is sent.
        workers: open workers.
        at_once: how many items may be with the workers at a time; None: as many as they can take.

    Raises:
        ConnectionError: if the cluster is gone, a worker refuses what it is sent, or no process can
            be started.
    """
    source, retries = iter(items), deque[tuple[Item, int]]()
    running: dict[Future[Result], tuple[Item, int]] = {}
    while True:
        lost_one = not _send(function, source, retries, running, workers, at_once)
        if not running and not lost_one:
            return
        # Workers of a cluster may come later: they are counted again even if no item finishes.
        for future in wait(running, _SECONDS_BETWEEN_COUNTS, FIRST_COMPLETED).done:
            item, attempt = running.pop(future)
            error = _exception_of(future)
            if error is None:
                result = future.result()
                if isinstance(result, RefusedByWorker):
                    raise result
                yield item, result
                continue
            if isinstance(error, NoProcess):
                raise error
            lost_one = True
            if attempt < workers.max_attempts:
                retries.append((item, attempt + 1))
            else:
                yield item, _lost(error)
        if lost_one:
            workers.recover()


def _send(
    function: Callable[[Item], Result],
    source: Iterator[Item],
    retries: deque[tuple[Item, int]],
    running: dict[Future[Result], tuple[Item, int]],
    workers: Workers,
    at_once: int | None,
) -> bool:
    """Send as many items as the workers can take; return whether all could be sent."""
    capacity = 2 * workers.count() if at_once is None else at_once
    for item, attempt in _to_send(source, retries, running, capacity, workers.alone_from_attempt):
        try:
            running[workers.submit(function, item)] = (item, attempt)
        except BrokenExecutor:  # a worker ended a moment ago; this was no attempt
            retries.appendleft((item, attempt))
            return False
    return True


def _to_send(
    source: Iterator[Item],
    retries: deque[tuple[Item, int]],
    running: dict[Future[Result], tuple[Item, int]],
    capacity: int,
    alone_from_attempt: int,
) -> Iterator[tuple[Item, int]]:
    """Yield the items to send now, each with the number of the attempt.

    ``running`` is read anew after each item: the caller adds what it has sent.
    """
    if any(attempt >= alone_from_attempt for _, attempt in running.values()):
        return
    while len(running) < capacity:
        if retries and retries[0][1] < alone_from_attempt:
            yield retries.popleft()
        elif retries:
            if not running:
                yield retries.popleft()
            return
        else:
            try:
                item = next(source)
            except StopIteration:
                return
            yield item, 1


def _lost(error: BaseException) -> LostWorker:
    how = str(error) if isinstance(error, ProcessEnded) else type(error).__name__
    return LostWorker(f"its process ended before it was done ({how})")


def _exception_of(future: "Future[Any]") -> BaseException | None:
    """Return what a future's function raised, or None; pass Ctrl-C on to the caller."""
    try:
        return future.exception()
    except BaseException as error:  # a cancelled future raises here instead of returning
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return error
