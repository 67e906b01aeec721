"""`tstr`: train on synthetic, test on real. What classifiers learn from fakes alone, beside what real images teach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pocketgan.core.cache import cached
from pocketgan.core.devices import device_name
from pocketgan.core.rng import rng
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import channels_last
from pocketgan.recipes import CLASSIFIER_PRESETS, ClassifierRecipe
from pocketgan.runs.facts import ClassifierFacts
from pocketgan.training.classifiers import train_classifier_steps

RECIPE = "tstr"  # the preset: its network, optimiser, schedule and epochs are the protocol
COUNT = 60_000  # fakes learned from, class-balanced
SEEDS = (0, 1, 2)  # of the classifiers
RESAMPLINGS = 2000  # of the test images, for the intervals


def tstr(
    fakes: ImageSet,
    real: ImageSet,
    test: ImageSet,
    device: torch.device,
    on_progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Accuracy on real test images of classifiers that learned from fakes, and from real images, seed by seed.

    Parameters
    ----------
    fakes, real
        Labelled images to learn from. What real images teach is computed once and kept in the cache.
    test
        Labelled real images, kept apart.
    device
        Where to train.
    on_progress
        Called with the share that is done, 0 to 1.

    Returns
    -------
    dict
        ``accuracy``, ``real_accuracy`` and ``gap`` (real minus fake; fractions), each with ``low`` and ``high`` of a
        95 % interval over resampled test images, the same for both, and the accuracies of each classifier seed.
    """
    done = 0

    def learn(images: ImageSet, seed: int) -> Tensor:
        def move(share: float) -> None:
            if on_progress is not None:
                on_progress((done + share) / (2 * len(SEEDS)))

        return _hits(images, test, seed, device, move)

    known, hits = [], []
    # without the second word a GPU's figures would be those of versions that did not seed it
    where = "cpu" if device.type == "cpu" else f"{device_name(device)} seeded"
    for seed in SEEDS:
        recipe = CLASSIFIER_PRESETS[RECIPE].recipe.model_dump_json()
        key = f"tstr {recipe} seed {seed} {where} {real.digest} {test.digest}"
        known.append(cached(key, lambda seed=seed: {"hits": learn(real, seed)})["hits"])  # type: ignore[misc]
        done += 1
    for seed in SEEDS:
        hits.append(learn(fakes, seed))
        done += 1
    of_fakes, of_real = torch.stack(hits).double(), torch.stack(known).double()
    drawn = torch.randint(len(test), (RESAMPLINGS, len(test)), generator=rng(0, "resampling"))

    def interval(values: Tensor) -> dict[str, float]:
        means = torch.stack([values[rows].mean() for rows in drawn])
        low, high = means.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return {"value": float(values.mean()), "low": low, "high": high}

    return {
        "count": len(fakes),
        "test": test.name,
        "classifier_seeds": list(SEEDS),
        "accuracies": of_fakes.mean(1).tolist(),
        "real_count": len(real),
        "real_accuracies": of_real.mean(1).tolist(),
        "accuracy": interval(of_fakes.mean(0)),
        "real_accuracy": interval(of_real.mean(0)),
        "gap": interval((of_real - of_fakes).mean(0)),
    }


def _hits(images: ImageSet, test: ImageSet, seed: int, device: torch.device, move: Callable[[float], None]) -> Tensor:
    """Which test images a classifier reads rightly that learned from `images`: bool ``[N]``."""
    preset = CLASSIFIER_PRESETS[RECIPE].recipe
    assert isinstance(preset, ClassifierRecipe), "tstr is a classifier's preset"
    recipe = preset.model_copy(update={"seed": seed, "source": images.name})
    network = build_classifier(recipe.architecture, test.shape, len(test.class_names), seed).to(device)
    for step in train_classifier_steps(channels_last(network), images, recipe, device):
        move(step.nimg / (recipe.epochs * len(images)))
    assert test.labels is not None, "test images have labels"
    read = Classifier(network, recipe, test.shape, test.class_names, ClassifierFacts()).label(test.images)
    return read == test.labels
