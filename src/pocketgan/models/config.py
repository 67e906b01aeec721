"""Which networks a recipe trains. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from pocketgan.core.config import Config


class ModelConfig(Config):
    """A pair of networks, named as in the table of `pocketgan.models`."""

    architecture: str = Field(default="pocket", description="the pair of networks, named as its preset")
    latent_dim: int = Field(default=64, ge=1, le=4096, description="length of the latent z")
    channels_g: int = Field(
        default=0, ge=0, le=512, multiple_of=8, description="channels of the generator at its widest; 0: its own"
    )
    clusters: int = Field(
        default=0, ge=0, le=1024, description="groups of look-alike images that stand in for labels; 0: none"
    )
