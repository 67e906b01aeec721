"""The house: imports run downward only, rooms on one floor do not know each other, the quick path loads no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "pocketgan"
FLOORS = [
    {"core"},
    {"data", "models", "objectives", "metrics", "weights"},
    {"recipes"},
    {"training"},
    {"saved"},
    {"classifier"},
    {"judge"},
    {"steer"},
    {"sources"},
    {"model"},
    {"scorecard"},
    {"export", "report", "importer"},
    {"verbs"},
    {"bench"},
    {"cli", "__init__"},
    {"__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
CONFIGURATIONS = ("config",)  # recipes are made of the rooms' configurations, also of those above them


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    """Modules of the package that a file imports at run time."""
    tree = ast.parse(path.read_text())
    typed = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        if node in typed:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: write imports in full"
            inside = node.module == "pocketgan"
            found += [f"pocketgan.{alias.name}" for alias in node.names] if inside else [node.module or ""]
    return [name.removeprefix("pocketgan.") for name in found if name.startswith("pocketgan.")]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward_only(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"give {room} a floor"
    for module in imports_of(path):
        other, *rest = module.split(".")
        if other == room or tuple(rest) == CONFIGURATIONS:
            continue
        assert FLOOR[other] < FLOOR[room], f"{path.name} ({room}) imports {module}"


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["recipes"], ["recipes", "dcgan"]])
def test_the_quick_path_loads_no_torch(words: list[str]) -> None:
    code = (
        "import sys\nfrom pocketgan.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, pocketgan; assert 'torch' not in sys.modules; assert 'train' in dir(pocketgan)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    import pocketgan

    assert all(getattr(pocketgan, name) is not None for name in pocketgan.__all__)
