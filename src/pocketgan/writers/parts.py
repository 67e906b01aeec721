"""What every format of the export shares: the job, the shape of a writer, files of rows, the split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import Samples

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Job:
    """What is to be written, as known before the first row is.

    Attributes
    ----------
    folder
        To write into; it is renamed when all is there.
    count
        Images in all parts together.
    first
        The first part: it tells shapes, class names and provenance of all.
    test_share
        As asked for; None leaves the format its own way.
    """

    folder: Path
    count: int
    first: Samples
    test_share: float | None

    def facts(self) -> dict[str, Any]:
        """Where the images come from: what `provenance.json` says, but for the formats beside each other."""
        first = self.first
        return {
            **first.provenance,
            "format_version": FORMAT_VERSION,
            "count": self.count,
            "seed": first.seed,
            "label_source": first.label_source,
            "class_names": list(first.class_names),
        }


class Writer(Protocol):
    """One format. It holds no file open between parts, so that an error needs no tidying."""

    def add(self, samples: Samples) -> None:
        """Take the next part."""

    def close(self) -> None:
        """Complete the files, after the last part."""


class RowFiles:
    """Files of rows behind a header, one for each side of a split, appended to as rows come.

    Plain appends and no memory map: where the disk is full, an append is an error and a map kills the process.

    Parameters
    ----------
    sides
        Path and number of rows of each file, in the order of the rows.
    header
        From a number of rows to the bytes that come before them.
    """

    def __init__(self, sides: Sequence[tuple[Path, int]], header: Callable[[int], bytes]) -> None:
        self.sides, self.done = sides, 0
        for path, count in sides:
            path.write_bytes(header(count))

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows to the files that their positions belong to."""
        start = -self.done  # of a side, counted from the first of these rows
        for path, count in self.sides:
            stop = start + count
            piece = rows[max(0, start) : max(0, stop)]
            if len(piece):
                with path.open("ab") as file:
                    file.write(piece.tobytes())
            start = stop
        self.done += len(rows)


def check_share(share: float) -> None:
    """Refuse a test share that is no share (NaN included).

    Raises
    ------
    UsageError
        It lies outside (0, 1).
    """
    if not 0 < share < 1:
        raise UsageError(
            f"--test-share {share:g} must lie between 0 and 1, both excluded; MNIST's own is 1/7, or 0.143"
        )


def split(count: int, share: float) -> tuple[int, int]:
    """Numbers of training and test images; the last `share` of the positions is for test.

    Raises
    ------
    UsageError
        Rounding leaves one of the sides empty.
    """
    test = round(count * share)
    if not 0 < test < count:
        side = "test" if test == 0 else "training"
        raise UsageError(f"--test-share {share:.3g} of {count} images leaves none for {side}; change it or --count")
    return count - test, test
