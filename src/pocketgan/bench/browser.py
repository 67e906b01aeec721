"""A page of `export --to html` opened in a real browser without a network: what it draws, and how fast."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pocketgan.core.errors import UsageError
from pocketgan.export.graphs import CHECKED, Equality, equality
from pocketgan.export.page import trial
from pocketgan.models.model import Model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TIMED = 200  # images, after as many that warm the compiler
AT_ONCE = 100  # latents that are handed over in one call
FIRST = """async () => {
  const marks = () => performance.getEntriesByName("pocketgan: first picture");
  while (!marks().length) {
    if (performance.now() > 30_000) throw new Error("no first picture within 30 s");
    await new Promise((go) => setTimeout(go, 5));
  }
  return marks()[0].startTime;
}"""  # the page sets this mark
TIME = """async (count) => {
  const z = Array.from({length: count}, (_, n) => pocketgan.latent(1, n)), label = z.map(() => 0);
  await pocketgan.draw(z, label);
  const begin = performance.now();
  await pocketgan.draw(z, label);
  return (performance.now() - begin) / count;
}"""


class Opened(NamedTuple):
    """What a browser made of a page.

    Attributes
    ----------
    check
        Its images of `CHECKED` latents beside pocketgan's own.
    ms
        Milliseconds an image, one after the other on one thread.
    first_ms
        From the opening of the page to its first picture.
    browser
        Name and version.
    """

    check: Equality
    ms: float
    first_ms: float
    browser: str


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without a window: the system's, or the one that `playwright install chromium` fetched.

    Raises
    ------
    UsageError
        There is no Playwright.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UsageError("a browser is driven by playwright: pip install '.[browser]' in pocketgan's folder") from error
    with sync_playwright() as driver:
        own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        started = driver.chromium.launch(executable_path=own, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()


def first_picture(page: Page, path: Path) -> float:
    """Open a file and wait for its first picture: the milliseconds that it took."""
    page.goto(path.absolute().as_uri())
    return float(page.evaluate(FIRST))


def drawn(page: Page, z: Tensor, labels: Tensor | None) -> Tensor:
    """The page's images of latents ``[N, D]`` and classes ``[N]``: uint8 ``[N, C, H, W]``."""
    shape = page.evaluate("pocketgan.describe().shape")
    parts: list[Any] = []
    for begin in range(0, len(z), AT_ONCE):
        rows = slice(begin, begin + AT_ONCE)
        given = [z[rows].tolist(), [] if labels is None else labels[rows].tolist()]
        parts += page.evaluate("([z, labels]) => pocketgan.draw(z, labels)", given)
    return torch.from_numpy(np.array(parts, dtype=np.uint8)).view(len(z), *shape)


def open_page(path: Path, model: Model) -> Opened:
    """Draw `CHECKED` latents with a page and with its model, and take the time."""
    z, labels = trial(model)
    assert len(z) == CHECKED, "as the other formats"
    with browser() as chromium:
        page = chromium.new_context(offline=True).new_page()
        first = first_picture(page, path)
        check = equality(model.images(z, labels), drawn(page, z, labels))
        return Opened(check, float(page.evaluate(TIME, TIMED)), first, f"Chromium {chromium.version}")
