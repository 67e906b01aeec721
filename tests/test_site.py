"""The site as MkDocs builds it: whole, with every command and public name, and without a word to the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pocketgan
from pocketgan.cli import COMMANDS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
SHOWN = ["index.html", "reference/command-line.html", "reference/python.html", "steering-results.html"]

pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; `strict` in mkdocs.yml makes a broken link an error."""
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe|source|video|object|embed|use)\b[^>]*>", text):
            assert not re.search(r"""(?:src|srcset|href|data)=["']?(?:https?:)?//""", tag), f"{page.name}: {tag}"
        assert not re.search(r"@import|url\(\s*[\"']?(?:https?:)?//", text), page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


def test_the_reference_has_every_command_option_and_name(site: Path) -> None:
    commands = (site / "reference/command-line.html").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert re.search(rf"<h[23] [^>]*>{command.words}<", commands), command.words
    for option in ("--lr-g", "--class", "--shard", "--underrepresented", "--label-smoothing", "--grid"):
        assert f"<code>{option}</code>" in commands, option
    names = set(re.findall(r'<h3 id="[^"]*?(\w+)"', (site / "reference/python.html").read_text(encoding="utf-8")))
    assert set(pocketgan.__all__) <= names


@pytest.mark.parametrize("width", [1280, 360])
def test_pages_open_as_files_and_fit_the_screen(site: Path, chromium: Browser, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    for name in SHOWN:
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    if width == 1280:
        page.locator(".md-search__input").fill("underrepresented")
        page.locator(".md-search-result__item").first.wait_for()
    context.close()
    assert wrong == []
    assert [address for address in asked if not address.startswith(("file:", "data:", "blob:"))] == []
