"""Which training images the generator comes least near to: a share of each batch is drawn from them once more.

After Lee et al. 2021, "Self-Diagnosing GAN: Diagnosing Underrepresented Samples in Generative Adversarial Networks",
who weigh images by the mean and variance of the discriminator's logits; here they are found by the nearest fake.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.devices import memory_format, sent
from pocketgan.core.pixels import to_floats
from pocketgan.core.rng import rng
from pocketgan.recipes import Recipe
from pocketgan.training.state import TrainState

WORST = 0.1  # share of the training images that counts as underrepresented
EPOCHS_BETWEEN, STEPS_BETWEEN = 3, 50  # from one diagnosis to the next, whichever is more
COMPARED = 8000  # fakes and real images of one group, at most, that each image is compared with
ROWS = 256  # in one pass; with more, intermediate results leave the cache


def diagnosis_period(count: int, batch: int) -> int:
    """Images shown from one diagnosis to the next, for `count` images in all: three epochs, or 50 steps if more."""
    return max(EPOCHS_BETWEEN * count, STEPS_BETWEEN * batch)


def diagnosis_due(nimg: int, count: int, batch: int) -> bool:
    """Whether the batch before `nimg` completed a period."""
    period = diagnosis_period(count, batch)
    return nimg > 0 and nimg // period > (nimg - batch) // period


def diagnose(state: TrainState, images: Tensor, groups: Tensor | None, recipe: Recipe) -> Tensor:
    """Rows of the tenth of the images that fakes come least near to: int64 ``[k]``, none where nothing can be said.

    One fake is made for each image, of its group (class or cluster; all are one where there are none). Images and fakes
    are compared by the discriminator's last features at unit length. An image's score is the distance to the nearest
    fake of its group less that to the nearest other image of it, so that images which are odd among real ones too do
    not win for that alone. Of a group of more than `COMPARED` so many stand for all; an image alone in its group has
    no score.

    The images, uint8 ``[N, C, H, W]``, may lie on any device; their groups, int64 ``[N]``, lie on the CPU. The rows are
    a function of the state, the images and the recipe's seed. Under bf16 autocast distances are known to about 0.01,
    where the worst images score above 0.1.
    """
    bf16 = recipe.optimizer.precision == "bf16"
    with torch.no_grad(), torch.autocast(state.device.type, torch.bfloat16) if bf16 else nullcontext():
        scores = _scores(state, images, groups, recipe)
    worst = scores.topk(max(1, round(WORST * len(images))))
    return worst.indices[worst.values > -torch.inf]


def _scores(state: TrainState, every_image: Tensor, groups: Tensor | None, recipe: Recipe) -> Tensor:
    every = torch.zeros(len(every_image), dtype=torch.int64) if groups is None else groups
    random = rng(recipe.seed, "diagnosis", state.nimg)
    pixels, scores = state.generator.pixels, torch.full([len(every_image)], -torch.inf)
    sampler = state.sampler.eval()
    state.discriminator.eval()

    def features(images: Tensor, labels: Tensor | None) -> Tensor:
        if state.convolutional:
            images = images.contiguous(memory_format=memory_format(state.device))
        return F.normalize(state.discriminator(images, labels).features.float(), dim=1)

    def real(rows: Tensor) -> Tensor:
        return features(to_floats(sent(every_image[rows], state.device), pixels), _labels(groups, rows, state))

    def fake(rows: Tensor) -> Tensor:
        latents = sent(torch.randn(len(rows), recipe.model.latent_dim, generator=random), state.device)
        labels = _labels(groups, rows, state)
        return features(sampler(latents, labels), labels)

    for group in every.unique():
        members = (every == group).nonzero().squeeze(1)
        if len(members) == 1:
            continue
        chosen = members
        if len(members) > COMPARED:
            chosen = members[torch.randperm(len(members), generator=random)[:COMPARED]]
        reals, fakes = (torch.cat([embedded(rows) for rows in chosen.split(ROWS)]) for embedded in (real, fake))
        parts = reals.split(ROWS) if chosen is members else map(real, members.split(ROWS))
        for rows, part in zip(members.split(ROWS), parts, strict=True):
            itself = (rows.unsqueeze(1) == chosen).to(state.device)
            to_real = (part @ reals.T).masked_fill(itself, -1.0)
            scores[rows] = (_distance(part @ fakes.T) - _distance(to_real)).cpu()
    state.generator.train()
    state.discriminator.train()
    return scores


def _labels(groups: Tensor | None, rows: Tensor, state: TrainState) -> Tensor | None:
    return None if groups is None else sent(groups[rows], state.device)


def _distance(cosines: Tensor) -> Tensor:
    """Of unit vectors with these cosines ``[N, M]``: from each of the N to the nearest of the M."""
    return (2 - 2 * cosines.amax(1).float()).clamp_min(0).sqrt()
