"""The page of what people bring: every kind built, given to the program, and written down as it came out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from pocketgan.bench.strangers.arrays import ARRAYS, LOOKS
from pocketgan.bench.strangers.kinds import Kind, Outcome, outcome
from pocketgan.bench.strangers.models import MODELS
from pocketgan.bench.strangers.pictures import FAKES, PICTURES
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import write_text
from pocketgan.core.terminal import Display

TABLES: dict[str, tuple[Kind, ...]] = {
    "Models": MODELS,
    "Folders of fakes": FAKES,
    "Pictures of one's own, and tables beside them": PICTURES,
    "Arrays, labels and tables of pixels": ARRAYS,
    "What looks wrong": LOOKS,
}
HEAD = (
    "# What people bring",
    "",
    "`pocketgan bench strangers` builds each of these in a folder that goes again, gives it to the command beside it,",
    "and writes down what the program says, word by word. What is taken is compared with what was built: images and",
    "labels byte by byte, networks by what they compute. The images are 40 digits of MNIST; the networks were built to",
    "draw such digits. [Images](images.md) has the rules.",
)


def write_strangers(out: Path, display: Display) -> Path:
    """Build and try all kinds, and write the tables as Markdown.

    Raises
    ------
    PocketganError
        Some are not taken, or not refused, as they are meant. The page is written all the same.
    """
    lines, wrong, tried = list(HEAD), [], 0
    with (
        tempfile.TemporaryDirectory() as folder,
        display.bar("trying what people bring", sum(map(len, TABLES.values()))) as bar,
    ):
        for title, kinds in TABLES.items():
            lines += ["", f"## {title}", "", "| what | command | what happens | what is said |", "|---|---|---|---|"]
            for kind in kinds:
                found = outcome(kind, Path(folder) / str(tried))
                tried += 1
                bar.update(tried)
                lines.append(line_of(kind, found))
                if not found.right:
                    wrong.append(f"{kind.name} ({found.happened})")
    write_text(out, "\n".join(lines) + "\n")
    if wrong:
        raise PocketganError(f"{out}: {len(wrong)} of {tried} are not as they are meant: {_some(wrong)}")
    return out


def line_of(kind: Kind, found: Outcome) -> str:
    """A kind's row."""
    cells = (kind.name, f"`{kind.command}`", found.happened, found.said)
    return f"| {' | '.join(cell.replace('|', '&#124;').replace('<', '&lt;') for cell in cells)} |"


def _some(names: Iterable[str]) -> str:
    return "; ".join(list(names)[:5])
