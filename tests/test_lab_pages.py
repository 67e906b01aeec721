"""The lab's pages in a browser: what they show, all of it done by keyboard, and nothing asked of another place."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from conftest import WEB, ended
from pocketgan.core.pixels import to_png
from pocketgan.data.fakes import PERSON, read_fakes, set_aside
from pocketgan.data.load import load_images
from pocketgan.models.classifier import Classifier
from pocketgan.steer.search import LOOKS

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from pocketgan.lab.serving import STATIC
from test_lab import Served
from test_page import AXE, AXE_RUN, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ZOO = Path(__file__).parent.parent / "zoo"
FAKES, BATCH = 100, 100  # of the run here, and of `mlp`
MOST_KEYS = 250  # for a hundred labels
LONG = {"nimg": 3_000_000}  # of a training that is watched, and stopped
LARGE = "document.querySelector('.large canvas')"
VIEWS = (
    "/play/digits",
    "/play/digits-free",
    "/train",
    "/draw",
    "/label",
    "/label/{whole}",
    "/break",
    "/break/momentum",
    "/runs",
    "/runs/{whole}",
    "/compare/{whole}/{damaged}",
    "/nowhere",
)


@pytest.fixture(scope="module")
def lab(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lab with one run that has fakes and a classifier, and a damaged one."""
    folder = tmp_path_factory.mktemp("pages") / "runs"
    shutil.copytree(small_run, folder / "whole")
    shutil.copytree(small_run, folder / "damaged")
    (folder / "damaged" / "events.jsonl").write_text("no JSON\n")
    (folder / "whole" / "report.html").write_text("<h1>A report</h1><script>document.title = 'run'</script>")
    assert ended("generate", small_run, "--format", "png", "--count", FAKES, "--out", folder / "made", "--quiet") == 0
    shutil.move(folder / "made" / "png", folder / "whole" / "fakes")
    Classifier.load("guide").save(folder / "whole" / "classifier")
    threads = torch.get_num_threads()
    served = Served(folder)
    yield served
    served.close()
    torch.set_num_threads(threads)


def address(lab: Served, path: str) -> str:
    """A view's address; a run is named in it."""
    ids = {row["name"]: row["id"] for row in lab.get("/api/runs")["runs"]}
    return path.format_map(ids)


class Opened:
    """A page of the lab, and all that it asked for and complained of."""

    def __init__(self, chromium: Browser, lab: Served, path: str, **options: Any) -> None:
        self.lab, self.asked, self.complaints = lab, [], []  # type: ignore[var-annotated]
        self.page: Page = chromium.new_context(**options).new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda one: self.asked.append(one.url.replace("ws://", "http://")))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda one: self.complaints.append(one.text) if one.type == "error" else None)
        self.page.goto(f"http://{lab.host}{address(lab, path)}?token={lab.keys.full}")

    def settled(self) -> Page:
        """The page, once it shows what it was opened for."""
        self.page.locator("h1").wait_for()
        self.page.wait_for_load_state("networkidle")
        return self.page

    def check(self) -> None:
        """Nothing was asked elsewhere, and nothing went wrong."""
        foreign = [url for url in self.asked if not url.startswith((f"http://{self.lab.host}/", "data:", "blob:"))]
        assert not foreign
        assert not self.complaints


@pytest.mark.extras
@pytest.mark.usefixtures("node_modules")
def test_the_committed_pages_are_built_from_their_sources(tmp_path: Path) -> None:
    environment = {**os.environ, "PAGE_OUT": str(tmp_path / "page"), "LAB_OUT": str(tmp_path / "lab")}
    subprocess.run(["npm", "run", "build"], cwd=WEB, env=environment, check=True, capture_output=True)

    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(tmp_path / "lab") == files(STATIC)


def test_the_built_pages_hold_no_inline_script() -> None:
    page = (STATIC / "index.html").read_text()
    assert "<style" not in page
    assert re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL) == [""]
    assert "Svelte" in (STATIC / "licence.txt").read_text()


