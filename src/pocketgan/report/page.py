"""What all pages share: the templates, charts in two widths, and the pictures inside them as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from pocketgan.core.errors import PocketganError
from pocketgan.report.charts import NARROW, WIDE

ENLARGED_WIDTH = 1440  # pixels; twice the column of a page, for dense screens


def render(template: str, **content: Any) -> str:
    """A page of this room's templates."""
    return _environment().get_template(template).render(content)


@cache
def _environment() -> Environment:
    loader = PackageLoader("pocketgan.report", "")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def both_widths(chart: Callable[..., Markup]) -> Markup:
    """The chart drawn for a wide and for a narrow page, of which the style shows one."""
    wide, narrow = chart(width=WIDE), chart(width=NARROW)
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow) if wide else wide


GAP = 2  # pixels between the images of a sample grid
COLUMNS = 10  # images in one row of it
FRAME_MS, LAST_FRAME_MS = 700, 2500  # how long the animation stays on an epoch, and on the last one
CAPTION_HEIGHT = 34  # pixels under each frame, for the number of the epoch


def open_picture(path: Path) -> Image.Image:
    """A PNG as a grey or RGB picture.

    Raises
    ------
    PocketganError
        It cannot be read.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.copy() if picture.mode in ("L", "RGB") else picture.convert("RGB")
    except (OSError, SyntaxError) as error:  # Pillow's words for a damaged PNG
        raise PocketganError(f"{path} is not readable as a picture; make it again or remove it") from error


def enlarged(picture: Image.Image, width: int) -> Image.Image:
    """The picture times the largest whole number that stays within `width` pixels; at least itself."""
    scale = max(1, width // picture.width)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def first_rows(sheet: Image.Image, height: int, rows: int) -> Image.Image:
    """The upper `rows` rows of a grid of images `height` pixels high."""
    return sheet.crop((0, 0, sheet.width, min(sheet.height, rows * (height + GAP) + GAP)))


def in_one_row(sheet: Image.Image, height: int, rows: int = 2) -> Image.Image:
    """The upper `rows` rows of a grid, laid end to end."""
    step = height + GAP
    rows = max(1, min(rows, (sheet.height - GAP) // step))
    strip = Image.new(sheet.mode, (rows * (sheet.width - GAP) + GAP, step + GAP))
    for row in range(rows):
        strip.paste(sheet.crop((0, row * step, sheet.width, row * step + step + GAP)), (row * (sheet.width - GAP), 0))
    return strip


def animation(frames: Sequence[tuple[int, Image.Image]]) -> tuple[bytes, bytes]:
    """Frames with the number of their epoch under them, as the bytes of an animated PNG and of its last frame."""
    drawn = [_captioned(picture, f"epoch {epoch}") for epoch, picture in frames]
    buffer = io.BytesIO()
    times = [FRAME_MS] * (len(drawn) - 1) + [LAST_FRAME_MS]
    drawn[0].save(buffer, "PNG", save_all=True, append_images=drawn[1:], duration=times, loop=0)
    return buffer.getvalue(), png(drawn[-1])


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(content: bytes) -> str:
    """The bytes of a PNG file as an address that needs no file."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _captioned(picture: Image.Image, caption: str) -> Image.Image:
    frame = Image.new(picture.mode, (picture.width, picture.height + CAPTION_HEIGHT))
    frame.paste(picture, (0, 0))
    white: int | tuple[int, int, int] = 255 if picture.mode == "L" else (255, 255, 255)
    centre = (picture.width / 2, picture.height + CAPTION_HEIGHT / 2 - 2)
    ImageDraw.Draw(frame).text(centre, caption, fill=white, font=ImageFont.load_default(18), anchor="mm")
    return frame
