"""What was done to a whole set of images, told by undoing it: mirrored, transposed, turned, inverted, thick, thin.

Each transformation of a short list is undone in turn on a few images, and the judge reads the result. The undoings that
leave them nearest to real images are looked at more closely: by their Fréchet distance to some real images, less what
as many others have. A turn blurs, and a stroke that was made wider and narrower again is another: there both kinds of
real images went the same way there and back. Where less than `DECISIVE` of the distance is left, and the judge reads
about as many of the labels or more, the images are called what was undone. Then the list is gone through once more for
what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketgan.metrics.distances import Moments, frechet_distance, moments
from pocketgan.scorecard.yardstick import JudgedImages, Yardstick, part_of

TRIED = 100  # images on which every undoing is tried
LOOKED_AT = 1000  # on which the best are looked at, and twice as many real ones beside them
CLOSELY = 2  # undoings that are looked at, the best on the few
DECISIVE = 0.25  # of the distance before: what an undoing must leave less than; see docs/log.md
FAR = 2.0  # times the distance of real images at which there is anything to undo
NEAR = 0.15  # of real images' own variance, summed: what an undoing may leave; noise is far from all that is real
FEWER_READ = 0.02  # share of the labels that an undoing may cost
DEPTH = 2  # transformations that may have been laid over one another, beside light for dark
ANGLES = (15, 30, 45)  # degrees, to either side, then finer by FINER
FINER = 5


class Undoing(NamedTuple):
    """One transformation.

    Attributes
    ----------
    fault
        Its short name.
    told
        What the images are, as the end of "the images are …".
    back
        What is done to undo it, as the beginning of a clause.
    undo
        From uint8 ``[N, C, H, W]`` to the same.
    do
        What `undo` takes back, where it does not do so without a trace; else None.
    angle
        Of a turn that is no multiple of 90 degrees, clockwise; else 0.
    """

    fault: str
    told: str
    back: str
    undo: Callable[[Tensor], Tensor]
    do: Callable[[Tensor], Tensor] | None = None
    angle: int = 0


class Transformation(NamedTuple):
    """What was found: `told` and `back` as in `Undoing`.

    Attributes
    ----------
    distance_before, distance_after
        Fréchet distances of `LOOKED_AT` of the images, as they are and undone.
    agreement_before, agreement_after
        Share of their labels that the judge reads, as they are and undone; None without labels.
    """

    fault: str
    told: str
    back: str
    distance_before: float
    distance_after: float
    agreement_before: float | None
    agreement_after: float | None


def turned(images: Tensor, degrees: float) -> Tensor:
    """Images uint8 ``[N, C, H, W]`` turned clockwise about their middle, bilinear, with their darkest border beyond."""
    count, _, height, width = images.shape
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ratio = height / width
    matrix = torch.tensor([[cos, sin * ratio, 0.0], [-sin / ratio, cos, 0.0]])
    grid = F.affine_grid(matrix.expand(count, 2, 3), list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.round().to(torch.uint8)


def thickened(images: Tensor, side: int = 3) -> Tensor:
    """Bright strokes of uint8 ``[N, C, H, W]`` made wider: the brightest of squares of `side` pixels, 2 or 3."""
    padded = F.pad(images.float(), (1, side - 2, 1, side - 2))
    return F.max_pool2d(padded, side, stride=1).to(torch.uint8)


def thinned(images: Tensor, side: int = 3) -> Tensor:
    """The same made narrower: the darkest of the squares, which lie the other way where their side is even."""
    padded = F.pad(255 - images.float(), (side - 2, 1, side - 2, 1))
    return 255 - F.max_pool2d(padded, side, stride=1).to(torch.uint8)


def _turned_back(degrees: int) -> Undoing:
    side = "clockwise" if degrees > 0 else "counter-clockwise"
    told = f"turned {side} by about {abs(degrees)} degrees"
    return Undoing(
        "turned", told, "turned back", partial(turned, degrees=-degrees), partial(turned, degrees=degrees), degrees
    )


THICK, THIN = (f"drawn with {how} strokes than real ones" for how in ("thicker", "thinner"))
# fmt: off
INVERTED = Undoing(
    "inverted", "inverted (light for dark)", "with light and dark exchanged", lambda images: 255 - images
)
MOVED = (
    Undoing("mirrored", "mirrored left to right", "mirrored back", lambda images: images.flip(3)),
    Undoing("mirrored", "mirrored top to bottom", "mirrored back", lambda images: images.flip(2)),
    Undoing("turned", "turned by 180 degrees", "turned back", lambda images: images.flip(2, 3)),
)
SQUARE = (
    Undoing("transposed", "transposed (rows for columns)", "transposed back", lambda images: images.mT),
    Undoing("transposed", "transposed along the other diagonal", "put back", lambda images: images.mT.flip(2, 3)),
    Undoing("turned", "turned clockwise by 90 degrees", "turned back", lambda images: images.rot90(1, (2, 3))),
    Undoing("turned", "turned counter-clockwise by 90 degrees", "turned back", lambda images: images.rot90(-1, (2, 3))),
)
TURNED = tuple(_turned_back(sign * angle) for angle in ANGLES for sign in (1, -1))
GREY = (
    Undoing("thick", THICK, "with narrower strokes", thinned, thickened),
    Undoing("thick", THICK, "with strokes a little narrower", partial(thinned, side=2), partial(thickened, side=2)),
    Undoing("thin", THIN, "with wider strokes", thickened, thinned),
    Undoing("thin", THIN, "with strokes a little wider", partial(thickened, side=2), partial(thinned, side=2)),
)
COLOURED = (
    Undoing("channels", "coloured with red and blue exchanged", "with these exchanged", lambda images: images.flip(1)),
)
# fmt: on
CAUSES = {one.fault for one in (INVERTED, *MOVED, *SQUARE, *TURNED, *GREY, *COLOURED)}


def _and_inverted(one: Undoing) -> Undoing:
    return Undoing(
        one.fault,
        f"{one.told} and {INVERTED.told}",
        f"{one.back} and {INVERTED.back}",
        lambda images: INVERTED.undo(one.undo(images)),
    )


def undoings(shape: tuple[int, int, int]) -> Iterator[Undoing]:
    """Those that images of this shape can have: channels, height, width."""
    channels, height, width = shape
    moved = (*MOVED, *(SQUARE if height == width else ()))
    yield INVERTED
    yield from moved
    yield from map(_and_inverted, moved)
    yield from TURNED
    yield from GREY if channels == 1 else COLOURED


class Seen(NamedTuple):
    """How some images look to the judge.

    Attributes
    ----------
    distance
        Their Fréchet distance to real ones.
    excess
        The same less the distance of as many other real ones.
    agreement
        The share of their labels that it reads; None without labels.
    """

    distance: float
    excess: float
    agreement: float | None


def _as_it_is(images: Tensor) -> Tensor:
    return images


class _Looking:
    """The judge before some images, with as many real ones beside them, and as many others."""

    def __init__(self, yard: Yardstick, judged: JudgedImages) -> None:
        self.judge = yard.judge
        real = yard.reference.images
        count = min(LOOKED_AT, len(judged.images), len(real) // 2)
        self.chosen = judged.images.rows(part_of(judged.images, count, 0))
        self.few = torch.linspace(0, count - 1, min(TRIED, count)).long()
        rows = part_of(real, 2 * count, 1)
        self.real = [real.images[rows[part::2]] for part in (0, 1)]
        self.plain = self._beside(_as_it_is)
        self.near = NEAR * float(self.plain[0].covariance.trace())

    def _moments(self, images: Tensor) -> Moments:
        return moments(self.judge.read(images).features)

    def _beside(self, change: Callable[[Tensor], Tensor]) -> tuple[Moments, float]:
        """Real images after a change, and how far as many others lie from them after it."""
        one, other = (self._moments(change(images)) for images in self.real)
        return one, frechet_distance(one, other)

    def look(self, images: Tensor, beside: tuple[Moments, float]) -> Seen:
        """How all chosen images look, as they are or undone."""
        reading, labels = self.judge.read(images), self.chosen.labels
        agreement = None if labels is None else float((reading.labels == labels).double().mean())
        real, others = beside
        distance = frechet_distance(real, moments(reading.features))
        return Seen(distance, max(0.0, distance - others), agreement)

    def closely(self, images: Tensor, one: Undoing) -> Seen:
        """All chosen images, undone, beside real ones that went the same way there and back."""
        do = one.do
        beside = self.plain if do is None else self._beside(lambda real: one.undo(do(real)))
        return self.look(one.undo(images), beside)

    def best(self, images: Tensor) -> tuple[Seen, Undoing]:
        """The best undoing of those that leave a few of the images nearest to real ones."""
        few = images[self.few]
        tried = [
            (frechet_distance(self.plain[0], self._moments(one.undo(few))), one) for one in undoings(self.chosen.shape)
        ]
        first = sorted(tried, key=lambda pair: pair[0])[:CLOSELY]
        seen, best = _nearest([(self.closely(images, one), one) for _, one in first])
        finer = [_turned_back(best.angle + step) for step in (-FINER, FINER)] if best.angle else []
        return _nearest([(seen, best), *((self.closely(images, one), one) for one in finer)])


def _nearest(looked: list[tuple[Seen, Undoing]]) -> tuple[Seen, Undoing]:
    return min(looked, key=lambda pair: pair[0].excess)


def find_transformation(yard: Yardstick, judged: JudgedImages) -> Transformation | None:
    """What was done to images that lie far from real ones; None where no undoing brings them decisively nearer.

    Parameters
    ----------
    yard
        Real images, and the judge.
    judged
        The images; at most `LOOKED_AT` of them are looked at.
    """
    looking = _Looking(yard, judged)
    images, found = looking.chosen.images, list[Undoing]()
    first = last = looking.look(images, looking.plain)
    while len(found) < DEPTH and last.distance > FAR * (last.distance - last.excess):
        seen, best = looking.best(images)
        others = [last]
        if best.angle:  # a turn takes noise away too, to either side
            others.append(looking.closely(images, _turned_back(-best.angle)))
        if seen.excess > looking.near or not all(decisive(other, seen) for other in others):
            break
        found.append(best)
        images, last = best.undo(images), seen
    if not found:
        return None
    return Transformation(
        fault=found[0].fault,
        told=" and ".join(one.told for one in reversed(found)),
        back=" and ".join(one.back for one in found),
        distance_before=first.distance,
        distance_after=last.distance,
        agreement_before=first.agreement,
        agreement_after=last.agreement,
    )


def decisive(before: Seen, after: Seen) -> bool:
    """Whether an undoing brought images so much nearer to real ones that it tells what was done to them."""
    read = before.agreement is None or after.agreement is None or after.agreement >= before.agreement - FEWER_READ
    return read and after.excess < DECISIVE * before.excess
