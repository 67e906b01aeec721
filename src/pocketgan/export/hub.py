"""A folder that the Hugging Face hub takes: weights, configuration, card, picture, and code that rebuilds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pocketgan.core.errors import PocketganError
from pocketgan.core.files import sha256, write_bytes, write_json, write_text
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.rng import balanced_labels, latents
from pocketgan.data.image_set import licence_named
from pocketgan.export import generator as rebuilding
from pocketgan.export.graphs import CHECKED, Equality, equality, licence_of, metadata, published_facts, published_recipe
from pocketgan.export.layers import generator_layers
from pocketgan.models.model import Model
from pocketgan.models.saved import HUB_ABOUT, HUB_NETWORK, model_content, weights_digest, write_network
from pocketgan.networks.contracts import parameter_count
from pocketgan.runs.folder import RunFolder
from pocketgan.scorecard.card import Score, Scorecard
from pocketgan.scorecard.figures import METRICS, shown

FORMAT_VERSION = 1
DRAWN = 100  # images of the picture
PIXEL_RANGES = {"signed": (-1, 1), "unit": (0, 1)}
WEIGHTS = {"ema": "moving average", "live": "as they were at the end"}
COPYING = ("copy_share", "copy_share_judge", "memorisation", "duplicates")  # metrics that tell of it


def write_hub(model: Model, card: Scorecard | None, folder: Path) -> Equality:
    """Fill a folder for ``hf upload``, and compare what its `generator.py` makes with our own images.

    Parameters
    ----------
    model
        On the CPU.
    card
        Its scorecard, for the card's figures; those of another training are left out.
    folder
        Exists, and is empty.

    Raises
    ------
    UsageError
        The generator is a user's own Python.
    PocketganError
        The images are not the same.
    """
    layers = generator_layers(model)
    recipe = published_recipe(model.recipe)
    content = {
        "format_version": FORMAT_VERSION,
        "library_name": "pocketgan",
        "shape": list(model.shape),
        "latent_dim": model.recipe.model.latent_dim,
        "conditional": model.conditional,
        "class_names": list(model.class_names),
        "classes": max(1, len(model.class_names)),
        "pixel_range": list(PIXEL_RANGES[model.generator.pixels]),
        "licence": licence_of(model),
        "weights_sha256": weights_digest(model.generator),
        "layers": layers,
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in content.items()}
    file = write_network(folder, HUB_NETWORK, model.generator, {**metadata(model), **texts, "format": "pt"})
    sums = {file.name: sha256(file)}
    about = model_content(recipe, model.shape, model.class_names, published_facts(model), sums)
    write_json(folder / HUB_ABOUT, {**content, "model": about})
    source = Path(rebuilding.__file__).read_bytes()
    write_bytes(folder / "generator.py", source)
    RunFolder(folder).write_recipe(recipe)  # called as in a run
    write_bytes(folder / "grid.png", to_png(grid(model.sample(DRAWN).images, 10), 2))
    write_text(folder / "README.md", card_text(model, card))
    return _compared(model, folder)


def _compared(model: Model, folder: Path) -> Equality:
    z = latents(0, 0, CHECKED, model.recipe.model.latent_dim)
    labels = balanced_labels(0, CHECKED, len(model.class_names)) if model.conditional else None
    found = equality(model.images(z, labels), rebuilding.Generator(folder).images(z, labels))
    if not found.holds:
        raise PocketganError(f"generator.py does not make the model's images ({found.words}), so nothing was written")
    return found


def _own_card(model: Model, card: Scorecard | None) -> Scorecard | None:
    """The scorecard, if it is of this very training."""
    ours = (model.recipe.seed, model.facts.nimg)
    return card if card and (card.made_by.get("seed"), card.made_by.get("nimg")) == ours else None


def card_text(model: Model, card: Scorecard | None, *, page: bool = False) -> str:
    """The model card as Markdown: of a folder, or the part of it that stands in a page.

    Figures are those of `card`, if it is of this very training.
    """
    card = _own_card(model, card)
    loader = PackageLoader("pocketgan.export", "")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    channels, height, width = model.shape
    facts = published_facts(model)
    scores = list(card.metrics.items()) if card else []
    return environment.get_template("card.md.j2").render(
        name=model.name,
        licence=licence_named(licence_of(model)),
        tags=["pocketgan", "gan", "image-generation", "pytorch", "safetensors"],
        results=_results(card) if card else [],
        drawn=DRAWN,
        conditional=model.conditional,
        channels=channels,
        height=height,
        width=width,
        parameters=parameter_count(model.generator),
        made_with=facts.made_with.as_json(),
        class_names=model.class_names,
        page=page,
        lines=len(Path(rebuilding.__file__).read_text(encoding="utf-8").splitlines()),
        latent_dim=model.recipe.model.latent_dim,
        pixel_range=PIXEL_RANGES[model.generator.pixels],
        facts=facts,
        weights=WEIGHTS.get(facts.weights, facts.weights),
        digest=weights_digest(model.generator),
        card=card,
        rows=[_row(name, score) for name, score in scores],
        memorised=[_memorised(name, score) for name, score in scores if score.metric in COPYING],
    )


def _row(name: str, score: Score) -> dict[str, Any]:
    values = {"value": score.value, "low": score.low, "high": score.high, "floor": score.floor.value}
    texts = {which: shown(score.metric, value) for which, value in values.items()}
    return {"name": name, **texts, "saturated": score.saturated, "about": METRICS[score.metric].about}


def _memorised(name: str, score: Score) -> str:
    row = _row(name, score)
    return f"`{name}` {row['value']} ({row['low']} to {row['high']}; real images {row['floor']})"


def _results(card: Scorecard) -> list[dict[str, Any]]:
    """The hub's model-index: each metric with its interval and, beside it, what real images get."""
    metrics = []
    for name, score in card.metrics.items():
        row = _row(name, score)
        said = f"{name} (95% {row['low']} to {row['high']}; real images {row['floor']})"
        floor = score.floor.model_dump()
        args = {"low": score.low, "high": score.high, "floor": floor, "at_floor": score.saturated}
        metrics.append({"type": name, "value": score.value, "name": said, "args": args})
    task = {"type": "unconditional-image-generation", "name": "Image generation"}
    dataset = {"type": card.reference.name.partition("/")[0], "name": card.reference.name}
    return [{"task": task, "dataset": dataset, "metrics": metrics}]
