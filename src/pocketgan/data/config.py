"""What a training reads. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pocketgan.core.config import Config


class DataConfig(Config):
    """The images a network is trained on, and how they reach it."""

    source: str = Field(
        default="mnist", description="mnist, fashion-mnist, or a path: a folder of pictures, an NPZ, NPY or IDX file"
    )
    split: Literal["train", "fit"] = Field(
        default="train", description="of MNIST: all 60,000 training images, or the 50,000 that leave val out"
    )
    underrepresented: float = Field(
        default=0.0,
        ge=0,
        le=0.9,
        description="share of each batch drawn again from images that fakes come least near to (Lee et al. 2021)",
    )
    rotate: float = Field(
        default=0.0, ge=0, le=180, description="real images are turned at random by up to so many degrees each way"
    )
