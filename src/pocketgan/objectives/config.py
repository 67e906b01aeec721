"""What the two players minimise. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pocketgan.core.config import Config


class ObjectiveConfig(Config):
    """The loss, named as in the table of `pocketgan.objectives.losses`, and how the two updates are ordered."""

    loss: str = "bce"
    halves: Literal["sum", "mean"] = "sum"  # how the discriminator's losses on real and on fake images are joined
    updates: Literal["alternating", "simultaneous"] = "alternating"  # simultaneous: G learns from D as it was before
    fresh_latents: bool = False  # alternating only: draw new latents for the generator's update

    @model_validator(mode="after")
    def _fresh_only_if_alternating(self) -> ObjectiveConfig:
        if self.fresh_latents and self.updates == "simultaneous":
            raise ValueError("fresh_latents needs alternating updates: simultaneous ones share their fakes")
        return self
