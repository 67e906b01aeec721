"""Point 7: the proof that these tests can fail. Each bug is planted in a copy of the package; its tests must fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pocketgan
from soak.bugs import BUGS, Bug
from soak.runs import Count

PACKAGE = Path(pocketgan.__file__).parent
TESTS = Path(__file__).parent.parent
FAILED = 1  # pytest's exit code where tests ran and some failed; 5 would say that there were none


def caught(folder: Path, bugs: list[Bug] = BUGS) -> Count:
    """Plant each bug, and run only the tests that are marked to catch it."""
    failed = []
    for bug in bugs:
        place = folder / re.sub(r"\W+", "-", bug.name)
        shutil.copytree(PACKAGE, place / "pocketgan", ignore=shutil.ignore_patterns("__pycache__"))
        file = place / "pocketgan" / bug.file
        text = file.read_text()
        if text.count(bug.old) != 1:
            failed.append(f"{bug.name}: its place is not in {bug.file} once")
            continue
        file.write_text(text.replace(bug.old, bug.new))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--catches", bug.name]
        environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
        marked = [str(path) for path in sorted(TESTS.glob("test_*.py")) if f'"{bug.name}"' in path.read_text()]
        log = place / "log"
        with log.open("w") as stream:  # and no pipe: a child that a failed test forgot would hold it open
            code = subprocess.run(
                [*command, *marked], stdout=stream, stderr=stream, env=environment, check=False, cwd=TESTS.parent
            ).returncode
        print(f"planted: {bug.name}: {'caught' if code == FAILED else 'MISSED'}", file=sys.stderr, flush=True)
        if code != FAILED:
            failed.append(f"{bug.name}: pytest ends with {code}: {log.read_text()[-300:]}")
        shutil.rmtree(place)
    return Count("planted bugs, each caught by the tests marked for it", len(bugs), failed)
