"""From latents to images as bytes, in blocks of one size."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.core.devices import sent
from pocketgan.core.latents import BLOCK
from pocketgan.core.pixels import to_bytes
from pocketgan.networks.contracts import Generator


@torch.no_grad()
def draw(generator: Generator, z: Tensor, labels: Tensor | None = None, *, exact: bool = True) -> Tensor:
    """The images of latents.

    Parameters
    ----------
    generator
        In evaluation mode.
    z
        float32 ``[N, latent_dim]``, N at least 1.
    labels
        int64 ``[N]``, for conditional generators.
    exact
        Compute in whole padded blocks, so that their company never changes the bytes of an image. Without it they are
        computed as they are, which is far faster for a few: a byte may differ by one.

    Returns
    -------
    Tensor
        uint8 ``[N, C, H, W]``, on the CPU.
    """
    device = next(generator.parameters()).device
    made = []
    for begin in range(0, len(z), BLOCK):
        part = z[begin : begin + BLOCK]
        size = BLOCK if exact else len(part)
        padded = torch.zeros(size, z.shape[1])
        padded[: len(part)] = part
        y = None
        if labels is not None:
            y = torch.zeros(size, dtype=torch.int64)
            y[: len(part)] = labels[begin : begin + BLOCK]
            y = sent(y, device)
        made.append(to_bytes(generator(sent(padded, device), y), generator.pixels)[: len(part)].contiguous())
    return torch.cat(made).cpu()
