"""What the two players minimise. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pocketgan.core.config import Config


class ObjectiveConfig(Config):
    """The loss, named as in the table of `pocketgan.objectives.losses`, what is added to it, and the updates' order."""

    loss: str = Field(default="bce", description="bce or relativistic")
    halves: Literal["sum", "mean"] = Field(
        default="sum", description="how the discriminator's losses on real and on fake images are joined"
    )
    updates: Literal["alternating", "simultaneous"] = Field(
        default="alternating", description="simultaneous: the generator learns from the discriminator as it was before"
    )
    fresh_latents: bool = Field(
        default=False, description="draw new latents for the generator's update (alternating only)"
    )
    r1: float = Field(
        default=0.0, ge=0, description="gamma of the gradient penalty on real images (Mescheder et al. 2018)"
    )
    r1_every: int = Field(
        default=1, ge=1, description="steps from one such penalty to the next, each that much stronger (lazy)"
    )
    r1_target: float = Field(
        default=0.0, ge=0, description="the discriminator's loss that a growing r1 keeps up; 0: r1 is constant"
    )
    class_weight: float = Field(
        default=0.0, ge=0, description="of naming the classes, for both players (Odena et al. 2017)"
    )

    @model_validator(mode="after")
    def _has_what_grows(self) -> ObjectiveConfig:
        if self.r1_target and not self.r1:
            raise ValueError("r1_target needs an r1 to begin with, such as 0.1; or give 0")
        return self

    @model_validator(mode="after")
    def _fits_the_updates(self) -> ObjectiveConfig:
        if self.updates == "simultaneous":
            given = {"fresh_latents": self.fresh_latents, "r1": self.r1, "class_weight": self.class_weight}
            for name, value in given.items():
                if value:
                    raise ValueError(f"{name} needs alternating updates")
        return self
