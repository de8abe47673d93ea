"""A dask cluster that the user started: connected to by its scheduler's address."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from eo_contrast.errors import InputError, WorldError

CONNECT_SECONDS = 20
RETRIES = 3


@dataclass(frozen=True)
class Cluster:
    """A connection.

    Attributes:
        client: of dask.distributed.
        workers: how many there are, 1 or more.
        dask: the module ``distributed``.
    """

    client: Any
    workers: int
    dask: Any


def results_in_order(
    cluster: Cluster, address: str, calls: Iterable[tuple[Any, ...]], *, a_worker: int
) -> Iterator[Any]:
    """What calls return, in their order, a few of which a worker has at a time.

    Args:
        address: of the scheduler, for the message.
        calls: each a function that a worker can import, and its arguments.
        a_worker: calls that wait or run for each worker, at most.

    Raises: WorldError: the workers were lost.
    """
    lost = (cluster.dask.KilledWorker, cluster.dask.CancelledError)
    waiting: deque[Any] = deque()
    try:
        for call in calls:
            waiting.append(cluster.client.submit(*call, pure=False, retries=RETRIES))
            if len(waiting) >= a_worker * cluster.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except lost as error:
        raise WorldError(f"--scheduler {address}: its workers were lost ({error})") from error
    finally:
        cluster.client.cancel(list(waiting))


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to the scheduler at ``address``, as tcp://host:8786.

    Raises: InputError: dask is not installed, no scheduler answers there, or it has no workers.
    """
    try:
        distributed = import_module("distributed")
    except ImportError as error:
        raise InputError(
            "--scheduler: dask is not installed; pip install 'eo-contrast[cluster]'"
        ) from error
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise InputError(
            f"--scheduler {address}: no dask scheduler answers there ({error}); "
            "give its address, as tcp://host:8786"
        ) from error
    with client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        if count == 0:
            raise InputError(f"--scheduler {address}: has no workers; start some and run again")
        yield Cluster(client, count, distributed)
