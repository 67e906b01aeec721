"""A wheel built from this tree carries all it needs, and works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVIEST = 25_000_000  # bytes of a wheel
USE = """
import pocketgan as pg
from pathlib import Path
assert Path(pg.__file__).is_relative_to({home!r}), pg.__file__
assert len(pg.load_images("mnist", "test")) == 10_000
assert pg.Classifier.load("guide").class_names == tuple("0123456789")
assert len(pg.load("digits").sample(3, label=7)) == 3
assert len(pg.load("digits-free").sample(3, label=5)) == 3
pg.train("mlp", out="run", nimg=200, quiet=True)
assert pg.write_report(Path("run")).is_file()
"""


def test_a_wheel_works_from_an_empty_folder(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.stat().st_size <= HEAVIEST
    home = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(home)
    assert any(name.endswith("licenses/LICENSE-MNIST") for name in names)
    assert not any(name.startswith(("tests", "zoo", "docs")) for name in names)
    shipped = sorted((home / "pocketgan" / "weights").rglob("*"))
    for path in shipped:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (tmp_path / "empty").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", USE.format(home=str(home))],
        cwd=tmp_path / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted((home / "pocketgan" / "weights").rglob("*")) == shipped, "nothing is written there"


@pytest.mark.extras
def test_what_is_published_is_as_the_index_wants_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    files = sorted(tmp_path.iterdir())
    assert [file.suffix for file in files] == [".whl", ".gz"]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True, capture_output=True)
