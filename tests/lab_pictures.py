"""The pictures in docs/lab.md: ``PYTHONPATH=tests python tests/lab_pictures.py``; it needs Chromium and Playwright.

A lab with a few runs is served, and each view is photographed in it: small PNGs of at most 60 KB in docs/lab/.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from conftest import ended
from pocketgan.bench.browser import browser
from pocketgan.models.classifier import Classifier
from test_lab import Served
from test_page import until

OUT = Path(__file__).resolve().parent.parent / "docs" / "lab"
SIZE = {"width": 1100, "height": 760}
MOST_BYTES = 60_000
WAIT_MS = 120_000
SHORT = ("--epochs=3", "--batch-size=1000", "--lr-g=0.001", "--lr-d=0.001")  # under a minute each


def fill(folder: Path) -> None:
    """Runs to look at: one complete with fakes and a classifier, a shorter one, a damaged one."""
    for seed, name in enumerate(("first", "second")):
        assert ended("train", "mlp", *SHORT, f"--seed={seed}", "--out", folder / name, "--quiet") == 0
    shutil.copytree(folder / "second", folder / "torn")
    (folder / "torn" / "events.jsonl").write_text("no JSON\n")
    made = folder / "made"
    assert ended("generate", "digits", "--format", "png", "--count", 100, "--out", made, "--quiet") == 0
    shutil.move(made / "png" if (made / "png").exists() else made, folder / "first" / "fakes")
    shutil.rmtree(made, ignore_errors=True)
    Classifier.load("guide").save(folder / "first" / "classifier")


@contextmanager
def opened(chromium: Browser, lab: Served, path: str) -> Iterator[Page]:
    """A page of the lab."""
    context = chromium.new_context(viewport=SIZE, reduced_motion="reduce", color_scheme="light")  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(f"http://{lab.host}{path}?token={lab.keys.full}")
    page.locator("h1").wait_for()
    page.wait_for_load_state("networkidle")
    yield page
    context.close()


def keep(page: Page, name: str) -> None:
    """Write what the page shows, in as many colours as fit."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        picture = shot.convert("RGB")
    for colours, share in ((128, 1.0), (64, 1.0), (32, 1.0), (32, 0.75), (16, 0.6), (16, 0.5)):
        content = io.BytesIO()
        small = picture.resize((round(SIZE["width"] * share), round(SIZE["height"] * share)))
        small.quantize(colours).save(content, "PNG", optimize=True)
        if len(content.getvalue()) <= MOST_BYTES:
            OUT.mkdir(exist_ok=True)
            (OUT / f"{name}.png").write_bytes(content.getvalue())
            print(f"docs/lab/{name}.png: {len(content.getvalue()):,} bytes", flush=True)
            return
    raise SystemExit(f"{name}.png cannot be made smaller than {MOST_BYTES:,} bytes")


MAPPED = """[0, -1].every((row) => {
  const canvas = document.querySelector(".pad canvas");
  return canvas.getContext("2d").getImageData(0, (canvas.height + row) % canvas.height, 1, 1).data[3] === 255;
})"""  # Play's map is drawn from its middle to its edges


def photograph(chromium: Browser) -> None:
    """Every view, busy and at rest; without runs, and without its server. Its runs lie in the folder at hand."""
    empty, runs = Served(Path("empty/runs")), Path("runs")
    with opened(chromium, empty, "/runs") as page:
        keep(page, "empty")
    empty.close()
    fill(runs)
    lab = Served(runs)
    ids = {run["name"]: run["id"] for run in lab.get("/api/runs")["runs"]}
    with opened(chromium, lab, "/play/digits") as page:
        page.locator(".sheet canvas").nth(59).wait_for()
        until(page, MAPPED)
        keep(page, "play")
    with opened(chromium, lab, "/play/digits-free") as page:
        page.get_by_role("radio", name="5", exact=True).check()
        for name in ("Slant", "Thickness"):
            page.get_by_label(name).fill("1.5")
        until(page, MAPPED)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(2000)
        keep(page, "steered")
    with opened(chromium, lab, "/train") as page:
        keep(page, "train")
    with opened(chromium, lab, "/draw") as page:
        page.get_by_label("Test picture", exact=True).fill("3")
        page.get_by_role("button", name="Take it").first.click()
        page.get_by_role("button", name="Find its latent").click()
        page.locator("#found").wait_for()
        page.locator(".descent").scroll_into_view_if_needed()
        keep(page, "draw")
    with opened(chromium, lab, f"/label/{ids['first']}") as page:
        page.locator(".tiles button").first.click()
        for key in ("6", "7", "Shift+ArrowRight", "Shift+ArrowRight"):
            page.keyboard.press(key)
        page.wait_for_load_state("networkidle")
        keep(page, "label")
    with opened(chromium, lab, "/break/no-batchnorm") as page:
        page.locator("textarea").fill("All hundred images will look the same.")
        keep(page, "break")
    started = lab.ask("/api/runs", "POST", {"recipe": "mlp", "name": "third", "options": {"nimg": 3_000_000}}).json
    with opened(chromium, lab, f"/runs/{started['id']}") as page:
        page.locator(".live .chart").nth(1).wait_for()
        page.get_by_label("Beside it").select_option(label="first")
        page.wait_for_timeout(15_000)
        keep(page, "run")
        with opened(chromium, lab, "/runs") as other:
            other.get_by_label("Choose first").check()
            keep(other, "runs")
        page.get_by_role("button", name="Stop and save").click()
        page.get_by_role("button", name="Stop it now").click()
        page.locator("header .state.stopped").wait_for()
    with opened(chromium, lab, "/play/digits") as page:
        lab.close()
        page.locator(".banner").wait_for()
        keep(page, "disconnected")


def main() -> int:
    """Make all of them."""
    folder = Path(tempfile.gettempdir(), "pocketgan-lab")  # whose name is in the pictures
    folder.mkdir()
    try:
        with chdir(folder), browser() as chromium:
            photograph(chromium)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
