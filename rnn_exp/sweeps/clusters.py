"""Clusters: Dask and Ray as workers that take items, each through futures of the standard library.

Neither is spoken to through joblib, whose loop waits for ever for what a killed Dask worker had in
hand, and whose Ray backend loses all results when one process dies.
"""

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from rnn_exp.fields import SettingError

__all__ = ["Dask", "Ray"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_PATIENCE = 10  # seconds for a cluster to answer
_SILENT = logging.CRITICAL + 1


class Dask:
    """The workers of a Dask cluster; its scheduler gives a dead worker's items to another.

    It does so ``distributed.scheduler.allowed-failures`` times (3), and holds whatever waits at a
    dead worker for suspect as well. So an item that has failed is handed over once more, alone.
    """

    is_here, tries, alone = False, 2, 2

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise _not_installed("dask") from None
        library: Any = distributed  # it has types in part
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(_SILENT)  # what goes wrong is raised as well
        try:
            library.comm.resolve_address(address)  # a client with a wrong address cannot be closed
            self.client = library.Client(address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError) as error:
            raise _no_answer("Dask scheduler", address, error) from None
        self.address, self.executor = address, self.client.get_executor(pure=False)

    def count(self) -> int:
        """Return how many threads the workers have; 1 if there is none yet."""
        try:
            return max(1, sum(self.client.ncores().values()))
        except (OSError, ValueError):  # the latter: the client has given up
            raise ConnectionError(f"the Dask scheduler at {self.address} is gone") from None

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Hand an item over."""
        return self.executor.submit(_if_wanted, function, item)

    def look(self) -> Callable[[], object]:
        """Return what an item's function calls from time to time: it ends what is not wanted."""
        return _stop_if_unwanted

    def mend(self) -> None:
        """Make sure that there is somebody to hand an item to."""
        self.count()

    def close(self) -> None:
        """Take back what is in hand."""
        self.executor.shutdown(wait=False)
        self.client.close()


def _if_wanted(function: Callable[[Item], Result], item: Item) -> Result:
    try:
        return function(item)
    except KeyboardInterrupt:  # it would end the worker
        raise RuntimeError("nobody waits for this any more") from None


def _stop_if_unwanted() -> None:
    """Interrupt a task that was taken back: Dask itself can only wait until it ends.

    Raises:
        KeyboardInterrupt: if the sweep was stopped, or its process is no more.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    task = worker.state.tasks.get(worker.get_current_task())
    if task is None or task.state == "cancelled":
        raise KeyboardInterrupt


class Ray:
    """The processes of a Ray cluster; Ray starts a dead one's item again, three times.

    They take one item each, so nothing else is harmed by the one that kills its process.
    """

    is_here, tries, alone = False, 1, 2

    def __init__(self, address: str | None, processes: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a sweep is nobody else's business
        if address is None:  # only this machine may speak to it; Ray does so on others than Linux
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        try:
            import ray
        except ImportError:
            raise _not_installed("ray") from None
        self.ray: Any = ray
        where = {"address": address} if address else {"address": "local", "num_cpus": processes}
        try:
            _reach(os.environ.get("RAY_ADDRESS") if address == "auto" else address)
            self.ray.init(
                **where, log_to_driver=False, logging_level=_SILENT, include_dashboard=False
            )
        except (OSError, ValueError) as error:
            raise _no_answer("Ray", address or "this machine", error) from None
        self.call = self.ray.remote(max_retries=3, num_cpus=1)(_call)

    def count(self) -> int:
        """Return how many cores the cluster has."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[[Item], Result], item: Item) -> "Future[Result]":
        """Hand an item over."""
        return self.call.remote(function, item).future()

    def look(self) -> None:
        """Return nothing to call: Ray ends the processes of a sweep with it."""

    def mend(self) -> None:
        """Do nothing: Ray does."""

    def close(self) -> None:
        """End the processes."""
        self.ray.shutdown()


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _reach(address: str | None) -> None:
    """Knock at the head's door: Ray itself tries for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and "/" not in host and port.isdigit():
        socket.create_connection((host, int(port)), _PATIENCE).close()


def _no_answer(who: str, address: str, error: Exception) -> ConnectionError:
    told = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return ConnectionError(f"no {who} answers at {address}: {told}")


def _not_installed(backend: str) -> SettingError:
    return SettingError(
        "backend", backend, f"what is installed; pip install 'rnn-exp[{backend}]' brings it"
    )
