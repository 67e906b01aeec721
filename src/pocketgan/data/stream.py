"""The endless stream of batches: which rows come next is a function of (seed, nimg), so nothing is stored."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from pocketgan.core.rng import rng


class BatchStream:
    """Rows of a set of `count` images, epoch after epoch, each epoch in an order of its own.

    A batch runs on over the end of an epoch into the next one, so all batches have the same size.

    Parameters
    ----------
    count
        Images in the set.
    batch
        Rows in one batch.
    seed
        Of the run.
    """

    def __init__(self, count: int, batch: int, seed: int) -> None:
        self.count, self.batch, self.seed = count, batch, seed
        self._order = lru_cache(maxsize=3)(self._order_of)

    def _order_of(self, epoch: int) -> Tensor:
        return torch.randperm(self.count, generator=rng(self.seed, "order", epoch))

    def rows(self, nimg: int) -> Tensor:
        """The rows of the batch after `nimg` images have been shown: int64 ``[batch]``."""
        place = nimg
        pieces, missing = [], self.batch
        while missing:
            epoch, offset = divmod(place, self.count)
            piece = self._order(epoch)[offset : offset + missing]
            pieces.append(piece)
            missing -= len(piece)
            place += len(piece)
        return torch.cat(pieces)
