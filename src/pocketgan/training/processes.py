"""Several processes that train one pair: how they find one another, what they add up, what the first says.

They are started by torchrun, or by `train --processes`. The first of them leads: it alone knows the run's folder, and
every process computes its shards of each batch. Sums are taken in a fixed binary tree over the shards, so that they are
the same bytes however many processes share them. docs/decisions/0020 says why torch's own DistributedDataParallel is
not used.
"""

from __future__ import annotations

import atexit
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.process import shared_by

ANSWER_SECONDS = 120  # after which a process that does not answer in a step is given up
PREPARE_SECONDS = 3600  # while the first one prepares: a download, a set's clusters, a look at samples
LINE = 1024  # bytes of an error's line
STEPS, GO, END, CHECK, BYE = range(5)  # words of the first process to the others


class Processes:
    """This process among those that train together.

    Attributes
    ----------
    rank
        Its number, from 0; 0 leads.
    count
        How many there are; 1 where nobody shares.
    """

    def __init__(self, rank: int = 0, count: int = 1, device: str = "cpu") -> None:
        self.rank, self.count = rank, count
        self._lost = False  # another process is gone or silent, so nothing more is said
        self._prepared: dist.ProcessGroup | None = None
        self._control: dist.ProcessGroup | None = None
        if count > 1:
            with self._heard():
                backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
                dist.init_process_group(backend, timeout=timedelta(seconds=ANSWER_SECONDS))
                long = timedelta(seconds=PREPARE_SECONDS)
                self._prepared = dist.new_group(backend="gloo", timeout=long)
                # the others wait for the first while it prepares; it never waits that long for them to listen
                answer = long if rank else timedelta(seconds=ANSWER_SECONDS)
                self._control = dist.new_group(backend="gloo", timeout=answer)
            atexit.register(_part)  # or its threads may abort this process as it ends

    # ---- sums ----------------------------------------------------------------------------------------------------

    def shards(self, total: int) -> range:
        """Which of so many shards are this process's own.

        Raises
        ------
        UsageError
            They cannot be shared out evenly.
        """
        if total % self.count:
            fitting = ", ".join(str(count) for count in (1, 2, 4, 8, 16) if total % count == 0)
            raise UsageError(f"{self.count} processes cannot share --shards {total} evenly; start {fitting} of them")
        each = total // self.count
        return range(self.rank * each, (self.rank + 1) * each)

    def total(self, own: Tensor) -> Tensor:
        """The sum over all shards of all processes: ``[own shards, n]`` in, ``[n]`` out, the same bytes everywhere.

        It is taken in a binary tree over the shards by number. Each process adds up one piece for all.
        """
        partial = tree_sum(own)
        if self.count == 1:
            return partial
        width = -(-len(partial) // self.count)
        padded = F.pad(partial, (0, width * self.count - len(partial)))
        pieces, whole = torch.empty_like(padded), torch.empty_like(padded)
        with self._heard():
            dist.all_to_all_single(pieces, padded)
            dist.all_gather(list(whole.view(self.count, width)), tree_sum(pieces.view(self.count, width)))
        return whole[: len(partial)]

    # ---- words ---------------------------------------------------------------------------------------------------

    @property
    def leads(self) -> bool:
        """Whether this process is the first of several."""
        return self.count > 1 and self.rank == 0

    def say(self, word: int) -> None:
        """Tell the others what comes next. Only the first process says anything; alone it says it to nobody."""
        if self.leads and not self._lost:
            self._broadcast(torch.tensor([word]))

    def hear(self) -> int:
        """What the first process says."""
        word = torch.zeros(1, dtype=torch.int64)
        self._broadcast(word)
        return int(word)

    def handed(self, content: bytes | None) -> bytes:
        """The first process's bytes, in every process; the others give None."""
        size = torch.tensor([len(content or b"")])
        self._broadcast(size)
        box = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
        box = box if self.rank == 0 else torch.empty(int(size), dtype=torch.uint8)
        if len(box):
            self._broadcast(box)
        return box.numpy().tobytes()

    def shared(self, rows: Callable[[], Tensor]) -> Tensor:
        """A tensor of row numbers, int64 ``[k]`` on the CPU, that the first process finds for all."""
        if self.count == 1:
            return rows()
        found = rows().contiguous().numpy().tobytes() if self.rank == 0 else None
        return torch.frombuffer(bytearray(self.handed(found)), dtype=torch.int64)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside the block each process prepares by itself. Where one cannot, all end, and the first says why.

        Raises
        ------
        PocketganError
            In the first process: its own error, or another's with that one's number.
        SystemExit
            In the others.
        """
        if self.count == 1:
            yield
            return
        failure: PocketganError | None = None
        try:
            yield
        except PocketganError as error:
            failure = error
        line = b"" if failure is None else str(failure).encode()[: LINE - 1]
        code = 0 if failure is None else failure.exit_code
        own = torch.frombuffer(bytearray([code, *line.ljust(LINE - 1, b"\0")]), dtype=torch.uint8)
        every = [torch.empty_like(own) for _ in range(self.count)]
        with self._heard():
            dist.all_gather(every, own, group=self._prepared)
        failed = [(rank, int(row[0]), bytes(row[1:].tolist())) for rank, row in enumerate(every) if row[0]]
        if not failed:
            return
        rank, code, text = failed[0]
        self._lost = True
        if self.rank:
            raise SystemExit(code)
        if failure is not None:
            raise failure
        kind = UsageError if code == UsageError.exit_code else PocketganError
        raise kind(f"process {rank}: {text.rstrip(bytes(1)).decode(errors='replace')}")

    def check(self, digest: Callable[[], str]) -> None:
        """See that every process holds the same state. The first one calls the others to it by `CHECK`.

        Raises
        ------
        PocketganError
            They differ, in every process.
        """
        if self.count == 1:
            return
        self.say(CHECK)
        own = torch.frombuffer(bytearray(bytes.fromhex(digest())), dtype=torch.uint8)
        every = torch.empty(self.count, len(own), dtype=torch.uint8)
        with self._heard():
            dist.all_gather(list(every), own)
        bad = [str(rank) for rank in range(1, self.count) if not torch.equal(every[rank], every[0])]
        if bad:
            raise PocketganError(
                f"process {', '.join(bad)} holds another state than process 0, so nothing is saved; the machines must "
                "have the same processor kind, torch and threads; the same command goes on from the last checkpoint"
            )

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Around all that the first process does in a training: at its end, whatever it is, it lets the others go."""
        try:
            yield
        finally:
            self.say(BYE)

    def _broadcast(self, tensor: Tensor) -> None:
        with self._heard():
            dist.broadcast(tensor, 0, group=self._control)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Say in one line that another process is gone or silent."""
        try:
            yield
        except RuntimeError as error:  # of gloo and NCCL; a time-out too
            self._lost = True
            raise PocketganError(
                f"another process of this training ended, or did not answer within {ANSWER_SECONDS} s; the same "
                "command goes on from the last checkpoint"
            ) from error


def _part() -> None:
    """Leave the others, if that has not been done."""
    if dist.is_initialized():
        dist.destroy_process_group()


def tree_sum(rows: Tensor) -> Tensor:
    """The sum of rows ``[K, n]``, K a power of two, by neighbours: ((0 + 1) + (2 + 3)) + …"""
    while len(rows) > 1:
        rows = rows[0::2] + rows[1::2]
    return rows[0]


@cache
def processes() -> Processes:
    """This process as torchrun's environment describes it; alone without one. It waits for the others to come.

    Raises
    ------
    PocketganError
        They do not come.
    """
    count = shared_by()
    if count == 1:
        return Processes()
    if platform.system() == "Linux" and os.environ.get("MASTER_ADDR") in ("127.0.0.1", "localhost"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else gloo asks what the machine's name resolves to
    return Processes(int(os.environ["RANK"]), count, "cuda" if torch.cuda.is_available() else "cpu")
