"""Point 7: the proof that these tests can fail. Each bug is planted in a copy of the package; its tests must fail."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import pocketgan
from soak.bugs import BUGS, Bug
from soak.children import Child
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
        ended = Child(lambda: _run_its_tests(place, bug), place / "log").wait(3600)  # noqa: B023
        print(f"planted: {bug.name}: {'caught' if ended.code == FAILED else 'MISSED'}", file=sys.stderr, flush=True)
        if ended.code != FAILED:
            failed.append(f"{bug.name}: pytest ends with {ended.code}: {ended.err[-300:]}")
        shutil.rmtree(place)
    return Count("planted bugs, each caught by the tests marked for it", len(bugs), failed)


def _run_its_tests(place: Path, bug: Bug) -> None:
    """Work for a child: forget the package, take the one with the bug, and test it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pocketgan", "soak")]:
        del sys.modules[name]
    sys.path.insert(0, str(place))
    os.environ["PYTHONPATH"] = f"{place}:{TESTS}"
    os.chdir(TESTS.parent)
    marked = [str(path) for path in sorted(TESTS.glob("test_*.py")) if f'"{bug.name}"' in path.read_text()]
    options = ["-x", "-q", "-p", "no:cacheprovider", "--catches", bug.name, "--basetemp", str(place / "temporary")]
    raise SystemExit(int(pytest.main([*options, *marked])))
