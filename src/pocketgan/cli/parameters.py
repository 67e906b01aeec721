"""What the verbs share: the types of their parameters, and words turned into what the Python API takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token
from cyclopts.validators import Number


def _whole(kind: object, tokens: Sequence[Token]) -> int:
    """A whole number; the parser's own conversion would round 1.5 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number") from None


def _field_help(examples: str) -> str:
    return f"Any field of the recipe, such as {examples}; `pocketgan recipes NAME` prints them all."


Whole = Annotated[int, Parameter(converter=_whole)]
Seed = Annotated[Whole, Parameter(validator=Number(gte=0, lt=2**63))]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Json = Annotated[Flag, Parameter(name="--json", help="Print the result as JSON.")]
Quiet = Annotated[Flag, Parameter(help="Show no progress.")]
Threads = Annotated[
    Whole | None,
    Parameter(
        show_default=False,
        validator=Number(gte=1),
        help="Threads that compute on the CPU; all cores without it. Another number of them gives other bytes, so a "
        "run goes on with its own.",
    ),
]
Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda or mps.")]

# ---- of trainings --------------------------------------------------------------------------------------------------

GanRecipe = Annotated[str, Parameter(help="A preset's name (`pocketgan recipes` lists them) or a .toml file.")]
GanField = Annotated[str, Parameter(help=_field_help("--epochs 2, --minutes 5, --seed 1 or --lr-g 1e-3"))]
ClassifierField = Annotated[str, Parameter(help=_field_help("--epochs 2, --seed 1 or --lr 1e-3"))]
Data = Annotated[
    str | None,
    Parameter(
        help="Images to learn from: mnist, fashion-mnist (downloaded once), a folder of pictures (one folder in it for "
        "each class, or none), an NPZ, NPY or IDX file, or an IDX folder. Without it the recipe decides."
    ),
]
TensorBoard = Annotated[Flag, Parameter(help="Write TensorBoard's files too, into OUT/tensorboard.")]
Resume = Annotated[
    Flag,
    Parameter(
        help="Go on with the run that OUT holds, which the same command does anyway; start one if there is none."
    ),
]
Inexact = Annotated[
    Flag,
    Parameter(
        help="Go on even where torch, device or threads have changed and the result cannot be the same bit for bit."
    ),
]
OnTrouble = Annotated[
    str | None,
    Parameter(
        show_default=False,
        help="What to do when numbers stop being finite, the generator collapses, or the discriminator wins or learns "
        "too fast: stop (exit code 3), rollback (to the last good checkpoint, with another seed and half the rates, at "
        "most three times) or warn. Without it, stop for the first and warn of the others.",
    ),
]

# ---- of models and scorecards --------------------------------------------------------------------------------------

GanModel = Annotated[str, Parameter(help="A run folder or a model folder; or digits, the shipped generator.")]
RealSplit = Annotated[
    str, Parameter(help="Real images to measure against: test, or val for what was trained on MNIST's fit.")
]
DrawSeed = Annotated[Seed, Parameter(help="Of a model's latents, and of the draw from a larger set.")]
JudgeFolder = Annotated[
    str, Parameter(help="The folder of another judge than the shipped one, which knows MNIST's digits.")
]


def recipe_options(options: dict[str, str], data: str | None, until_good: bool = False) -> dict[str, Any]:
    """What the command line says of a recipe's fields, by their names."""
    chosen: dict[str, Any] = {name.replace("-", "_"): value for name, value in options.items()}
    if data is not None:
        chosen["source"] = data
    if until_good:
        chosen["until_good"] = True
    return chosen


def listed(text: str) -> list[str]:
    """The words of a list with commas between."""
    return [part.strip() for part in text.split(",") if part.strip()]
