"""A dask cluster that the user started: connected to by its scheduler's address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from eo_contrast.errors import InputError

CONNECT_SECONDS = 20


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
