"""Several hosts on one machine: network namespaces, joined by a slow cable that loses packets. Root on Linux only.

The cable is a thread that carries IP packets between TUN devices, since a kernel may come without `tc`'s netem.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pocketgan.training.processes import ANSWER_SECONDS
from soak.runs import Count, make_data

DELAY_SECONDS, LOSS = 0.02, 0.01  # of every packet, one way
TUN_SET, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001
STEPS, BATCH, SHARDS = 60, 16, 4
CAN_JOIN = sys.platform == "linux" and os.geteuid() == 0 and Path("/dev/net/tun").exists()


class Host(NamedTuple):
    """A network namespace."""

    name: str
    address: str

    def command(self, *words: object) -> list[str]:
        """The command that runs these words there."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]


@contextmanager
def joined(count: int) -> Iterator[list[Host]]:
    """So many hosts, and the cable between them."""
    hosts = [Host(f"pocketgan{number}", f"10.77.0.{number}") for number in range(1, count + 1)]
    ends: dict[bytes, int] = {}
    ended = threading.Event()
    cable = threading.Thread(target=_carry, args=(ends, ended), daemon=True)
    try:
        for host in hosts:
            end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            ends[bytes(map(int, host.address.split(".")))] = end
            device = f"cable{host.name[-1]}"
            fcntl.ioctl(end, TUN_SET, struct.pack("16sH", device.encode(), TUN_WITHOUT_HEADER))
            _ip("netns", "add", host.name)
            _ip("link", "set", device, "netns", host.name)
            for words in (
                ("link", "set", "lo", "up"),
                ("addr", "add", f"{host.address}/24", "dev", device),
                ("link", "set", device, "up"),
            ):
                _ip("-n", host.name, *words)
        cable.start()
        yield hosts
    finally:
        ended.set()
        if cable.ident is not None:
            cable.join()
        for end in ends.values():
            os.close(end)
        for host in hosts:
            subprocess.run(["ip", "netns", "del", host.name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _carry(ends: dict[bytes, int], ended: threading.Event) -> None:
    """Every packet to the end that it is addressed to, later, or never."""
    chance, number, under_way = random.Random(0), 0, list[tuple[float, int, int, bytes]]()
    while not ended.is_set():
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 0.2
        for end in select.select(list(ends.values()), [], [], min(wait, 0.2))[0]:
            packet = os.read(end, 65536)
            target = ends.get(packet[16:20]) if packet[0] >> 4 == 4 else None
            if target is not None and chance.random() >= LOSS:
                number += 1
                heapq.heappush(under_way, (time.monotonic() + DELAY_SECONDS, number, target, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(under_way)
            os.write(target, packet)


def _launched(
    hosts: Sequence[Host], each: Sequence[int], data: Path, out: Path, steps: int
) -> list[subprocess.Popen[str]]:
    """A training on these hosts, so many processes on each; the first hosts the rendezvous."""
    running = []
    for number, (host, processes) in enumerate(zip(hosts, each, strict=True)):
        nodes = ["--nnodes", len(hosts), "--nproc-per-node", processes]
        meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{hosts[0].address}:29500", "--rdzv-id", out.name]
        here = ["--local-addr", host.address, "--rdzv-conf", f"is_host={str(number == 0).lower()}"]
        budget = ["--nimg", steps * BATCH, "--batch-size", BATCH, "--shards", SHARDS]
        training = ["train", "mlp", "--data", data, "--out", out, *budget, "--device", "cpu"]
        launcher = [sys.executable, "-m", "torch.distributed.run", *nodes, *meeting, *here]
        words = [*launcher, "-m", "pocketgan", *training]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": f"cable{number + 1}"}
        log = out.with_name(f"{out.name}-{host.name}.log").open("w")
        running.append(subprocess.Popen(host.command(*words), env=environment, stdout=log, stderr=log, text=True))
        log.close()
    return running


def _weights(out: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((out / "model").glob("*.safetensors"))]


def _said(out: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(out.parent.glob(f"{out.name}-*.log")))


def same_bytes(folder: Path) -> Count:
    """One host, two and three give the same weights, over a cable that delays by 20 ms and loses 1 % of the packets."""
    folder.mkdir()
    data, failed = make_data(folder), list[str]()
    weights = []
    for number, each in enumerate(((1,), (1, 1), (2, 1, 1))):
        out = folder / f"hosts-{len(each)}"
        with joined(len(each)) as hosts:
            codes = [one.wait(900) for one in _launched(hosts, each, data, out, STEPS)]
        weights.append(_weights(out))
        if any(codes) or len(weights[number]) != 2 or weights[number] != weights[0]:
            failed.append(f"{len(each)} hosts: codes {codes}, {_said(out)[-400:]}")
    return Count(f"{STEPS} steps of mlp on 1, 2 and 3 hosts, 20 ms apart with 1 % loss, the same bytes", 3, failed)


def stopped_peer(folder: Path) -> Count:
    """A process that is stopped, not killed, on another host: the first one says so in a line, within its time-out."""
    folder.mkdir()
    data, out, failed = make_data(folder), folder / "stopped", list[str]()
    with joined(2) as hosts:
        running = _launched(hosts, (1, 1), data, out, 100_000)
        try:
            _wait_for(out / "events.jsonl", 300)
            time.sleep(5)
            for victim in _workers(1):
                os.kill(victim, signal.SIGSTOP)
            began = time.monotonic()
            code = running[0].wait(3 * ANSWER_SECONDS)
            seconds = time.monotonic() - began
            if code == 0 or seconds > 2 * ANSWER_SECONDS or "did not answer" not in _said(out):
                failed.append(f"code {code} after {seconds:.0f} s: {_said(out)[-400:]}")
            if (out / "model").exists():
                failed.append("a model was saved")
        finally:
            for victim in _workers(1):
                os.kill(victim, signal.SIGKILL)
            for one in running:
                one.kill()
                one.wait()
    return Count(f"a stopped process on another host ends the training in a line within {ANSWER_SECONDS} s", 1, failed)


def _wait_for(path: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > end:
            raise AssertionError(f"{path} did not come")
        time.sleep(0.2)


def _workers(rank: int) -> list[int]:
    """The processes of a rank, by their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"\0RANK={rank}\0".encode() in b"\0" + (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
