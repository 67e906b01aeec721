"""How surely the shipped guide reads an imported generator's images, beside other networks of the same shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from pocketgan.core.pixels import images_for
from pocketgan.core.rng import balanced_labels, latents
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.model import draw
from pocketgan.networks.contracts import Generator

DRAWN = 100  # images that the guide reads
COUNTED = 1000  # images that an imported classifier reads
MUCH = 0.05  # more confidence than the import's own images get: another network is likelier
ALIKE = 0.02  # less difference in confidence than that tells nothing
WELL = 0.8  # share of its confidence on real images with which the guide reads good fakes
NAMED = 0.5  # share of classes as asked for that chance does not give


class Reading(NamedTuple):
    """What the guide says of one network's images.

    Attributes
    ----------
    words, options
        What this network computes otherwise than the imported one, and the options that choose it; empty for itself.
    sureness
        The guide's mean confidence in its own answers.
    right
        Share of images read as the class that was asked for; None without labels.
    """

    words: str
    options: str
    sureness: float
    right: float | None


class Read(NamedTuple):
    """All readings, the imported network's first, and what follows from them in plain words."""

    real: float  # the guide's confidence on real images
    readings: tuple[Reading, ...]
    warnings: tuple[str, ...]


def read_images(networks: Iterable[tuple[str, str, Generator]], data: ImageSet) -> Read | None:
    """Draw from each network and let the guide read it; None where no shipped guide knows the images.

    Parameters
    ----------
    networks
        Words, options and the network, the imported one first.
    data
        The images that it was made for.
    """
    guide = guide_for(data.shape, data.class_names, "cpu")
    if guide is None:
        return None
    rows = data.images[:: max(1, len(data) // DRAWN)][:DRAWN]
    real = float(guide.probabilities(rows).max(1).values.mean())
    readings = tuple(_reading(*network, guide) for network in networks)
    return Read(real, readings, tuple(_warnings(real, readings)))


@torch.no_grad()
def share_right(network: nn.Module, data: ImageSet) -> float | None:
    """Share of `COUNTED` images that a classifier of pixels in [0, 1] reads as labelled; None without labels."""
    if data.labels is None:
        return None
    rows = torch.arange(0, len(data), max(1, len(data) // COUNTED))[:COUNTED]
    read = network.eval()(images_for(data.images[rows], torch.device("cpu"))).argmax(1)
    return float((read == data.labels[rows]).float().mean())


def _reading(words: str, options: str, generator: Generator, guide: Classifier) -> Reading:
    z = latents(0, 0, DRAWN, generator.latent_dim)
    labels = balanced_labels(0, DRAWN, len(guide.class_names)) if generator.conditional else None
    probabilities = guide.probabilities(draw(generator.eval(), z, labels))
    right = None if labels is None else float((probabilities.argmax(1) == labels).float().mean())
    return Reading(words, options, float(probabilities.max(1).values.mean()), right)


def _warnings(real: float, readings: tuple[Reading, ...]) -> list[str]:
    own, others = readings[0], readings[1:]
    told = []
    asked = [one for one in others if one.right is not None]
    named = max(asked, key=lambda one: one.right or 0.0, default=None)
    if named is not None and own.right is None and (named.right or 0.0) >= NAMED:
        told.append(
            f"the network takes labels: with {named.words} the guide reads {named.right:.0%} of its images as the "
            f"class that was asked for; import it again with {named.options}"
        )
    elif named is not None and own.right is not None and (named.right or 0.0) > own.right + MUCH:
        told.append(
            f"with {named.words} {named.right:.0%} of its images are read as the class that was asked for, and "
            f"{own.right:.0%} as it was imported; import it again with {named.options} if it was trained so"
        )
    else:
        most = max((one.sureness for one in others), default=own.sureness)
        best = next((one for one in others if one.sureness > most - ALIKE), own)  # the usual ones are tried first
        if best.sureness > own.sureness + MUCH:
            told.append(
                f"with {best.words} the guide is {best.sureness:.0%} sure of its images, and {own.sureness:.0%} as it "
                f"was imported; import it again with {best.options} if it was trained so"
            )
    if max(one.sureness for one in readings) < WELL * real:
        told.append(
            "nothing that was tried reads well: the network is hardly trained, makes other images than these, or "
            "something in its code is not in the file; look at its images"
        )
    elif own.right is not None and own.right < NAMED and not told:
        told.append(
            f"only {own.right:.0%} of its images are read as the class that was asked for: its labels may be joined "
            "in another way"
        )
    return told
