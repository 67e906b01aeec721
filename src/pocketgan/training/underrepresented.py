"""Which training images the generator comes least near to: a share of each batch is drawn from them once more.

After Lee et al. 2021, "Self-Diagnosing GAN: Diagnosing Underrepresented Samples in Generative Adversarial Networks",
who weigh images by the mean and variance of the discriminator's logits; here they are found by the nearest fake.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.core.pixels import to_floats
from pocketgan.core.randomness import generator
from pocketgan.data.image_set import ImageSet
from pocketgan.models.table import pair_of
from pocketgan.recipes import Recipe
from pocketgan.training.state import TrainState

TENTH = 0.1  # of the training images, that count as underrepresented
EPOCHS_BETWEEN = 3  # from one diagnosis to the next
ROWS = 256  # in one pass; with more, intermediate results leave the cache


def diagnosis_due(nimg: int, batch: int, count: int) -> bool:
    """Whether the batch before `nimg` was the one that ended a third epoch of `count` images."""
    period = EPOCHS_BETWEEN * count
    return nimg > 0 and nimg // period > (nimg - batch) // period


@torch.no_grad()
def underrepresented(state: TrainState, data: ImageSet, groups: Tensor | None, recipe: Recipe) -> Tensor:
    """Rows of the tenth of the images that fakes come least near to: int64 ``[k]``.

    One fake is made for each image, of its group (class or cluster; all are one where there are none). Images and fakes
    are compared by the discriminator's last features at unit length. An image's score is the distance to the nearest
    fake of its group less that to the nearest other image of it, so that images which are odd among real ones too do
    not win for that alone.

    A function of the state, the images and the recipe's seed.
    """
    every = torch.zeros(len(data), dtype=torch.int64) if groups is None else groups
    random = generator(recipe.seed, "diagnosis", state.nimg)
    pixels, scores = pair_of(recipe.model.architecture).pixels, torch.full([len(data)], -torch.inf)
    sampler = state.sampler.eval()
    state.discriminator.eval()
    for group in every.unique():
        members = (every == group).nonzero().squeeze(1)
        if len(members) == 1:
            continue
        real: list[Tensor] = []
        fake: list[Tensor] = []
        for rows in members.split(ROWS):
            latents = torch.randn(len(rows), recipe.model.latent_dim, generator=random).to(state.device)
            labels = None if groups is None else groups[rows].to(state.device)
            images = to_floats(data.images[rows].to(state.device), pixels)
            for found, batch in ((real, images), (fake, sampler(latents, labels))):
                batch = batch.contiguous(memory_format=torch.channels_last) if state.convolutional else batch
                found.append(F.normalize(state.discriminator(batch, labels).features.float(), dim=1))
        scores[members] = _excess(torch.cat(real), torch.cat(fake)).cpu()
    state.generator.train()
    state.discriminator.train()
    return scores.topk(max(1, round(TENTH * len(data)))).indices


def _excess(real: Tensor, fake: Tensor) -> Tensor:
    """Of each unit vector ``[N, F]``: the distance to its nearest fake less that to its nearest other real one."""
    excess = []
    for first in range(0, len(real), ROWS):
        part = real[first : first + ROWS]
        to_real = part @ real.T
        to_real[torch.arange(len(part)), torch.arange(first, first + len(part))] = -1.0  # not itself
        excess.append(_distance((part @ fake.T).amax(1)) - _distance(to_real.amax(1)))
    return torch.cat(excess)


def _distance(cosine: Tensor) -> Tensor:
    return (2 - 2 * cosine.float()).clamp_min(0).sqrt()
