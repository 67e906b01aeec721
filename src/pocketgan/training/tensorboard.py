"""TensorBoard's event files, for those who ask for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketgan.core.errors import UsageError


def check_installed() -> None:
    """See that the `tensorboard` extra is there.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the extra: pip install '.[tensorboard]' in pocketgan's source folder"
        ) from error


class Board:
    """Losses and sample grids by nimg."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def curves(self, nimg: int, values: dict[str, float]) -> None:
        """One point on each curve."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, nimg)

    def images(self, nimg: int, sheet: NDArray[np.uint8]) -> None:
        """A sample grid, uint8 ``[C, H, W]``."""
        self.writer.add_image("samples", sheet, nimg)

    def close(self) -> None:
        """Write what is still held back."""
        self.writer.close()
