"""What the Hugging Face hub calls licences. Imports no torch."""

from __future__ import annotations

import re
from typing import NamedTuple

LICENCES = ("mit", "apache-2.0", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0")


class Licence(NamedTuple):
    """A licence as the hub knows it: `id` is ``other`` or ``unknown`` where it has none of its names."""

    id: str
    name: str
    link: str
    text: str


def licence_named(text: str) -> Licence:
    """What the hub calls a licence that is given in words, such as ``CC BY-SA 3.0, https://…``."""
    name = text.partition(",")[0].strip()
    link = re.search(r"https?://\S+", text)
    identifier = name.lower().replace(" ", "-")
    known = identifier if identifier in LICENCES else "other" if name else "unknown"
    return Licence(known, identifier, link[0] if link else "", text)