@pytest.mark.extras
def test_the_first_grid_appears_and_nothing_is_asked_elsewhere(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/")
    until(opened.page, "document.querySelectorAll('.sheet canvas').length >= 60")
    until(opened.page, "performance.getEntriesByName('pocketgan: first picture').length")
    assert "token" not in opened.page.url
    assert f"http://{lab.host}/api/models/digits/draw" in opened.asked
    opened.check()


@pytest.mark.extras
def test_play_is_done_by_the_keyboard_alone(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/play/digits", reduced_motion="reduce")
    page = opened.page
    until(page, LARGE)
    name = page.locator(".large canvas")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "class":
            break
    page.keyboard.press("ArrowRight")
    assert name.get_attribute("aria-label") == "Class 1"
    before = page.evaluate(f"{LARGE}.toDataURL()")
    page.get_by_label("Across").focus()
    page.keyboard.press("End")
    until(page, f"{LARGE}.toDataURL() !== {before!r}")
    page.locator(".sheet button[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert name.get_attribute("aria-label") == "Class 2"
    opened.check()


@pytest.mark.extras
def test_a_training_is_started_watched_paused_and_stepped_by_keys(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/train")
    page = opened.settled()
    page.locator("input[name=recipe][value=mlp]").check(force=True)
    page.get_by_label("Name of the run").fill("watched")
    page.get_by_label("Budget").select_option("nimg")
    page.get_by_label("Budget in images shown").fill("3000000")
    assert page.locator(".command code").inner_text() == (
        "pocketgan train mlp --out runs/watched --seed=0 --nimg=3000000"
    )
    page.get_by_role("button", name="Start the training").click()
    page.locator(".live .chart").first.wait_for(timeout=120_000)
    until(page, "document.querySelector('.live canvas').getAttribute('aria-label').includes('after')")
    page.locator("h1").focus()
    page.keyboard.press(" ")
    page.locator(".strip .paused").wait_for(timeout=30_000)
    seen = "Number(document.querySelector('.live progress').value)"
    before = page.evaluate(seen)
    page.keyboard.press("n")
    until(page, f"{seen} !== {before}")
    page.locator(".strip .paused").wait_for()
    until(page, f"{seen} >= {before + 10 * BATCH}")
    page.keyboard.press("s")
    until(page, f"{seen} >= {before + 11 * BATCH}")
    assert page.evaluate(seen) == before + 11 * BATCH
    page.get_by_role("button", name="Go on").click()
    page.locator(".strip .running").wait_for()
    page.get_by_role("button", name="Stop and save").click()
    page.get_by_role("button", name="Stop it now").click()
    page.locator("header .state.stopped").wait_for(timeout=60_000)
    opened.check()


@pytest.mark.extras
def test_fakes_are_labelled_by_keys_and_s1_follows(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/label/{whole}")
    page, fakes = opened.settled(), lab.lab.shelf.folder / "whole" / "fakes"
    files = re.compile(r"[\w-]+/[\w-]+\.png")
    assert not files.search(page.content()), "file names tell the class"
    asked = read_fakes(fakes).label_source
    tiles, pressed = page.locator(".tiles button"), 0

    def press(*keys: str) -> None:
        nonlocal pressed
        for key in keys:
            page.keyboard.press(key)
            pressed += 1

    def labelled(count: int) -> None:
        until(page, f"document.querySelector('.figures dd').textContent.startsWith('{count} of')")

    page.locator(".tiles button[tabindex='0']").focus()
    press("3", "u")
    labelled(0)
    press(*["Shift+ArrowDown"] * 2, "5")  # the first of three rows, and all between them
    labelled(21)
    press("u")
    labelled(0)
    tiles.first.click()
    tiles.nth(2).click(modifiers=["Shift"])
    tiles.nth(30).click(modifiers=["ControlOrMeta"])
    press("4")
    labelled(4)
    press("u")
    labelled(0)
    until(page, "document.querySelector('.said').textContent.includes('Undone for 4')")
    for _ in range(300):  # three times labelled and undone: six requests, one after the other
        if sum(url.endswith("/labels") for url in opened.asked) == 6 and read_fakes(fakes).label_source == asked:
            break
        page.wait_for_timeout(100)
    assert read_fakes(fakes).label_source == asked, "what is undone is as it was"
    press("Home", *("0123456789" * FAKES)[: FAKES - 1], "x")
    labelled(FAKES)
    until(page, "document.querySelectorAll('.figures dd')[1].textContent === '1'")
    assert pressed <= MOST_KEYS
    assert "%" in page.locator(".figures dd").nth(2).inner_text()
    assert not files.search(page.locator("main").inner_html())
    page.get_by_role("button", name="Compare with the program").click()
    page.get_by_text("You and the program agree").wait_for()
    assert read_fakes(fakes).label_source.count(PERSON) == FAKES - 1
    assert len(set_aside(fakes)) == 1
    opened.check()


@pytest.mark.extras
def test_a_model_without_classes_is_steered(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/play/digits-free", reduced_motion="reduce")
    page = opened.page
    until(page, LARGE)
    page.get_by_role("radio", name="5", exact=True).check()
    assert page.locator(".large canvas").get_attribute("aria-label") == "Class 5"
    for name in ("Slant", "Thickness", "Width"):
        before = page.evaluate(f"{LARGE}.toDataURL()")
        page.get_by_label(name).focus()
        page.keyboard.press("End")
        until(page, f"{LARGE}.toDataURL() !== {before!r}")
    assert not page.get_by_role("button", name="Fit steering").count()
    opened.check()


@pytest.mark.extras
def test_steering_is_fitted_from_the_page(chromium: Browser, lab: Served, small_run: Path) -> None:
    run = lab.lab.shelf.folder / "free"
    shutil.copytree(small_run, run)
    shutil.rmtree(run / "model")
    shutil.copytree(ZOO / "pocket-free-0" / "model", run / "model")
    opened = Opened(chromium, lab, "/play/{free}")
    page = opened.page
    until(page, LARGE)
    assert not page.get_by_label("Slant").count()
    small = {"method": ["directions"], "latents": 2000, "steps": 1}
    page.route("**/fit", lambda route: route.continue_(post_data=small))
    page.get_by_role("button", name="Fit steering").click()
    page.get_by_label("Slant").wait_for(timeout=60_000)
    assert not page.get_by_role("button", name="Fit steering").count()
    assert page.locator(".sheet .name").first.inner_text() == "0"
    opened.check()
    shutil.rmtree(run)


@pytest.mark.extras
def test_a_test_picture_is_brought_back(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/draw")
    page = opened.settled()
    page.get_by_label("Test picture", exact=True).fill("3")
    page.get_by_role("button", name="Take it").first.click()
    page.locator(".placed canvas").wait_for()
    seen = page.locator(".placed canvas").evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="Find its latent").click()
    page.locator(".descent li").first.wait_for(timeout=60_000)
    page.locator("#found").wait_for(timeout=60_000)
    assert page.locator(".descent li").count() == LOOKS
    assert page.locator(".found canvas").count() == 2
    assert page.locator(".found canvas").first.evaluate("canvas => canvas.toDataURL()") == seen
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Upload", exact=True).set_input_files(
        {"name": "seven.png", "mimeType": "image/png", "buffer": to_png(load_images("mnist", "test").images[0])}
    )
    page.get_by_role("button", name="Take it").last.click()
    page.locator(".placed canvas[aria-label^='seven.png']").wait_for()
    page.get_by_label("Upload", exact=True).set_input_files(
        {"name": "none.png", "mimeType": "image/png", "buffer": b"none"}
    )
    page.get_by_role("button", name="Take it").last.click()
    until(page, "document.querySelector('.drawing .wrong').textContent !== ''")


@pytest.mark.extras
def test_all_keys_are_listed_and_can_be_switched_off(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/train")
    page, dialog = opened.settled(), opened.page.locator("dialog[open]")
    page.keyboard.press("?")
    dialog.wait_for()
    assert "ten steps" in dialog.inner_text()
    page.keyboard.press("Escape")
    page.get_by_label("Name of the run").fill("what")
    page.keyboard.press("?")
    assert page.get_by_label("Name of the run").input_value() == "what?"
    assert not dialog.count(), "in a field a key only writes"
    page.get_by_role("button", name="All keys").click()
    dialog.get_by_label("Single keys").uncheck()
    page.keyboard.press("Escape")
    page.locator("h1").focus()
    page.keyboard.press("?")
    assert not dialog.count()
    page.reload()
    page.locator("h1").focus()
    page.keyboard.press("?")
    assert not dialog.count(), "the browser keeps the choice"
    opened.check()


@pytest.mark.extras
def test_chosen_runs_are_opened_compared_and_exported(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/runs")
    page = opened.settled()
    compare, export = (page.get_by_role("button", name=name, exact=True) for name in ("Compare", "Export"))
    page.get_by_label("Choose whole").check()
    assert compare.is_disabled()
    page.get_by_label("Choose damaged").check()
    assert export.is_disabled(), "two are chosen"
    compare.click()
    page.locator(".twins", has_text="events.jsonl").wait_for()
    page.get_by_role("link", name="All runs").click()
    page.get_by_label("Choose whole").check()
    export.click()
    page.get_by_role("button", name="Export the model").click()
    page.locator("main code", has_text=".html").wait_for(timeout=60_000)
    opened.check()


@pytest.mark.extras
def test_a_damaged_run_and_a_report_in_its_frame(chromium: Browser, lab: Served) -> None:
    opened = Opened(chromium, lab, "/runs")
    page = opened.settled()
    row = page.locator("tr", has_text="damaged").first
    assert "events.jsonl" in row.inner_text()
    page.get_by_role("link", name="whole").click()
    page.locator("summary", has_text="Report").click()
    frame = page.frame_locator("iframe")
    assert frame.locator("h1").inner_text() == "A report"
    assert page.title().startswith("whole")


@pytest.mark.extras
@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_every_view_is_for_everyone(chromium: Browser, lab: Served, width: int, scheme: str) -> None:
    started = lab.ask("/api/runs", "POST", {"recipe": "mlp", "name": f"for-{width}-{scheme}", "options": LONG}).json
    for view in (*VIEWS, f"/runs/{started['id']}"):
        size = {"width": width, "height": 800}
        opened = Opened(
            chromium, lab, view, viewport=size, color_scheme=scheme, bypass_csp=True
        )  # for axe's own script
        page = opened.settled()
        if started["id"] in view:  # as it trains, all its parts there
            page.locator(".live .chart").nth(1).wait_for(timeout=120_000)
            page.get_by_label("Beside it").select_option(label="whole")
            page.locator(".chart .thin").first.wait_for(state="attached")
            page.keyboard.press("Tab")
        for summary in page.locator("main summary").all():
            if "Report" not in summary.inner_text():
                summary.click()
        page.add_script_tag(path=AXE)
        assert page.evaluate(AXE_RUN) == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        page.locator("h1").focus()
        page.keyboard.press("?")
        assert page.evaluate(AXE_RUN) == [], f"{view}, all keys"
        page.keyboard.press("Escape")
        if started["id"] in view:
            page.get_by_role("button", name="Stop and save").click()
            page.get_by_role("button", name="Stop it now").click()
            page.locator("header .state.stopped").wait_for(timeout=60_000)
        page.context.close()
