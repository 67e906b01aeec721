"""Play: models to look at, images of given latents at once, latents of classes, and pictures that are kept."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import to_pillow
from pocketgan.lab.runs import Shelf
from pocketgan.metrics.appearance import STROKES
from pocketgan.models.model import Model
from pocketgan.runs.folder import MODEL_FILE
from pocketgan.steer.directions import Directions
from pocketgan.steer.fits import kept_in

SHIPPED = ("digits", "digits-free")
MOST_MODELS = 4  # in memory, the last used ones
MOST_DRAWN = 256  # images at once
LONGEST = 10.0  # a latent, as a vector of numbers: |z| of each; the prior reaches beyond 6 once in 10^9
HEADER = struct.Struct("<II")  # number of the request, and images
CLASSES = "classes"


class Asked(NamedTuple):
    """A request to draw, as it came through a socket."""

    number: int
    z: Tensor  # float32 [N, D]
    labels: Tensor | None  # int64 [N]


class Models:
    """The models that can be looked at: the shipped ones, and those of runs.

    Parameters
    ----------
    shelf
        The runs.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._kept: OrderedDict[str, tuple[int, Model]] = OrderedDict()
        self._lock = Lock()

    def list(self) -> list[dict[str, Any]]:
        """What can be played with."""
        rows: list[dict[str, Any]] = [{"id": name, "name": name, "shipped": True} for name in SHIPPED]
        for identity, run in self.shelf.runs().items():
            if run.model.is_dir() and not run.model.is_symlink():
                rows.append({"id": identity, "name": self.shelf.name_of(run), "shipped": False})
        return rows

    def place(self, identity: str) -> str | Path:
        """The folder or the name of a model.

        Raises
        ------
        UsageError
            There is no such model.
        """
        return identity if identity in SHIPPED else self.shelf.run(identity).path

    def get(self, identity: str) -> Model:
        """A model, loaded once, and anew where it was written anew. It computes on the CPU.

        Raises
        ------
        UsageError, PocketganError
            There is none, or it cannot be loaded.
        """
        place = self.place(identity)
        about = self.shelf.run(identity).model / MODEL_FILE if isinstance(place, Path) else None
        written = about.stat().st_mtime_ns if about is not None and about.is_file() else 0
        with self._lock:
            kept = self._kept.get(identity)
            if kept is None or kept[0] != written:
                kept = self._kept[identity] = written, Model.load(place, "cpu")
            self._kept.move_to_end(identity)
            while len(self._kept) > MOST_MODELS:
                self._kept.popitem(last=False)
        return kept[1]

    def forget(self, identity: str) -> None:
        """Load a model anew when it is next asked for: something was fitted to it."""
        with self._lock:
            self._kept.pop(identity, None)

    def named(self, identity: str) -> str:
        """A model as a word of a command."""
        return str(self.place(identity))

    def describe(self, identity: str) -> dict[str, Any]:
        """What a page needs to know of a model."""
        model = self.get(identity)
        methods = [] if model.conditional or model.folder is None else kept_in(model.folder)
        names = list(model.class_names if model.conditional or not methods else model.steer.names())
        return {
            "id": identity,
            "name": model.recipe.name,
            "seed": model.recipe.seed,
            "conditional": model.conditional,
            "latent_dim": model.recipe.model.latent_dim,
            "shape": list(model.shape),
            "class_names": names,
            "classes_by": "asked" if model.conditional else "steered" if methods else None,
            "methods": methods,
            "most_images": MOST_DRAWN,
            "longest": LONGEST,
            "nimg": model.facts.nimg,
            "data": model.facts.data.name,
            "command": f"pocketgan info {self.named(identity)}",
        }

    def latents(self, identity: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Latents of a seed or of a class, with their labels, and the command that generates their images."""
        model, label, moves = self.get(identity), wanted.get("label"), dict(wanted.get("moves") or {})
        samples = model.sample(
            wanted["count"],
            label=label,
            seed=wanted["seed"],
            start=wanted["start"],
            method=wanted.get("method"),
            moves=moves or None,
            exact=False,
        )
        words = [f"pocketgan generate {self.named(identity)} --count {wanted['start'] + wanted['count']}"]
        if label is not None:
            names = model.class_names if model.conditional else model.steer.names()
            words.append(f"--class {names[label]}")
        words += [f"--{name} {amount:g}" for name, amount in moves.items()]
        return {
            "z": packed(samples.latents),
            "labels": None if samples.labels is None or not model.conditional else samples.labels.tolist(),
            "command": f"{' '.join(words)} --seed {wanted['seed']}",
        }

    def directions(self, identity: str) -> dict[str, Any]:
        """The fitted directions, by which a page steers latents itself: as `Directions` has them.

        Raises
        ------
        UsageError
            The model is conditional, or none are fitted to it.
        """
        model = self.get(identity)
        fitted = model.steer.fitted("directions")
        assert isinstance(fitted.steerer, Directions), "the method's name tells its kind"
        names = model.steer.names()
        words = f"pocketgan steer directions {self.named(identity)} --class {names[fitted.facts.made[0]]}"
        return {
            "classes": list(names),
            "made": fitted.facts.made,
            "strength": fitted.steerer.strength,
            "names": list(STROKES),
            **{name: packed(getattr(fitted.steerer, name)) for name in ("basis", "means", "moves")},
            "command": f"{words} --out DIRECTIONS.png",
        }

    @torch.no_grad()
    def draw(self, identity: str, message: bytes) -> bytes:
        """Answer a request: its number, how many, and the pixels uint8 ``[N, C, H, W]``."""
        model = self.get(identity)
        asked = read_asked(message, model)
        images = model.images(asked.z, asked.labels, exact=False)
        return HEADER.pack(asked.number, len(images)) + images.numpy().tobytes()

    def picture(self, identity: str, z: str, label: int | None, scale: int) -> bytes:
        """One image, exact, as PNG with its latent in it."""
        model = self.get(identity)
        latent = checked(unpacked(z), model)
        images = model.images(latent, None if label is None else torch.tensor([label]))
        texts = {"z": latent[0].tolist(), "label": label, "model": model.recipe.name, "seed": model.recipe.seed}
        return png_with(to_pillow(images[0], scale), texts)


def read_asked(message: bytes, model: Model) -> Asked:
    """A request: `HEADER`, a label int32 for each image (-1 for none), and the latents float32, little-endian.

    Raises
    ------
    UsageError
        It has another size, or a number in it is not finite or too large.
    """
    dim = model.recipe.model.latent_dim
    number, count = HEADER.unpack_from(message) if len(message) >= HEADER.size else (0, 0)
    if not 1 <= count <= MOST_DRAWN or len(message) != HEADER.size + count * 4 * (1 + dim):
        raise UsageError(
            f"a request is two uint32 (number, images: 1 to {MOST_DRAWN}), then for each image a label, int32, "
            f"and {dim} float32"
        )
    labels = torch.from_numpy(np.frombuffer(message, "<i4", count, HEADER.size).astype(np.int64))
    z = torch.from_numpy(np.frombuffer(message, "<f4", count * dim, HEADER.size + 4 * count).astype(np.float32))
    return Asked(number, checked(z.view(count, dim), model), labels if model.conditional else None)


def checked(z: Tensor, model: Model) -> Tensor:
    """Latents ``[N, D]`` or ``[D]`` as ``[N, D]``, all of them numbers that a latent may hold.

    Raises
    ------
    UsageError
        They are not.
    """
    dim = model.recipe.model.latent_dim
    if z.numel() == 0 or z.numel() % dim:
        raise UsageError(f"a latent of this model has {dim} numbers")
    if not bool(z.isfinite().all()) or float(z.abs().max()) > LONGEST:
        raise UsageError(f"the numbers of a latent must be finite, and lie between -{LONGEST:g} and {LONGEST:g}")
    return z.view(-1, dim)


def packed(tensor: Tensor) -> str:
    """float32 of any shape as base64 of little-endian bytes."""
    return base64.b64encode(tensor.float().contiguous().numpy().astype("<f4").tobytes()).decode()


def unpacked(text: str) -> Tensor:
    """float32 ``[N]`` out of base64, also the form for addresses.

    Raises
    ------
    UsageError
        It is no such thing.
    """
    try:
        content = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        return torch.from_numpy(np.frombuffer(content, "<f4").astype(np.float32))
    except ValueError as error:
        raise UsageError("a latent is float32, little-endian, as base64") from error


def png_with(picture: Image.Image, texts: Mapping[str, Any]) -> bytes:
    """A picture as PNG, with JSON about it under the key ``pocketgan``."""
    about, buffer = PngInfo(), io.BytesIO()
    about.add_text("pocketgan", json.dumps(texts))
    picture.save(buffer, "PNG", pnginfo=about)
    return buffer.getvalue()
