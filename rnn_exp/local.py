"""Local workers: this process itself, or processes beside it."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

__all__ = ["Here", "Processes"]

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
        self.context.set_forkserver_preload(["rnn_exp.worker"])
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
