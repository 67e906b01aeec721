"""Break: trainings that fail on purpose, each beside a healthy twin: predict first, then watch. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketgan.core.files import write_text
from pocketgan.lab.training import shown, train_words
from pocketgan.recipes import Recipe, gan_recipe, recipe_toml
from pocketgan.recipes.pairs import PAIRS

STEPS = 1500  # of both
RECIPE = "mlp-bn"
BATCH = 64  # of that recipe
SLOWLY: dict[str, str | int | float] = {"lr_g": 1e-4, "lr_d": 1e-4}  # both at half its rate
FOLDER, PLAIN = ".lab", "without-batchnorm.toml"  # beside the runs; hidden, so it is taken for no run


@dataclass(frozen=True)
class Card:
    """One fault.

    Attributes
    ----------
    id, title, question
        What it is called, and what is to be predicted before it is watched.
    options
        Fields of the recipe that differ from the twin's.
    alarms
        Kinds of trouble, one of which the health watch promises to tell of within `STEPS` steps.
    why, remedy
        What happens, and what to try; told afterwards.
    """

    id: str
    title: str
    question: str
    options: dict[str, str | int | float]
    alarms: tuple[str, ...]
    why: str
    remedy: str
    twin: dict[str, str | int | float] = field(default_factory=dict)
    batch_norm: bool = True

    def as_json(self) -> dict[str, Any]:
        """As the page sees it."""
        return {
            "id": self.id,
            "title": self.title,
            "question": self.question,
            "recipe": RECIPE,
            "options": self.options,
            "steps": STEPS,
            "alarms": self.alarms,
            "why": self.why,
            "remedy": self.remedy,
            "command": shown(words_of(self, "BROKEN", 0, Path("runs"))),
            "twin_command": shown(twin_words(self, "HEALTHY", 0, Path("runs"))),
        }


def words_of(card: Card, out: str, seed: int, folder: Path) -> list[str]:
    """The words of the command that trains what breaks."""
    recipe = RECIPE if card.batch_norm else str(folder / FOLDER / PLAIN)
    return _words(recipe, out, seed, card.options)


def twin_words(card: Card, out: str, seed: int, folder: Path) -> list[str]:
    """The words of the command that trains its healthy twin."""
    return _words(RECIPE, out, seed, card.twin)


def _words(recipe: str, out: str, seed: int, options: dict[str, str | int | float]) -> list[str]:
    batch = int(options.get("batch_size", BATCH))
    return train_words(recipe, out, {**options, "nimg": STEPS * batch, "seed": seed})


def prepare(card: Card, folder: Path) -> None:
    """Write what a card needs beside its runs: a recipe without BatchNorm."""
    if not card.batch_norm:
        write_text(folder / FOLDER / PLAIN, recipe_toml(without_batch_norm()))


def without_batch_norm() -> Recipe:
    """The cards' recipe with every BatchNorm left out."""
    values = gan_recipe(RECIPE).model_dump(exclude_none=True)
    pair = PAIRS[RECIPE]._asdict()
    for role, network in pair.items():
        layers = [layer for layer in network.model_dump()["layers"] if not _type_of(layer).startswith("BatchNorm")]
        values[role] = {**network.model_dump(), "layers": layers}
    values["model"]["architecture"] = "layers"
    return Recipe.model_validate({**values, "name": f"{RECIPE} without BatchNorm"})


def _type_of(layer: str | dict[str, Any]) -> str:
    return layer if isinstance(layer, str) else str(layer["type"])


CARDS = {
    card.id: card
    for card in (
        Card(
            id="fast-discriminator",
            title="A discriminator that learns too fast",
            question="Its rate is a hundred times the generator's. Whose loss falls, and what do the images do?",
            options={"lr_d": 0.02},
            alarms=("discriminator's steps", "discriminator has won"),
            why="Its weights leap, and it tells every fake at once. Its gradient says little of how to mend them.",
            remedy="a lower --lr-d: a tenth, for a start",
        ),
        Card(
            id="fast-generator",
            title="A generator that learns too fast",
            question="Its rate is a hundred times the discriminator's. What will a hundred latents give?",
            options={"lr_g": 0.02},
            alarms=("generator's steps", "classes", "variety", "distinct"),
            why="It leaps from one image that fools the discriminator to the next, and all latents leap together.",
            remedy="a lower --lr-g: a tenth, for a start",
        ),
        Card(
            id="no-batchnorm",
            title="No BatchNorm",
            question="The generator has no BatchNorm, and both learn slowly. How alike do a hundred images look?",
            options=SLOWLY,
            twin=SLOWLY,
            batch_norm=False,
            alarms=("variety", "distinct", "classes"),
            why="From layer to layer the latents' differences shrink, so that all give nearly one image. BatchNorm "
            "scales them up again in each layer; without it the generator must first learn to tell latents apart.",
            remedy="BatchNorm after each hidden layer of the generator, or larger first weights",
        ),
        Card(
            id="batch-of-two",
            title="A batch of two",
            question="BatchNorm sees two images at a time. Which digits will there be?",
            options={"batch_size": 2},
            alarms=("classes", "variety", "distinct"),
            why="The mean and the variance of two images tell little of all, and two fakes show no lack of variety.",
            remedy="a larger --batch-size: 64",
        ),
        Card(
            id="momentum",
            title="Momentum of 0.9 in both",
            question="Both players keep nine tenths of their last direction. Do they settle, or run in circles?",
            options={"beta1": 0.9},
            alarms=("classes", "variety", "distinct", "discriminator's steps", "generator's steps"),
            why="In a game of two, old directions are answers to a player who has moved on: both overshoot.",
            remedy="a lower --beta1: 0.5, or 0",
        ),
    )
}
