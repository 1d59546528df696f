"""Dask and Ray as workers, through the futures of the standard library that both offer.

joblib is not used: its Dask backend waits for ever for a task whose worker was killed, and its Ray
backend loses all results when one process dies.
"""

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from rnn_exp.fields import SettingError

__all__ = ["Dask", "Ray", "RefusedByWorker"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONNECT_SECONDS = 10  # how long a cluster has to answer
_NO_MESSAGES = logging.CRITICAL + 1


class RefusedByWorker(ConnectionError):  # noqa: N818 - it is returned, then raised
    """A worker cannot make the runs that it was sent: it has other sources, or lacks a file."""


class Dask:
    """The workers of a Dask cluster.

    The scheduler itself sends a dead worker's items to other workers, up to
    ``distributed.scheduler.allowed-failures`` times (3), but counts a failure for every item that
    waited at the dead worker. So an item that has failed is sent once more, alone.

    Args:
        address: of the scheduler, ``tcp://host:8786``.

    Raises:
        SettingError: if Dask is not installed.
        ConnectionError: if no scheduler answers.
    """

    in_this_process, max_attempts, alone_from_attempt = False, 2, 2

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise _not_installed("dask") from None
        library: Any = distributed  # only a part of it has types
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(_NO_MESSAGES)  # its errors are raised as well
        try:
            library.comm.resolve_address(address)  # a client with a wrong address cannot be closed
            self.client = library.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except Exception as error:  # what is raised depends on the scheme of the address
            raise _unreachable("Dask scheduler", address, error) from None
        self.address, self.executor = address, self.client.get_executor(pure=False)

    def count(self) -> int:
        """Return how many threads the workers have; 1 if there is no worker yet.

        Raises:
            ConnectionError: if the scheduler is gone.
        """
        try:
            return max(1, sum(self.client.ncores().values()))
        except (OSError, ValueError):  # ValueError: the client has stopped trying
            raise ConnectionError(f"the Dask scheduler at {self.address} is gone") from None

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Send an item to the cluster and return the future of ``function(item)``."""
        return self.executor.submit(_call_on_dask, _packed(function, item))

    def stop_check(self) -> Callable[[], object]:
        """Return what an item's function has to call often, so that it stops when cancelled."""
        return _stop_if_cancelled

    def recover(self) -> None:
        """Check that the scheduler is there; it replaces workers by itself."""
        self.count()

    def close(self) -> None:
        """Cancel all items and disconnect; the workers stay."""
        self.executor.shutdown(wait=False)
        self.client.close()


class Ray:
    """The processes of a Ray cluster, one item each; Ray restarts a dead one's item three times.

    Args:
        address: of the head; None starts a cluster on this machine.
        processes: how many processes such a cluster of its own has.

    Raises:
        SettingError: if Ray is not installed.
        ConnectionError: if no cluster answers, or none can be started.
    """

    in_this_process, max_attempts, alone_from_attempt = False, 1, 2

    def __init__(self, address: str | None, processes: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send no usage statistics
        if address is None:  # only this machine may connect; Ray does so by itself on Linux alone
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        try:
            import ray
        except ImportError:
            raise _not_installed("ray") from None
        self.ray: Any = ray
        where = {"address": address} if address else {"address": "local", "num_cpus": processes}
        try:
            _check_connection(os.environ.get("RAY_ADDRESS") if address == "auto" else address)
            self.ray.init(
                **where, log_to_driver=False, logging_level=_NO_MESSAGES, include_dashboard=False
            )
        except (OSError, ValueError) as error:
            raise _unreachable("Ray", address or "this machine", error) from None
        self.call = self.ray.remote(max_retries=3, num_cpus=1)(_call)

    def count(self) -> int:
        """Return how many cores the cluster has."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Send an item to the cluster and return the future of ``function(item)``."""
        return self.call.remote(_packed(function, item)).future()

    def stop_check(self) -> None:
        """Return None: Ray ends its processes with the sweep."""

    def recover(self) -> None:
        """Do nothing: Ray replaces dead processes by itself."""

    def close(self) -> None:
        """Disconnect, which ends the processes of this sweep."""
        self.ray.shutdown()


def _packed(function: Callable[[Item], Result], item: Item) -> bytes:
    """Return a call as bytes, so that nobody but the worker takes it apart.

    Files of a user are run as the runs that need them are unpacked: Dask's scheduler would run them
    too, and what is refused there would look like a worker that ended.
    """
    return bytes(ForkingPickler.dumps((function, item)))


def _call_on_dask(packed: bytes) -> object:
    try:
        return _call(packed)
    except KeyboardInterrupt:  # raised by _stop_if_cancelled; it would end the worker itself
        raise RuntimeError("the sweep was stopped") from None


def _stop_if_cancelled() -> None:
    """Interrupt the current task if it was cancelled: Dask itself only waits until it ends.

    Raises:
        KeyboardInterrupt: if the sweep was stopped, or its process has ended.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    if task is None or task.state == "cancelled":
        raise KeyboardInterrupt


def _call(packed: bytes) -> object:
    """Make a call in the worker; return `RefusedByWorker` if its runs cannot be made there."""
    try:
        function, item = ForkingPickler.loads(packed)
    except Exception as error:
        return RefusedByWorker(f"a worker refused its runs: {' '.join(str(error).split())}")
    return function(item)


def _check_connection(address: str | None) -> None:
    """Connect to the head once, with a time limit: Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()


def _unreachable(what: str, address: str, error: Exception) -> ConnectionError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return ConnectionError(f"no {what} answers at {address}: {reason}")


def _not_installed(backend: str) -> SettingError:
    return SettingError(
        "backend", backend, f"what is installed; pip install 'rnn-exp[{backend}]' brings it"
    )
