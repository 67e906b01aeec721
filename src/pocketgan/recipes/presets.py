"""The presets: one literal table of pairs, one of classifiers. Imports no torch."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple

from pocketgan.recipes.recipe import ClassifierRecipe, Recipe, RecipeT


class Preset(NamedTuple, Generic[RecipeT]):
    """One row of a table of presets."""

    recipe: RecipeT
    about: str  # what it is, and what was chosen where its author left something open


def _gan(name: str, **sections: Any) -> Recipe:
    return Recipe.model_validate({"name": name, **sections})


# fmt: off
_GANS: list[tuple[Recipe, str]] = [
    (_gan("pocket",
        data={"underrepresented": 0.17},
        model={"architecture": "pocket", "latent_dim": 64},
        objective={"loss": "relativistic", "r1": 0.1, "r1_every": 8, "r1_target": 0.57, "class_weight": 0.2},
        optimizer={"lr_g": 2e-3, "lr_d": 2e-3, "beta1": 0.0, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 8, "lr_hold": 0.5, "ema_share": 0.06}),
     "The default: a small residual, convolutional, conditional pair: relativistic loss, lazy R1 on real images that grows "
     "where the discriminator learns them by heart, a projection and an auxiliary class head, no momentum, a moving average of the generator and a rate that falls over the last half; "
     "both follow the budget. From the fourth epoch on a sixth of each batch comes from the images that fakes come least near "
     "to. Fakes carry the labels of the real batch. Products are in bf16 where the processor has it."),
    (_gan("pocket-free",
        model={"architecture": "pocket-free", "latent_dim": 64, "clusters": 64},
        objective={"loss": "relativistic", "r1": 0.1, "r1_every": 8, "class_weight": 0.2},
        optimizer={"lr_g": 2e-3, "lr_d": 2e-3, "beta1": 0.0, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 28, "lr_hold": 0.2, "ema_share": 0.06}),
     "The default without labels: 64 clusters of images that look alike, found by k-means before the training, take the "
     "place of classes inside. From outside it is unconditional: the first 16 numbers of z choose the cluster."),
    (_gan("mlp",
        model={"architecture": "mlp", "latent_dim": 100},
        objective={"fresh_latents": True},
        schedule={"batch_size": 100, "epochs": 100}),
     "The classroom project \"GAN that Generates Synthetic Digit Images\": 100-256-784 against 784-256-100-1, told to train \"until indistinguishable\". Left open and chosen: "
     "Adam at 2e-4 with PyTorch's betas, batch 100, 100 epochs (or --until-good), new latents for the generator's step, "
     "discriminator losses added.", ),
    (_gan("mlp-bn",
        model={"architecture": "mlp-bn", "latent_dim": 100},
        optimizer={"beta1": 0.5},
        schedule={"batch_size": 64, "epochs": 50}),
     "The classroom project \"DigitGAN\": BatchNorm in the generator, LeakyReLU, BCE, 50 epochs. Left open and chosen: widths 256-512-1024 and "
     "512-256, slope 0.2, Adam at 2e-4 with beta1 0.5, batch 64 (its classifier's summed losses fit 938 batches an epoch)."),
    (_gan("dcgan",
        model={"architecture": "dcgan", "latent_dim": 100},
        objective={"updates": "simultaneous"},
        optimizer={"eps": 1e-7, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 50}),
     "The classroom project \"GAN for MNIST Image Generation\": TensorFlow's DCGAN with Keras' defaults; both players learn from one pass over the same fakes. Left "
     "open and chosen: dropout 0.3, as in the tutorial it follows. Products are in bf16 where the processor has it (its author's are in fp32: --precision fp32)."),
    (_gan("mlp-deep",
        model={"architecture": "mlp-deep", "latent_dim": 100},
        schedule={"batch_size": 64, "epochs": 60}),
     "The classroom project \"GAN-Based MNIST Digit Generation\": four linear layers against three, 60 epochs. Left open and chosen: widths 256-512-1024 and 512-256, "
     "slope 0.2, PyTorch's betas, the same latents for both steps."),
    (_gan("dcgan-rotate",
        data={"rotate": 20},
        model={"architecture": "dcgan-rotate", "latent_dim": 64},
        objective={"halves": "mean", "fresh_latents": True},
        optimizer={"beta1": 0.5, "beta2": 0.99, "precision": "auto"},
        schedule={"batch_size": 128, "epochs": 20}),
     "The classroom project \"Handwritten Digit Generator using GAN\": a small unpadded pair whose generator ends in ReLU, on randomly turned digits, convolutions and "
     "BatchNorm drawn from N(0, 0.02). Left open and chosen: turns of up to 20 degrees and the filters of the course it "
     "follows (256-128-64 and 16-32-64), discriminator losses averaged, and a last bias that begins at 0: PyTorch's own "
     "beginning makes half the seeds black for good and leaves the others a grey background. Products are in bf16 where "
     "the processor has it (its author's are in fp32: --precision fp32)."),
]

_CLASSIFIERS: list[tuple[ClassifierRecipe, str]] = [
    (ClassifierRecipe(name="cnn", architecture="cnn", epochs=5),
     "The classifier of `mlp`'s project: two 5x5 convolutions (36, 32), 45,458 parameters. Left open and chosen: Adam at 1e-3, batch 128, 5 epochs."),
    (ClassifierRecipe(name="mlp", architecture="mlp", epochs=5, batch_size=64),
     "The \"fully connected\" classifier of `mlp-bn`'s project, 5 epochs, reported as it comes (its author's 98.98 % looks like a "
     "convolutional network's). Left open and chosen: widths 512 and 256, Adam at 1e-3, batch 64."),
    (ClassifierRecipe(name="cnn-dense", architecture="cnn-dense", epochs=5, eps=1e-7),
     "The classifier of `dcgan`'s project: two convolutions and two dense layers, 5 epochs. Left open and chosen: 3x3 filters 32 and 64, 128 "
     "units, Keras' Adam, batch 128."),
    (ClassifierRecipe(name="linear-224", architecture="linear-224", epochs=5, batch_size=64),
     "The classifier of `mlp-deep`'s project: one linear layer on images turned to 3 channels and 224x224. Left open and chosen: bilinear resizing, "
     "Adam at 1e-3, batch 64, 5 epochs."),
    (ClassifierRecipe(name="judge", architecture="judge", split="fit", epochs=14, lr=4e-3, weight_decay=0.01, one_cycle=True,
        rotate=10, scale=0.1, shift=1.5),
     "The network that scores, and does nothing else: four convolutions with BatchNorm, 128 features, learned from `fit` "
     "so that neither `val` nor the test images are known to it."),
    (ClassifierRecipe(name="judge-deep", architecture="judge-deep", split="fit", epochs=15, lr=5e-3, weight_decay=0.05, one_cycle=True,
        translate=2, label_smoothing=0.1, average=0.998, precision="auto"),
     "A judge for colour: a residual network with 128 features, learned from `fit` with shifted images."),
    (ClassifierRecipe(name="judge-objects", architecture="judge-deep", split="fit", epochs=15, lr=5e-3, weight_decay=0.05, one_cycle=True,
        flip=True, translate=2, label_smoothing=0.1, average=0.998, precision="auto"),
     "The same for what stays what it is in a mirror, as animals and cars do and digits do not."),
    (ClassifierRecipe(name="judge-clothes", architecture="judge-deep", split="fit", epochs=24, lr=5e-3, weight_decay=0.05, one_cycle=True,
        flip=True, translate=2, cutout=8, label_smoothing=0.1, average=0.998, precision="auto"),
     "The same for Fashion-MNIST, longer and with a part of each image hidden."),
    (ClassifierRecipe(name="cnn-normed", architecture="cnn-normed", epochs=12, lr=5e-3, weight_decay=0.05, one_cycle=True,
        flip=True, translate=2, label_smoothing=0.1, precision="auto"),
     "A guide for objects, which labels, selects and steers: six plain convolutions with BatchNorm. It never judges."),
    (ClassifierRecipe(name="tstr", architecture="tstr", epochs=5, lr=2e-3, weight_decay=0.01, one_cycle=True, drop_last=True),
     "The learner of tstr (train on synthetic, test on real): two 3x3 convolutions, 128 units, dropout 0.3, AdamW, one cycle."),
]
# fmt: on

GAN_PRESETS: dict[str, Preset[Recipe]] = {recipe.name: Preset(recipe, about) for recipe, about in _GANS}
CLASSIFIER_PRESETS: dict[str, Preset[ClassifierRecipe]] = {
    recipe.name: Preset(recipe, about) for recipe, about in _CLASSIFIERS
}
