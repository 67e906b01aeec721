"""Point 3 once more: inputs led by the branches that they reach (atheris, libFuzzer), where mutants are blind.

atheris takes its process over, and must see the package before anything else imports it: each kind runs in a new one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from soak.runs import Count

CAN_LEAD = find_spec("atheris") is not None
TESTS = Path(__file__).parent.parent
MOST_BYTES = 8192  # of an input
EXECUTED = re.compile(r"stat::number_of_executed_units: *(\d+)")


def of_kind(folder: Path, name: str, seconds: int) -> Count:
    """Lead inputs of one kind from whole files to new branches, for so long; each must load or cost one line."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join([str(TESTS), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "soak.guided", str(folder), name, str(seconds)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    found = EXECUTED.search(done.stderr)
    failed = (folder / "failed").read_text().splitlines() if (folder / "failed").exists() else []
    if done.returncode != 0 or found is None:
        failed.append(f"{name}: the process ends with {done.returncode}: {done.stderr[-300:]}")
    return Count(f"inputs led by coverage: {name}", int(found[1]) if found else 0, failed)


def _lead(folder: Path, name: str, seconds: str) -> None:
    """Work for the new process."""
    import atheris

    with atheris.instrument_imports(include=["pocketgan", "tomllib"]):
        from soak import mutants

    kind = mutants.kinds(folder)[name]
    (folder / "corpus").mkdir()
    for number, whole in enumerate(kind.seeds):
        (folder / "corpus" / str(number)).write_bytes(whole)
    judge = mutants.Judge(folder, kind)

    def one(content: bytes) -> None:
        if wrong := judge.wrong_with(content):
            with (folder / "failed").open("a") as file:
                file.write(f"{name} ({len(content)} bytes, {content[:24]!r}): {wrong}\n")

    # the time limit of an input is the judge's own
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        "-timeout=0",
        "-handle_alrm=0",
        "-rss_limit_mb=0",
    ]
    atheris.Setup([sys.argv[0], "-seed=1", "-print_final_stats=1", *options, str(folder / "corpus")], one)
    atheris.Fuzz()


if __name__ == "__main__":
    _lead(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
