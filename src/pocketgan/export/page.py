"""One page that holds a generator and draws with it: no network, no server, nothing to install.

The template `page.html` beside this file is built from `web/` at the root of the repository, and kept here so that
nobody needs Node. It takes the network as a list of layers (`pocketgan.export.layers`) whose weights lie in one block
of bytes: large ones in half precision, where that changes no pixel by more than `MOST_BYTES_APART`.
"""

from __future__ import annotations

import base64
import copy
import html
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from pocketgan.core.files import write_text
from pocketgan.core.rng import balanced_labels, latents
from pocketgan.export.graphs import CHECKED, Equality, equality, published_facts
from pocketgan.export.hub import PIXEL_RANGES, card_text
from pocketgan.export.layers import Entry, generator_layers
from pocketgan.export.markdown import to_html
from pocketgan.metrics.appearance import STROKES
from pocketgan.models.model import Model, draw
from pocketgan.models.saved import weights_digest
from pocketgan.networks.contracts import Generator, parameter_count
from pocketgan.scorecard.card import Scorecard
from pocketgan.steer.directions import Directions

TEMPLATE = Path(__file__).parent / "page.html"
FEWEST_HALVED = 2048  # numbers in a weight that is kept in half precision
MOST_BYTES_APART = 2  # of 255, between our images and the page's
NORMS = ("BatchNorm1d", "BatchNorm2d")
Place = list[int]  # first byte, count, bytes of a number


class Weights:
    """Numbers one after the other, little-endian, as the page reads them."""

    def __init__(self, halves: bool) -> None:
        self.content, self._halves = bytearray(), halves

    def add(self, values: Tensor, *, exact: bool = False) -> Place:
        """Append numbers; large tensors in half precision unless `exact`."""
        small = self._halves and not exact and values.numel() >= FEWEST_HALVED
        kept = values.detach().to(torch.float16 if small else torch.float32).numpy()
        self.content += b"\0" * (-len(self.content) % kept.itemsize)
        begin = len(self.content)
        self.content += kept.astype(kept.dtype.newbyteorder("<")).tobytes()
        return [begin, kept.size, kept.itemsize]


def write_page(model: Model, card: Scorecard | None, path: Path) -> tuple[Equality, str]:
    """Write the page of a model on the CPU.

    Parameters
    ----------
    model
        Its generator is one of ours, or was given as layers.
    card
        Its scorecard, for the model card; that of another training is left out.
    path
        Of the file.

    Returns
    -------
    tuple[Equality, str]
        How far the page's weights change the images of `CHECKED` latents, computed here by PyTorch; and the precision
        in words. A browser's own sums are compared by `bench export`.

    Raises
    ------
    UsageError
        The generator is a user's own Python.
    """
    plain = _unparametrized(model)
    layers = generator_layers(plain, "html")
    check = _halved(plain, model)
    halves = check.largest <= MOST_BYTES_APART
    weights = Weights(halves)
    content: dict[str, Any] = {
        "name": model.name,
        "shape": list(model.shape),
        "latent": model.recipe.model.latent_dim,
        "classes": list(model.class_names) if model.conditional else [],
        "conditional": model.conditional,
        "pixel_range": list(PIXEL_RANGES[model.generator.pixels]),
        "weights": weights_digest(model.generator),
        "layers": [_placed(entry, plain.generator, weights) for entry in layers],
        "steering": None if model.conditional else _steering(model, weights),
    }
    parts = {
        "title": html.escape(content["name"]),
        "lead": html.escape(_lead(model)),
        "card": to_html(card_text(model, card, page=True)),
        "network": _json(content),
        "weights": base64.b64encode(weights.content).decode(),
    }
    write_text(path, _filled(TEMPLATE.read_text(encoding="utf-8"), parts))
    if halves:
        return check, "weights in half precision"
    images = model.images(*trial(model))
    return equality(images, images), "weights in single precision, since half changes the images"


def _filled(template: str, parts: dict[str, str]) -> str:
    """The template with each ``[[ name ]]`` replaced; what is put in is not looked through again."""
    made, rest = [], template
    while "[[ " in rest:
        before, _, after = rest.partition("[[ ")
        name, mark, following = after.partition(" ]]")
        known = bool(mark) and name in parts
        made += [before, parts[name] if known else "[[ "]
        rest = following if known else after
    return "".join([*made, rest])


