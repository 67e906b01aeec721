"""Pages that MkDocs makes when it builds the site: the command line, the Python API, the list of decisions.

A hook of mkdocs.yml. The command line's tables are made of the options that the parser gets, the Python page of the
docstrings; so neither can differ from what the program does.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "src"))

import pocketgan  # noqa: E402
from pocketgan.cli import COMMANDS, GROUPS, HELP, Command, _own_options, _recipe_options  # noqa: E402

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stopped by the health watch, 130 and 143 after SIGINT and SIGTERM. "
    "`--json` prints a command's result for programs; progress and errors go to stderr."
)
SHARED = {  # tables of options that several commands take: a heading, and what is said beneath it
    "Recipe": ("Fields of a recipe", "`run` and `train` take any field of the recipe as an option."),
    "ClassifierRecipe": ("Fields of a classifier's recipe", "`classify train` and `judge train` take them as options."),
    "ImageOptions": ("Given images", "Wherever pictures are given; [your own images](../images.md) explains them."),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    decisions = [file for file in files if file.src_uri.startswith("decisions/")]
    pages = {
        "reference/command-line.md": command_line(),
        "reference/python.md": python(),
        "decisions/index.md": list_of_decisions([Path(config.docs_dir, file.src_uri) for file in decisions]),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


# ---- the command line ----------------------------------------------------------------------------------------------


def command_line() -> str:
    parts = ["# Command line", HELP, EXIT_CODES]
    for command in COMMANDS:
        group = command.words.partition(" ")[0]
        heading = f"## {group}\n\n{GROUPS[group]}" if group in GROUPS else ""
        if heading and heading not in parts:
            parts.append(heading)
        parts.append(_of_command(command, level=3 if heading else 2))
    for kind, (title, about) in SHARED.items():
        parts += [f"## {title}", about, *_shared_tables(next(row for row in COMMANDS if row.recipe == kind))]
    return "\n\n".join(parts) + "\n"


def _of_command(command: Command, level: int) -> str:
    own = list(_own_options(command.function))
    given = [parameter for parameter in own if parameter.kind is not parameter.KEYWORD_ONLY]
    words = [_argument(parameter) for parameter in given]
    text = (inspect.getdoc(command.function) or "").partition("\n\nParameters\n")[0]
    parts = [
        f"{'#' * level} {command.words}",
        f"```text\npocketgan {' '.join([command.words, *words, '[OPTIONS]'])}\n```",
        text.replace("``", "`"),
        _table(own),
    ]
    if command.recipe:
        title = SHARED[command.recipe][0]
        parts.append(f"And the options under [{title}](#{_anchor(title)}).")
    return "\n\n".join(part for part in parts if part)


def _shared_tables(command: Command) -> list[str]:
    """A table for each section, with its heading where there are several."""
    sections: dict[str, list[inspect.Parameter]] = {}
    for parameter in _recipe_options(command):
        (group,) = _about(parameter).group  # the heading under which --help lists it
        sections.setdefault(group.name, []).append(parameter)
    tables: list[str] = []
    for name, rows in sections.items():
        tables += [f"### {name}"] * (len(sections) > 1) + [_table(rows)]
    return tables


def _about(parameter: inspect.Parameter) -> Any:
    """What the parser is told of an option."""
    annotation = parameter.annotation
    return annotation.__metadata__[-1]


def _argument(parameter: inspect.Parameter) -> str:
    name = parameter.name.upper()
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{name}..."
    return name if parameter.default is parameter.empty else f"[{name}]"


def _option(parameter: inspect.Parameter) -> str:
    if parameter.kind is not parameter.KEYWORD_ONLY:
        return f"`{parameter.name.upper()}`"
    names = _about(parameter).name
    return ", ".join(f"`{name}`" for name in names or [f"--{parameter.name.replace('_', '-')}"])


def _table(parameters: Iterable[inspect.Parameter]) -> str:
    rows = []
    for parameter in parameters:
        about = _about(parameter)
        shown = about.show_default
        default = ""
        if isinstance(shown, str):
            default = shown
        elif shown is not False and parameter.default not in (parameter.empty, None, False, ""):
            default = f"`{parameter.default}`"
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            default = "needed"
        rows.append(f"| {_option(parameter)} | {_cell(about.help)} | {_cell(default)} |")
    return "\n".join(["| option | does | default |", "|---|---|---|", *rows]) if rows else ""


def _cell(text: str | None) -> str:
    return re.sub(r"([|<*_])", r"\\\1", " ".join((text or "").split())) if "`" not in (text or "") else str(text)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


# ---- Python --------------------------------------------------------------------------------------------------------


def python() -> str:
    """A page of all public names: the functions that are commands first, then classes, then errors."""
    names = [name for name in pocketgan.__all__ if not name.endswith("Error")]
    functions = [name for name in names if name[0].islower()]
    classes = [name for name in names if name[0].isupper()]
    errors = [name for name in pocketgan.__all__ if name.endswith("Error")]
    parts = [
        "# Python",
        "Everything public is a name of the module: `import pocketgan as pg`. Importing it loads no torch. Other "
        "modules of the package are private and may change in any version: [what stays](../stability.md).",
    ]
    for title, members in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        parts.append(f"## {title}")
        parts += [f"::: pocketgan.{name}\n    options:\n      heading_level: 3" for name in members]
    return "\n\n".join(parts) + "\n"


# ---- decisions -----------------------------------------------------------------------------------------------------


def list_of_decisions(files: Iterable[Path]) -> str:
    titles = {file.name: file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for file in sorted(files)}
    rows = [f"- [{title}]({name})" for name, title in titles.items()]
    about = "What somebody would otherwise undo, with the reason and what was tried."
    return "\n".join(["# Decisions", "", about, "", *rows, ""])
