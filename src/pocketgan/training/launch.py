"""`train --processes N`: the same command in N processes of this machine, by torchrun's own launcher."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from typing import NoReturn

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

SHUTDOWN_SECONDS = 60  # to save in, after a signal


def launch(count: int, threads: int, words: list[str]) -> NoReturn:
    """Run ``pocketgan WORDS`` in `count` processes, and exit as the first of them that failed.

    Each computes with so many threads, whatever the number of processes, so that the result is the same for any.

    Raises
    ------
    SystemExit
        Always: 0 where all ended well, else the code of the process that failed first.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    logging.disable(logging.CRITICAL)  # our processes speak for themselves
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        rdzv_configs={"is_host": True},  # else a machine whose name resolves to another address waits for itself
        local_addr="127.0.0.1",
        max_restarts=0,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "pocketgan", *words)
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in sorted(error.failures.values(), key=lambda each: each.timestamp)]
        codes = [code if code > 0 else 128 - code for code in codes]  # a signal's is negative
        raise SystemExit(next((code for code in codes if code < 128), codes[0])) from None  # it stops those that live
    except SignalException as error:
        raise SystemExit(128 + int(error.sigval)) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    raise SystemExit(0)
