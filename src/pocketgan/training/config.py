"""Optimisers, budget and schedules. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pocketgan.core.config import Config


class OptimizerConfig(Config):
    """Adam (Kingma & Ba 2015) for both players."""

    lr_g: float = Field(default=2e-4, gt=0, le=1, description="learning rate of the generator")
    lr_d: float = Field(default=2e-4, gt=0, le=1, description="learning rate of the discriminator")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the first moment, per step")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the second moment, per step")
    eps: float = Field(default=1e-8, gt=0, description="PyTorch's default; Keras has 1e-7")
    precision: Literal["fp32", "bf16", "auto"] = Field(
        default="fp32",
        description="bf16: products in bf16, weights and losses in fp32; auto: so where bf16 is native, else fp32",
    )


class ScheduleConfig(Config):
    """How long a training lasts and what happens along it. Counted in real images shown (nimg)."""

    batch_size: int = Field(default=128, ge=2, le=65536, description="real images in a step")
    epochs: float | None = Field(default=None, gt=0, description="budget in passes over the data")
    nimg: int | None = Field(default=None, gt=0, description="budget in real images shown")
    minutes: float | None = Field(
        default=None, gt=0, description="budget in minutes, turned into nimg once at the start"
    )
    lr_hold: float = Field(
        default=1.0, ge=0, le=1, description="share of the budget at the full rate, which then falls to 0"
    )
    ema_share: float = Field(
        default=0.0, ge=0, le=1, description="half-life of the generator's moving average in budgets; 0: none"
    )
    until_good: bool = Field(
        default=False, description="stop earlier, at the epoch whose samples a guide reads as surely as real images"
    )
    guide: str = Field(
        default="guide", description="that guide: the shipped one for MNIST's digits, or a trained classifier's folder"
    )
    sample_every: int = Field(default=5, ge=1, description="sample grids at epochs 1 to 5 and at every such epoch")

    @model_validator(mode="after")
    def _one_budget(self) -> ScheduleConfig:
        given = [name for name in ("epochs", "nimg", "minutes") if getattr(self, name) is not None]
        if len(given) != 1 and given != ["nimg", "minutes"]:  # a budget in minutes keeps both once it is resolved
            raise ValueError(f"give one budget: epochs, nimg or minutes (given: {', '.join(given) or 'none'})")
        return self

    def total_nimg(self, images: int) -> int:
        """The budget in images, rounded up to whole batches, for a set of `images`. A budget in minutes has none."""
        if self.nimg is not None:
            wanted = self.nimg
        elif self.epochs is not None:
            wanted = max(1, round(self.epochs * images))
        else:
            raise ValueError("a budget in minutes must be turned into nimg first")
        return -(-wanted // self.batch_size) * self.batch_size
