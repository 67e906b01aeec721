"""What looks wrong in images before anything is learned from them: black, flat or equal ones, with the likely cause."""

from __future__ import annotations

from pocketgan.data.image_set import ImageSet
from pocketgan.recipes.image_options import ImageOptions

DARK = 63  # the brightest pixel of a set that is nearly black
SHARE = 0.1  # of images that are flat or twins, which is told
CAUSES = {  # of a brightest pixel: what such values are, and the range to give
    1: ("bytes of 0 and 1", "0:1"),
    15: ("12 bits kept in 16, cut to bytes", "0:15"),
    16: ("values from 0 to 16", "0:16"),
}


def remarks(images: ImageSet, reading: ImageOptions) -> list[str]:
    """Lines for people, without the name of the source; none of images that look right."""
    pixels, said = images.images, []
    lowest, highest = int(pixels.min()), int(pixels.max())
    if lowest == highest:
        return [f"every pixel of all images is {highest}: there is nothing to learn"]
    if highest <= DARK:
        what, ends = next(
            (cause for most, cause in CAUSES.items() if highest == most), ("a smaller range of values", f"0:{highest}")
        )
        given = "" if reading.range is not None else f": {what}? Give --range {ends}"
        said.append(f"the brightest pixel of all images is {highest} of 255, nearly black{given}")
    flat = pixels.flatten(1)
    constant = int((flat.amax(1) == flat.amin(1)).sum())
    if constant > SHARE * len(images):
        said.append(f"{constant:,} of {len(images):,} images are of one flat colour")
    else:
        twins = len(images) - len({hash(row.tobytes()) for row in pixels.numpy()})
        if twins > SHARE * len(images):
            said.append(f"{twins:,} of {len(images):,} images are twins of others, byte for byte")
    return said
