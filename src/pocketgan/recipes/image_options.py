"""How given images are read: what is asked for beside their path. Imports no torch."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from pocketgan.core.config import Config

MIN_SIDE, MAX_SIDE = 8, 128  # of an image, in pixels, that the program takes
RANGES = {"bytes": (0.0, 255.0), "unit": (0.0, 1.0), "signed": (-1.0, 1.0)}  # black and white, by name
COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255)}
NUMBER = r"[-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?"


class ImageOptions(Config):
    """The options that apply wherever images are given. Each is a field of the recipe of what learns from them."""

    resize: int | None = Field(
        default=None,
        ge=MIN_SIDE,
        le=MAX_SIDE,
        description="side of the images, in pixels: shrunk by areas, enlarged by bicubic curves, filled up to a square",
    )
    grid: str | None = Field(
        default=None, description="ROWSxCOLUMNS of small pictures, such as 10x10, that each picture is cut into first"
    )
    crop: bool = Field(default=False, description="take the square in the middle of each picture, before any resizing")
    grey: bool = Field(default=False, description="make grey images of coloured ones (ITU-R 601)")
    background: str = Field(
        default="black", description="what transparent pictures lie on: black, white or a colour such as #ff8000"
    )
    range: str | None = Field(
        default=None,
        description="what black and white are in arrays: bytes (0:255), unit (0:1), signed (-1:1) or LOW:HIGH; told by "
        "the values where it can be",
    )
    transpose: bool = Field(default=False, description="swap rows and columns of each image, as EMNIST's files need")
    drop_test_images: bool = Field(
        default=False, description="leave out known test images"
    )  # of data sets by name, such as MNIST's, and of the source itself

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, value: str) -> str:
        if value not in COLOURS and not re.fullmatch("#[0-9a-fA-F]{6}", value):
            raise ValueError("must be black, white or a colour such as #ff8000")
        return value

    @field_validator("range")
    @classmethod
    def _is_a_range(cls, value: str | None) -> str | None:
        if value is not None and value not in RANGES:
            ends = re.fullmatch(f"({NUMBER}):({NUMBER})", value)
            if ends is None or float(ends[1]) == float(ends[2]):
                raise ValueError("must be bytes, unit, signed or LOW:HIGH, such as 0:16")
        return value

    @field_validator("grid")
    @classmethod
    def _is_a_grid(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[1-9][0-9]{0,2}x[1-9][0-9]{0,2}", value):
            raise ValueError("must be ROWSxCOLUMNS, such as 10x10")
        return value

    @property
    def cells(self) -> tuple[int, int] | None:
        """Rows and columns of the grids, where pictures are grids."""
        if self.grid is None:
            return None
        rows, _, columns = self.grid.partition("x")
        return int(rows), int(columns)

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background, as RGB."""
        return COLOURS.get(self.background) or tuple(bytes.fromhex(self.background[1:]))  # type: ignore[return-value]

    @property
    def grey_background(self) -> int:
        """The background of grey images, 0 to 255."""
        red, green, blue = self.colour
        return round(0.299 * red + 0.587 * green + 0.114 * blue)

    @property
    def ends(self) -> tuple[float, float] | None:
        """The values of black and of white, where they are given."""
        if self.range is None or self.range in RANGES:
            return None if self.range is None else RANGES[self.range]
        low, _, high = self.range.partition(":")
        return float(low), float(high)

    @property
    def fields(self) -> dict[str, Any]:
        """These options alone, of a recipe's section that has others too."""
        return {name: getattr(self, name) for name in ImageOptions.model_fields}

    @property
    def alone(self) -> ImageOptions:
        """The same without what a recipe's section adds."""
        return ImageOptions.model_construct(**self.fields)

    @property
    def shaping(self) -> ImageOptions:
        """What concerns shape and colours alone: it holds for images that others are compared with, too."""
        named = ("resize", "crop", "grey", "background")
        return ImageOptions.model_construct(**{name: getattr(self, name) for name in named})


AS_THEY_ARE = ImageOptions()