def _json(content: Any) -> str:
    """JSON that can stand in a script element."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _lead(model: Model) -> str:
    channels, height, width = model.shape
    source = published_facts(model).data.name.partition("/")[0]
    kind = f"{width}\N{MULTIPLICATION SIGN}{height} {'grey' if channels == 1 else 'colour'} pictures"
    return (
        f"A generative network that learned from {source} and draws {kind}. Its "
        f"{parameter_count(model.generator):,} weights are in this page, which sends nothing anywhere."
    )


def _unparametrized(model: Model) -> Model:
    """The same model with plain weights where they were computed from others (spectral normalisation)."""
    generator = copy.deepcopy(model.generator)
    parts: list[Any] = list(generator.modules())
    for module in parts:
        if is_parametrized(module):
            weight = module.weight.detach().clone()
            del module.parametrizations  # PyTorch's own way back changes the class, which the model shares
            module.__class__ = type(module).__bases__[0]
            module.weight = nn.Parameter(weight)
    return Model(generator, None, model.recipe, model.shape, model.class_names, model.facts)


def trial(model: Model) -> tuple[Tensor, Tensor | None]:
    """Latents and classes that a page is compared on."""
    z = latents(0, 0, CHECKED, model.recipe.model.latent_dim)
    return z, balanced_labels(0, CHECKED, len(model.class_names)) if model.conditional else None


def _halved(plain: Model, model: Model) -> Equality:
    """What it does to the images that the page has its large weights in half precision."""
    generator = copy.deepcopy(plain.generator)
    for module in generator.modules():
        for values in module.parameters(recurse=False):
            if values.numel() >= FEWEST_HALVED and not isinstance(module, nn.modules.batchnorm._BatchNorm):
                values.data = values.data.half().float()
    z, label = trial(model)
    return equality(model.images(z, label), draw(generator, z, label))


def _placed(entry: Entry, generator: Generator, weights: Weights) -> dict[str, Any]:
    """An entry of the list with its weights in the block; BatchNorm becomes a scale and a shift."""
    kind, stored = entry["type"], generator.state_dict()
    named = {own: stored[name] for own, name in entry.get("weights", {}).items()}
    if kind in NORMS:
        return _affine(named, entry["arguments"]["eps"], weights)
    if kind == "Residual":
        return {"type": kind, "layers": _residual(named, weights)}
    exact = kind == "Clusters"  # a choice, which rounding may turn
    placed = {own: weights.add(values, exact=exact) for own, values in named.items()}
    return {**entry, "weights": placed} if placed else dict(entry)


def _affine(named: dict[str, Tensor], eps: float, weights: Weights) -> dict[str, Any]:
    scale = 1 / torch.sqrt(named["running_var"].double() + eps)
    if "weight" in named:
        scale = scale * named["weight"].double()
    shift = -named["running_mean"].double() * scale
    if "bias" in named:
        shift = shift + named["bias"].double()
    placed = {"scale": weights.add(scale, exact=True), "shift": weights.add(shift, exact=True)}
    return {"type": "Affine", "weights": placed}


def _residual(named: dict[str, Tensor], weights: Weights) -> list[dict[str, Any]]:
    """The two halves of a `pocketgan.networks.pocket.Residual`."""
    made: list[dict[str, Any]] = []
    for number in (1, 2):
        norm = {name: named[f"norm{number}.{name}"] for name in ("running_var", "running_mean", "weight", "bias")}
        filters = {name: named[f"conv{number}.{name}"] for name in ("weight", "bias")}
        sides = {"kernel_size": [3, 3], "stride": [1, 1], "padding": [1, 1]}
        convolution = {
            "type": "Conv2d",
            "arguments": {"out_channels": len(filters["bias"]), **sides},
            "weights": {name: weights.add(values) for name, values in filters.items()},
        }
        made += [_affine(norm, nn.BatchNorm2d(1).eps, weights), {"type": "ReLU"}, convolution]
    return made


def _steering(model: Model, weights: Weights) -> dict[str, Any] | None:
    """The linear directions, where they are fitted."""
    if "directions" not in model.steer.methods():
        return None
    fitted = model.steer.fitted("directions")
    assert isinstance(fitted.steerer, Directions), "the method's name tells its kind"
    return {
        "classes": list(model.steer.names()),
        "made": list(fitted.facts.made),
        "strength": fitted.steerer.strength,
        "names": list(STROKES),
        **{name: weights.add(getattr(fitted.steerer, name), exact=True) for name in ("basis", "means", "moves")},
    }
