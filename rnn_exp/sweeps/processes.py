"""Processes of this machine as workers, forked from one that has imported what they need.

Each has a pipe to this process and a thread here that waits for what it returns. There are no
queues and no locks between processes, hence no semaphores that a kill would leave in the system;
and where a process ends, only the item that it had is lost. The process that forks the others (the
fork server of `multiprocessing`) may end as well: it is started again.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

__all__ = ["NoProcess", "ProcessEnded", "Processes"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_STARTS = 10  # how often a process is started, one time after the other, before it is given up
_SECONDS_BETWEEN_STARTS = 0.2
_SECONDS_TO_END = 1.0  # until how a process ended is known
_SECONDS_BETWEEN_PARENT_CHECKS = 0.5


class NoProcess(ConnectionError):  # noqa: N818 - what there is not
    """This machine lets no process start, or ends each as it starts."""


class ProcessEnded(BrokenExecutor):
    """A process ended before it had returned anything; says by which signal, or with which code."""


class _Process(NamedTuple):
    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"

    def end(self) -> str:
        """End the process, if it does not end by itself, and say how it did."""
        self.pipe.close()
        self.process.join(_SECONDS_TO_END)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        return _in_words(code)


class Processes:
    """Processes of this machine, forked from one that has imported what they need.

    Args:
        count: how many processes.
    """

    in_this_process, max_attempts, alone_from_attempt = False, 4, 3

    def __init__(self, count: int) -> None:
        self.processes = count
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rnn_exp.sweeps.worker"])
        self.threads = ThreadPoolExecutor(count)
        self.starting, self.lock, self.closed = (
            threading.Lock(),
            threading.Lock(),
            threading.Event(),
        )
        self.idle, self.all = list[_Process](), list[_Process]()

    def count(self) -> int:
        """Return how many processes there are."""
        return self.processes

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Send an item to a process and return the future of ``function(item)``.

        The future raises `ProcessEnded` if the process ends, and `NoProcess` if none will start.

        Raises:
            NoProcess: if this process itself can have no more threads.
        """
        try:
            return self.threads.submit(self._call, function, item)
        except RuntimeError as error:
            raise _refusal(error) from None

    def stop_check(self) -> None:
        """Return None: `close` kills the processes."""

    def recover(self) -> None:
        """Do nothing: a process that has ended is replaced when the next item is sent."""

    def close(self) -> None:
        """Kill the processes."""
        self.closed.set()
        with self.lock:
            for one in self.all:
                one.process.kill()
        self.threads.shutdown(wait=True, cancel_futures=True)
        for one in self.all:
            one.end()

    def _call(self, function: Callable[[Item], Result], item: Item) -> Result:
        """Let a process do the work; this thread waits for it."""
        with self.lock:
            one = self.idle.pop() if self.idle else None
        if one is None:
            with self.starting:  # one at a time: the fork server is not made for more
                one = self._start()
        try:
            one.pipe.send((function, item))
            result, error = one.pipe.recv()
        except (EOFError, OSError):
            if self.closed.is_set():
                raise ProcessEnded("closed") from None
            with self.lock:
                self.all.remove(one)
            raise ProcessEnded(one.end()) from None
        with self.lock:
            self.idle.append(one)
        if error is not None:
            raise error
        return result

    def _start(self) -> _Process:
        """Start a process, and the fork server before it if that has ended.

        Raises:
            NoProcess: if that fails time after time.
        """
        for attempt in range(_MOST_STARTS):
            if self.closed.is_set():
                raise ProcessEnded("closed")
            time.sleep(_SECONDS_BETWEEN_STARTS * attempt)
            here, there = self.context.Pipe()
            process = self.context.Process(target=_serve, args=(there, os.getpid()), daemon=True)
            try:
                process.start()
            except (EOFError, OSError, RuntimeError) as error:  # the fork server has just ended
                here.close()
                refusal = _refusal(error)
                continue
            finally:
                there.close()
            one = _Process(process, here)
            with self.lock:
                self.all.append(one)
                if self.closed.is_set():
                    one.process.kill()
            return one
        raise refusal


def _refusal(error: Exception) -> NoProcess:
    why = " ".join(str(error).split()) or "the process that starts the others ends"
    return NoProcess(
        f"no process can be started beside this one: {why} (is `ulimit -u` too low? "
        "hydra.launcher.processes=1 needs none)"
    )


def _in_words(code: int | None) -> str:
    """Say how a process ended, from its exit code."""
    if code is None or code == 255:  # of one whose fork server had ended before it
        return "its end was not seen"
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _serve(pipe: "Connection[Any, Any]", parent: int) -> None:
    """Do what the parent process asks for, item after item, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is left to the parent process
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    while True:
        try:
            function, item = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send((function(item), None))
        except Exception as error:
            pipe.send((None, error))


def _end_with(parent: int) -> None:
    """End this process when the parent has ended, whatever it is doing."""
    while _is_alive(parent):
        time.sleep(_SECONDS_BETWEEN_PARENT_CHECKS)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
