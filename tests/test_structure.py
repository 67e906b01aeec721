"""The layout: packages import only lower layers, no modules import one another in a ring, help loads no torch."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pocketgan.cli import COMMANDS

PACKAGE = Path(__file__).parent.parent / "src" / "pocketgan"
LAYERS = [
    {"core"},
    {"recipes", "objectives", "metrics", "weights"},
    {"data", "networks", "runs"},
    {"models", "steer"},
    {"training"},
    {"scorecard"},
    {"writers", "report", "importing", "export"},
    {"api"},
    {"__init__", "bench", "lab", "sweep"},
    {"cli"},
    {"__main__"},
]
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}
TOGETHER = {"models", "steer"}  # a model is steered, and the guide that steers is a model


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def _module_of(module: str, name: str) -> str:
    """What `from module import name` loads: the module `module.name` where there is one, else `module`."""
    inner = PACKAGE.parent / f"{module}.{name}".replace(".", "/")
    return f"{module}.{name}" if inner.is_dir() or inner.with_suffix(".py").is_file() else module


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
            found += [_module_of(node.module or "", alias.name) for alias in node.names]
    return [name.removeprefix("pocketgan.") for name in found if name.startswith("pocketgan.")]


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downward_only(path: Path) -> None:
    package = package_of(path)
    assert package in LAYER, f"give {package} a layer"
    for module in imports_of(path):
        other = module.partition(".")[0]
        if other == package or {other, package} == TOGETHER:
            continue
        assert LAYER[other] < LAYER[package], f"{path.name} ({package}) imports {module}"


def test_no_modules_import_one_another_in_a_ring() -> None:
    names = {name_of(path) for path in FILES}
    graph = {name_of(path): names & set(imports_of(path)) for path in FILES}
    tuple(TopologicalSorter(graph).static_order())  # a CycleError names the ring


SCALES = re.compile(r"/ 255|\* 255|(div|mul)_?\(255|127\.5")
SCALED_BY_HAND = {"core.pixels", "bench.classroom", "bench.known_answers"}


def test_bytes_are_scaled_in_one_module() -> None:
    assert {name_of(path) for path in FILES if SCALES.search(path.read_text())} == SCALED_BY_HAND


def test_neither_help_nor_the_quick_list_loads_torch() -> None:
    quick = [["--help"], ["--version"], ["recipes", "--quick"], ["recipes", "dcgan"]]
    lines = [*quick, *([*command.words.split(), "--help"] for command in COMMANDS)]
    code = (
        "import sys\nfrom pocketgan.cli import main\n"
        f"for words in {lines!r}:\n"
        "    try: main(words)\n    except SystemExit as end: assert not end.code, words\n"
        "    assert 'torch' not in sys.modules, words\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_list_of_commands_loads_no_library_but_the_parser() -> None:
    code = (
        "import sys\nfrom pocketgan.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'pydantic', 'numpy', 'PIL', 'filelock'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, pocketgan; assert 'torch' not in sys.modules; assert 'train' in dir(pocketgan)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    import pocketgan

    assert all(getattr(pocketgan, name) is not None for name in pocketgan.__all__)
