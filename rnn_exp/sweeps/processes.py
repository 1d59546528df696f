"""Processes of this machine as workers, forked from one that has imported what they need.

Each has a pipe to this process and a thread here that waits for what it returns. There are no
queues and no locks between processes, hence no semaphores that a kill would leave in the system;
and where a process ends, only the item that it had is lost. The process that forks the others (the
fork server of `multiprocessing`) may end as well: it is started again.

This process alone holds its end of a pipe. So where it ends, however it does, the other end sees
that, and the process there ends as well.
"""

import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

__all__ = ["NoProcess", "ProcessEnded", "Processes"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# What every worker needs, soon or, as the last, at its end: they import it once for all.
_IMPORTED = ["rnn_exp.sweeps.worker", "scipy.special"]
_MOST_STARTS = 10  # how often a process is started, one time after the other, before it is given up
_SECONDS_BETWEEN_STARTS = 0.2
_SECONDS_TO_END = 1.0  # until how a process ended is known


class NoProcess(ConnectionError):  # noqa: N818 - what there is not
    """This machine lets no process start, or ends each as it starts."""


class ProcessEnded(BrokenExecutor):
    """A process ended before it had returned anything; says by which signal, or with which code."""


class _Process(NamedTuple):
    process: multiprocessing.process.BaseProcess
    pipe: "Connection[Any, Any]"

    def ask(self, request: bytes) -> bytes:
        """Send a request and wait for the answer."""
        self.pipe.send_bytes(request)
        return self.pipe.recv_bytes()

    def kill(self) -> None:
        """Kill the process, and wake the thread that waits for its answer.

        The process ends as its pipe does. The signal is for one that is stopped or hangs; it is not
        sent where the fork server has ended: the number may be that of another process by then.
        """
        end = socket.socket(fileno=self.pipe.fileno())
        try:
            end.shutdown(socket.SHUT_RDWR)
        finally:
            end.detach()
        if self.process.is_alive():
            self.process.kill()

    def end(self) -> str:
        """End the process, if it does not end by itself, and say how it did."""
        self.pipe.close()
        self.process.join(_SECONDS_TO_END)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join(_SECONDS_TO_END)
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
        self.context.set_forkserver_preload(_IMPORTED)
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
                one.kill()
        self.threads.shutdown(wait=True, cancel_futures=True)
        for one in self.all:
            one.end()

    def _call(self, function: Callable[[Item], Result], item: Item) -> Result:
        """Let a process do the work; this thread waits for it."""
        request = bytes(ForkingPickler.dumps((function, item)))
        with self.lock:
            one = self.idle.pop() if self.idle else None
        if one is None:
            with self.starting:  # one at a time: the fork server is not made for more
                one = self._start()
        try:
            answer = one.ask(request)
        except (EOFError, OSError):
            raise ProcessEnded(self._give_up(one)) from None
        except Exception:  # there was no memory for the answer, say: the pipe is in the midst of it
            self._give_up(one)
            raise
        with self.lock:
            self.idle.append(one)
        result: Result
        error: Exception | None
        result, error = ForkingPickler.loads(answer)
        if error is not None:
            raise error
        return result

    def _give_up(self, one: _Process) -> str:
        """End a process, and say how it ended; another one will take its place."""
        with self.lock:
            if self.closed.is_set():
                return "closed"  # `close` ends it
            self.all.remove(one)
        return one.end()

    def _start(self) -> _Process:
        """Start a process, and the fork server before it if that has ended.

        Raises:
            NoProcess: if that fails time after time.
            ProcessEnded: if the pool is closed meanwhile.
        """
        for attempt in range(_MOST_STARTS):
            if self.closed.wait(_SECONDS_BETWEEN_STARTS * attempt):
                raise ProcessEnded("closed")
            here, there = self.context.Pipe()
            process = self.context.Process(target=_serve, args=(there,), daemon=True)
            try:
                with _ctrl_c_held_back():
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
                    one.kill()
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


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Let the processes that this thread starts here never get Ctrl-C, not even as they import.

    What a thread holds back is held back in the processes that it starts, and in those that they
    start. The main thread of this process still gets Ctrl-C; a kill (SIGTERM) reaches them all.
    """
    resource_tracker.ensure_running()  # where `multiprocessing` starts it, it lets Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Do what the parent process asks for, item after item, until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also if another library began the fork server
    requests = SimpleQueue[bytes]()
    threading.Thread(target=_listen, args=(pipe, requests), daemon=True).start()
    while True:
        answer = _answer(requests.get())
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _listen(pipe: "Connection[Any, Any]", requests: SimpleQueue[bytes]) -> None:
    """Take the requests; end this process with the parent, whatever it is doing."""
    try:
        while True:
            requests.put(pipe.recv_bytes())
    finally:
        os._exit(1)


def _answer(request: bytes) -> bytes:
    """Return what a function returns for an item, or the error that it raises, as bytes."""
    try:
        function, item = ForkingPickler.loads(request)
        return bytes(ForkingPickler.dumps((function(item), None)))
    except Exception as error:
        try:
            answer = bytes(ForkingPickler.dumps((None, error)))
            ForkingPickler.loads(answer)  # some errors can be written but not read
        except Exception:
            return bytes(
                ForkingPickler.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
            )
        return answer
