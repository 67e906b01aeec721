"""The commands and code of the README, of the tour and of the page on recipes run as they stand, on a small MNIST."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pocketgan.cli import main
from pocketgan.recipes import gan_recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(page: str, language: str) -> str:
    """The one block of code in a page that is marked as tested."""
    (found,) = re.findall(rf"<!-- tested -->\n```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return found


def test_every_command_of_the_tour_runs(small_mnist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [line.removeprefix("$ ") for line in block("docs/tour.md", "console").splitlines()]
    for command in commands:
        words = shlex.split(command.replace("--minutes 5", "--minutes 0.01").replace("10000", "300"))
        assert words.pop(0) == "pocketgan"
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0, f"{command}: {capsys.readouterr().err}"
    assert (small_mnist / "runs/mlp/report.html").is_file()
    assert len(list((small_mnist / "sevens/png/7").glob("*.png"))) == 64
    assert (small_mnist / "many/MNIST/raw/t10k-labels-idx1-ubyte").is_file()
    assert len((small_mnist / "sevens.csv").read_text().splitlines()) == 65


@pytest.mark.usefixtures("small_mnist")
@pytest.mark.parametrize("page", ["README.md", "docs/tour.md"])
def test_the_python_runs(page: str) -> None:
    exec(compile(block(page, "python"), page, "exec"), {})


def test_the_readme_is_short() -> None:
    assert len(README.split()) <= 700


def test_the_recipe_that_is_shown_is_one(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(text)
    recipe = gan_recipe(str(tmp_path / "mine.toml"))
    assert (recipe.name, recipe.optimizer.beta1, recipe.schedule.minutes) == ("mine", 0.5, 10)


def test_what_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_make_help_names_every_verb_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for verb in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert f"\n{verb}:" in makefile
        assert f"# make {verb} " in makefile
