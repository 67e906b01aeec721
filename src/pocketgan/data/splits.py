"""How rows are set aside: classes in proportion, by a published seed, without any library's random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def choose_rows(labels: Sequence[int], count: int, seed: int) -> Tensor:
    """Choose `count` rows with each class in proportion: bool ``[N]``.

    Within a class the rows with the smallest hash of (seed, row) are taken; the class sizes are rounded by largest
    remainder.
    """
    members: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    exact = {label: count * len(rows) / len(labels) for label, rows in members.items()}
    sizes = {label: int(share) for label, share in exact.items()}
    for label in sorted(exact, key=lambda key: (sizes[key] - exact[key], key))[: count - sum(sizes.values())]:
        sizes[label] += 1
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label, rows in members.items():
        rows.sort(key=lambda row: hashlib.blake2b(f"{seed}/{row}".encode(), digest_size=8).digest())
        chosen[rows[: sizes[label]]] = True
    return chosen
