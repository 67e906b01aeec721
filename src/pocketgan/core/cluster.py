"""Who does a work of many parts: this machine, or Ray. The one door to Ray."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pocketgan.core.errors import PocketganError, UsageError, nearest

ENGINES = ("local", "ray")
CONNECT_SECONDS = 5.0
RETRIES = 3  # of a task whose worker or machine was lost


def check_engine(engine: str, address: str | None) -> None:
    """Refuse an engine that there is not, and an address without Ray.

    Raises
    ------
    UsageError
        So it is.
    """
    if engine not in ENGINES:
        raise UsageError(f"--engine {engine} is unknown{nearest(engine, ENGINES)}")
    if address is not None and engine != "ray":
        raise UsageError(f"--address {address} is that of a Ray cluster; add --engine ray, or leave it out")


@contextmanager
def ray_cluster(address: str | None, lost: str) -> Iterator[Any]:
    """Ray, connected for the length of the block: to the cluster at the address, or to one of this machine alone.

    Parameters
    ----------
    address
        ``HOST:PORT``, or ``auto`` for the one that runs here.
    lost
        What to say where Ray itself fails in the block: what it lost, and what to do.

    Raises
    ------
    UsageError
        The extra is not installed, or there is no cluster at the address.
    PocketganError
        Ray failed.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("--engine ray needs the extra: pip install '.[ray]' in pocketgan's source folder") from error
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself would ask for minutes
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())
        if address is None:
            raise PocketganError(f"--engine ray: Ray does not start on this machine ({told})") from error
        raise UsageError(f"--address {address}: no Ray cluster answers ({told}); leave it out, or auto") from error
    try:
        yield ray
    except ray.exceptions.RayError as error:
        lines = str(getattr(error, "cause", None) or error).strip().splitlines()
        raise PocketganError(f"{lost}: {lines[0] if lines else type(error).__name__}") from error
    finally:
        ray.shutdown()
