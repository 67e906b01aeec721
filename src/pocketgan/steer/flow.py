"""The main answer: a small conditional flow of p(z | class), with a latent reader that sifts what it proposes.

The flow is RealNVP's affine couplings (Dinh et al. 2017) between fixed rotations. The density wanted is the prior times
what the latent reader says, p(z) p(class | z), up to a factor. The flow q learns it by the reverse divergence,
E_q[log q(z) - log p(z) - log p(class | z)], from noise alone: no pair is needed, so it cannot learn any by heart.

A flow of this size comes near and blurs the borders between classes. So each of its latents is shown to the reader,
which costs less than drawing it, and drawn again where the reader is not sure: rejection sampling with a learned
acceptance, as Bauer & Mnih 2019 resample a prior. Generator and guide are not asked.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketgan.core.rng import rng, seeded
from pocketgan.steer.energy import Reader, fit_reader, passing
from pocketgan.steer.guides import Frozen
from pocketgan.steer.method import Budget, Context, descend

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
        z, log_determinants = noise, torch.zeros(len(noise))
        for coupling, rotation in zip(self.couplings, self.rotations, strict=True):
            z, change = coupling(z @ rotation, classes)
            log_determinants = log_determinants + change
        return z, log_determinants


BATCH = 256
RATE = 2e-3
TRIES = 20  # draws for one latent; after the last, the surest is taken


class SiftedFlow:
    """A conditional flow and the reader that sifts its latents.

    Parameters
    ----------
    flow, reader
        The two networks.
    dim
        Length of a latent.
    enough
        The reader's probability from which a latent passes.
    """

    def __init__(self, flow: Flow, reader: Reader, dim: int, enough: float) -> None:
        self.flow, self.reader, self.dim, self.enough = flow, reader, dim, enough

    @torch.no_grad()
    def latents(self, labels: Tensor, start: int, seed: int) -> Tensor:
        """As `Steerer.latents`."""
        surest = torch.zeros(len(labels), self.dim)
        best = torch.full((len(labels),), -1.0)
        random = rng(seed, "flow", start)
        open_rows = torch.arange(len(labels))
        for _ in range(TRIES):
            wanted = labels[open_rows]
            z, _ = self.flow(torch.randn(len(open_rows), self.dim, generator=random), wanted)
            certainty = self.reader.certainty(z, wanted)
            better = certainty > best[open_rows]
            surest[open_rows[better]], best[open_rows[better]] = z[better], certainty[better]
            open_rows = (best < self.enough).nonzero().squeeze(1)
            if not len(open_rows):
                break
        return surest

    def tensors(self) -> dict[str, Tensor]:
        """As `Steerer.tensors`."""
        parts = {"flow": self.flow, "reader": self.reader}
        return {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}

    def settings(self) -> dict[str, Any]:
        """As `Steerer.settings`."""
        return {"enough": self.enough}

    @classmethod
    def fit(cls, context: Context, seed: int, budget: Budget) -> SiftedFlow:
        """Learn the reader from what was collected, and the flow from the reader."""
        reader = fit_reader(context, seed, budget)
        dim = context.collected.dim
        with seeded(seed, "flow"):
            flow = Flow(dim, context.frozen.classes, seed)
        made = torch.tensor(context.collected.made)
        random = rng(seed, "flow batches")

        def loss(step: int) -> Tensor:
            labels = made[torch.randint(len(made), (BATCH,), generator=random)]
            z, change = flow(torch.randn(BATCH, dim, generator=random), labels)
            surprise = (z.square().sum(1) - dim).mean() / 2 - change.mean()
            total: Tensor = surprise + F.cross_entropy(reader(z), labels)
            return total

        descend(flow.parameters(), loss, budget.steps, rate=RATE, watch=context.watch)
        return cls(flow.requires_grad_(False).eval(), reader, dim, passing(reader, context.collected))

    @classmethod
    def rebuild(cls, frozen: Frozen, tensors: dict[str, Tensor], settings: dict[str, Any]) -> SiftedFlow:
        """From what was saved."""
        dim = frozen.generator.latent_dim
        flow, of = Flow(dim, frozen.classes, 0), {}
        for part in ("flow", "reader"):
            of[part] = {key.removeprefix(f"{part}."): v for key, v in tensors.items() if key.startswith(f"{part}.")}
        flow.load_state_dict(of["flow"])
        reader = Reader.rebuild(dim, frozen.classes, of["reader"])
        return cls(flow.requires_grad_(False).eval(), reader, dim, float(settings["enough"]))
