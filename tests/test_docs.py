"""What the pages link to is there, and what a repository says about itself agrees."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
MADE = {ROOT / "docs" / page for page in ("reference/command-line.md", "reference/python.md", "decisions/index.md")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text)


@cache
def anchors(page: Path) -> set[str]:
    """Those that GitHub gives a page's headings."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
        slug = "".join(c for c in words if c in "-_ " or unicodedata.category(c)[0] in "LN").replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-{sum(other.startswith(slug) for other in found)}")
    return found


def broken(page: Path) -> list[str]:
    """The links of a page, to pages, files and headings of this tree, that lead nowhere."""
    wrong = []
    for target in re.findall(r"\]\(<?([^)\s>]+)>?\)", prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path).resolve() if path else page
        if there not in MADE and (
            not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there))
        ):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A b, c\n[1](#a-b-c) [2](#no) [3](gone.md) [4](page.md#a-b-c) [5](https://a.org) `[6](gone.md)`\n"
    )
    assert broken(page) == ["#no", "gone.md"]


def test_the_version_is_said_once_and_told_of() -> None:
    version = PROJECT["version"]
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)[1] == version  # type: ignore[index]


def test_addresses_are_of_one_repository() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert all(address.startswith(home) for address in PROJECT["urls"].values())
    assert home in (ROOT / "CITATION.cff").read_text()


def test_every_pre_commit_hook_is_a_tool_of_dev() -> None:
    named = re.findall(r"entry: (\S+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert named
    assert set(named) <= {requirement.partition(">")[0] for requirement in PROJECT["optional-dependencies"]["dev"]}
