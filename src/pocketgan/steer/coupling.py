"""A conditional normalising flow: RealNVP's affine couplings (Dinh et al. 2017) between fixed rotations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.rng import rng

COUPLINGS = 4
WIDTH = 128


class Coupling(nn.Module):
    """One half of the coordinates, and the class, shift and scale the other; the identity at first.

    Parameters
    ----------
    dim
        Length of a latent.
    classes
        How many there are.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.still = dim // 2
        self.entry = nn.Linear(self.still + classes, WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.exit = nn.Linear(WIDTH, 2 * (dim - self.still))
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, x: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Points ``[N, D]`` and one-hot classes ``[N, K]`` to moved points and log-determinants ``[N]``."""
        still, moving = x[:, : self.still], x[:, self.still :]
        inner = F.silu(self.hidden(F.silu(self.entry(torch.cat([still, classes], 1)))))
        scale, shift = self.exit(inner).chunk(2, 1)
        scale = torch.tanh(scale)  # at most a factor e either way in one coupling
        return torch.cat([still, moving * scale.exp() + shift], 1), scale.sum(1)


class Flow(nn.Module):
    """Standard normal noise and a class to a latent, with the change of log-density.

    The prior is the same in every direction, so fixed rotations cost nothing and mix all coordinates.
    """

    rotations: Tensor

    def __init__(self, dim: int, classes: int, seed: int) -> None:
        super().__init__()
        self.classes = classes
        self.couplings = nn.ModuleList(Coupling(dim, classes) for _ in range(COUPLINGS))
        noise = torch.randn(COUPLINGS, dim, dim, generator=rng(seed, "flow rotations"))
        self.register_buffer("rotations", torch.linalg.qr(noise).Q.contiguous())

    def forward(self, noise: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Noise ``[N, D]`` and classes int64 ``[N]`` to latents ``[N, D]`` and log-determinants ``[N]``."""
        classes = F.one_hot(labels, self.classes).float()
        z, total = noise, torch.zeros(len(noise))
        for coupling, rotation in zip(self.couplings, self.rotations, strict=True):
            z, change = coupling(z @ rotation, classes)
            total = total + change
        return z, total
