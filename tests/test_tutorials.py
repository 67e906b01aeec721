"""The code of the tutorials runs as it stands, with small budgets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pocketgan.core.errors import UsageError
from pocketgan.networks.architectures import build_pair
from pocketgan.recipes import gan_recipe

ROOT = Path(__file__).parent.parent
OWN = (ROOT / "docs/tutorials/own-networks.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"<!-- tested -->\n```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.usefixtures("small_mnist")
def test_own_networks_reach_their_report() -> None:
    names: dict[str, object] = {"__name__": "tutorial"}
    code = "\n".join(blocks(OWN, "python"))
    assert code.count("epochs=20") == 1
    exec(compile(code.replace("epochs=20", "epochs=1"), "own-networks.md", "exec"), names)
    assert (Path("runs/mine") / "report.html").is_file()


def test_the_tutorials_layers_are_its_classes(tmp_path: Path) -> None:
    (text,) = blocks(OWN, "toml")
    (tmp_path / "mine.toml").write_text(text)
    generator, discriminator = build_pair(gan_recipe(str(tmp_path / "mine.toml")), (1, 28, 28), 10)
    assert [tuple(value.shape) for value in generator.parameters()] == [(256, 100), (256,), (784, 256), (784,)]
    assert sum(value.numel() for value in discriminator.parameters()) == 784 * 256 + 256 + 256 + 1


def test_the_misfit_that_is_shown_is_what_is_said(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```text\n(mine: .*?)\n```", OWN)
    (text,) = blocks(OWN, "toml")
    first, other = '{ type = "Linear", out_features = 256 }', '{ type = "Conv2d", out_channels = 8, kernel_size = 3 }'
    (tmp_path / "mine.toml").write_text(text.replace(first, other, 1))
    with pytest.raises(UsageError) as error:
        build_pair(gan_recipe(str(tmp_path / "mine.toml")), (1, 28, 28), 10)
    assert str(error.value) == shown
