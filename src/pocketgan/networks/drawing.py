"""From latents to images as bytes, in blocks of one size."""

from __future__ import annotations

import torch
from torch import Tensor

from pocketgan.core.devices import sent
from pocketgan.core.latents import BLOCK
from pocketgan.core.pixels import PixelRange, to_bytes
from pocketgan.networks.contracts import Generator


@torch.no_grad()
def draw(generator: Generator, pixels: PixelRange, z: Tensor, labels: Tensor | None = None) -> Tensor:
    """The images of latents, computed in whole padded blocks so that their company never changes their bytes.

    Parameters
    ----------
    generator
        In evaluation mode.
    pixels
        The range of its images.
    z
        float32 ``[N, latent_dim]``, N at least 1.
    labels
        int64 ``[N]``, for conditional generators.

    Returns
    -------
    Tensor
        uint8 ``[N, C, H, W]``, on the CPU.
    """
    device = next(generator.parameters()).device
    made = []
    for begin in range(0, len(z), BLOCK):
        part = z[begin : begin + BLOCK]
        padded = torch.zeros(BLOCK, z.shape[1])
        padded[: len(part)] = part
        y = None
        if labels is not None:
            y = torch.zeros(BLOCK, dtype=torch.int64)
            y[: len(part)] = labels[begin : begin + BLOCK]
            y = sent(y, device)
        made.append(to_bytes(generator(sent(padded, device), y), pixels)[: len(part)].contiguous())
    return torch.cat(made).cpu()
