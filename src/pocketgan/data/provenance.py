"""Where images come from and under which licence, as the files beside or inside them say it.

Such texts are strangers' and travel on, into pages and into every set made from the images: they are kept plain.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import read_json

PROVENANCE = "provenance.json"
MOST_TEXTS = 20
MOST_CHARACTERS = 1000


def read_provenance(path: Path) -> dict[str, str]:
    """What is known of where a file or folder of images comes from: its name, and the texts of its `provenance.json`.

    Raises
    ------
    PocketganError
        `provenance.json` is there and is not a JSON object.
    """
    known = {"data": _plain(path.resolve().name)}
    if not (path / PROVENANCE).is_file():
        return known
    return known | texts_of(path / PROVENANCE, read_json(path / PROVENANCE))


def texts_of(where: Path | str, content: object) -> dict[str, str]:
    """The texts of a JSON object, by name: the first `MOST_TEXTS`, each on one line of at most `MOST_CHARACTERS`.

    Parameters
    ----------
    where
        It comes from, for the error line.
    content
        As parsed. What is no text (counts, lists) is left out.

    Raises
    ------
    PocketganError
        It is not an object.
    """
    if not isinstance(content, dict):
        raise PocketganError(f"{where} is not a JSON object; mend or remove it")
    texts = ((_plain(name), _plain(value)) for name, value in content.items() if isinstance(value, str))
    return dict(islice(texts, MOST_TEXTS))


def _plain(text: str) -> str:
    """One line without what no terminal shows: control characters, marks of direction, halves of characters."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())[:MOST_CHARACTERS]
