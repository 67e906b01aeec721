"""How rows are set aside: classes in proportion, by a published seed, without any library's random numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Split = Literal["train", "fit", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "fit", "val", "test")
VAL_PARTS = 6  # `val` is one of so many equal parts of the training images: 10,000 of MNIST's 60,000
VAL_SEED = 20_261_122  # published: whoever has the training images can rebuild `val` from them


def val_rows(labels: Tensor | None, count: int) -> Tensor:
    """Which of `count` training images are `val`: bool ``[N]``. Without labels, by hash alone."""
    kinds = [0] * count if labels is None else labels.tolist()
    return choose_rows(kinds, round(count / VAL_PARTS), VAL_SEED)


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
