"""Which guide names the classes of a model's images, and where its own one is kept."""

from __future__ import annotations

from pathlib import Path

from pocketgan.core.errors import UsageError
from pocketgan.models.classifier import Classifier, guide_for, is_shipped_guide
from pocketgan.models.judge import refuse_judge
from pocketgan.models.saved import holds
from pocketgan.networks.contracts import Shape
from pocketgan.steer.stored import FOLDER

GUIDE = "guide"  # beside a model's fits, where it is not the shipped one


def find_guide(
    guide: Classifier | str | Path | None,
    name: str,
    shape: Shape,
    class_names: tuple[str, ...],
    folder: Path | None,
    device: str,
) -> Classifier:
    """The guide that is asked for, or the one that is kept with a model, or the shipped one.

    Parameters
    ----------
    guide
        A classifier or its folder; None for the one at hand.
    name, shape, class_names
        The model's.
    folder
        The model's; None for one that is only in memory.
    device
        Where a guide is loaded to.

    Raises
    ------
    UsageError
        None knows these images, or it is the judge.
    """
    if guide is None and folder is not None and holds(folder / FOLDER / GUIDE, "classifier"):
        guide = folder / FOLDER / GUIDE
    if guide is None:
        found = guide_for(shape, class_names, device)
        if found is None:
            raise UsageError(
                f"{name}: the shipped guide does not know these images; train one with "
                "`pocketgan classify train --data IMAGES --out GUIDE` and give --guide GUIDE"
            )
    else:
        found = guide if isinstance(guide, Classifier) else Classifier.load(guide, device)
    refuse_judge(found, "--guide")
    if found.shape != shape:
        raise UsageError(f"--guide reads images {list(found.shape)}, {name} makes {list(shape)}")
    return found


def keep_guide(guide: Classifier, folder: Path) -> None:
    """Write a guide beside the fits in a model's folder, where it is not the shipped one."""
    if not is_shipped_guide(guide):
        guide.save(folder / FOLDER / GUIDE)
