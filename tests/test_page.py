"""The page of `export --to html`: whole and closed to the network; in a browser it draws what pocketgan draws."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import pocketgan as pg
from conftest import WEB, ended, layer_recipe
from pocketgan.core.errors import UsageError
from pocketgan.core.rng import latents
from pocketgan.export import page as exporting
from pocketgan.export.markdown import to_html
from pocketgan.export.page import MOST_BYTES_APART, TEMPLATE, write_page
from pocketgan.models.model import Model
from pocketgan.networks.architectures import settled
from pocketgan.recipes import gan_recipe
from pocketgan.recipes.layers import LAYERS
from test_model_export import apart, untrained, with_generator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parent.parent
AXE = WEB / "node_modules/axe-core/axe.min.js"
AXE_RUN = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}))
  .violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`)"""
COLOUR = [
    {"type": "Linear", "out_features": "16*H/4*W/4"},
    {"type": "Unflatten", "unflattened_size": [16, "H/4", "W/4"]},
    "BatchNorm",
    {"type": "LeakyReLU", "negative_slope": 0.2},
    {"type": "ConvTranspose2d", "out_channels": 8, "kernel_size": 4, "stride": 2, "padding": 1},
    "BatchNorm",
    "ReLU",
    "Upsample",
    {"type": "Conv2d", "out_channels": "C", "kernel_size": 3, "padding": 1},
    "Sigmoid",
]


def content_of(path: Path) -> dict[str, Any]:
    """What the page's network is told to be."""
    found = re.search(r'<script type="application/json" id="network">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    content: dict[str, Any] = json.loads(found[1])
    return content


# ---- the file ------------------------------------------------------------------------------------------------------


def test_a_page_is_whole_small_and_closed(tmp_path: Path) -> None:
    (one,) = pg.export_model("digits", to=["html"], out=tmp_path / "out", quiet=True)
    assert (one.path, one.bytes) == (tmp_path / "out/html/play.html", one.path.stat().st_size)
    assert one.bytes <= 2.6e6
    assert one.check.largest <= MOST_BYTES_APART
    text = one.path.read_text()
    assert "<title>digits</title>" in text
    assert "[[ " not in text.replace(TEMPLATE.read_text().partition("<script>")[2], "")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in policy
    assert not re.findall(r'(?:src|href)="(?!data:,")', text.partition("<script>")[0])
    assert "CC BY-SA 3.0" in text


def test_half_precision_is_given_up_where_it_changes_the_images(tmp_path: Path) -> None:
    layers = [{"type": "Linear", "out_features": "C*H*W"}, "Sigmoid"]
    model = untrained(with_generator(layers))
    check, note = write_page(model, None, tmp_path / "half.html")
    assert note == "weights in half precision"
    with torch.no_grad():
        for weights in model.generator.parameters():
            weights *= 1000.0  # edges so steep that roundings are seen
    check, note = write_page(model, None, tmp_path / "single.html")
    assert check.differing == 0
    assert note.startswith("weights in single precision")
    widths = {
        place[2]
        for entry in content_of(tmp_path / "single.html")["layers"]
        for place in entry.get("weights", {}).values()
    }
    assert widths == {4}


def test_weights_that_are_computed_from_others_are_kept_as_numbers(tmp_path: Path) -> None:
    model = untrained(layer_recipe("Linear"))
    z, labels = latents(0, 0, 20, 8), torch.arange(20) % 3
    before = model.images(z, labels if model.conditional else None)
    check, _ = write_page(model, None, tmp_path / "page.html")
    assert check.largest <= MOST_BYTES_APART
    assert torch.equal(model.images(z, labels if model.conditional else None), before)  # the model is as it was


def test_names_cannot_leave_their_places(tmp_path: Path) -> None:
    names = ("</script><b>", "<!--", "[[ card ]]")
    model = untrained(layer_recipe("Embedding"), names=names)
    write_page(model, None, tmp_path / "page.html")
    assert content_of(tmp_path / "page.html")["classes"] == list(names)
    assert "<b>" not in (tmp_path / "page.html").read_text().replace(TEMPLATE.read_text(), "")


def test_the_cards_markdown_becomes_html() -> None:
    text = (
        "## Head\n\nTwo\nlines of `a<b`.\n- one\n- two\n\n| | |\n|---|---|\n| what | `x` & y |\n\n```sh\nrun <x>\n```\n"
    )
    made = to_html(text)
    assert "<h3>Head</h3>" in made
    assert "<p>Two lines of <code>a&lt;b</code>.</p>" in made
    assert "<ul><li>one</li><li>two</li></ul>" in made
    assert '<tr><th scope="row">what</th><td><code>x</code> &amp; y</td></tr>' in made
    assert "<pre>run &lt;x&gt;\n</pre>" in made


def test_what_no_page_can_hold_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, _ = settled(gan_recipe(None, {"networks": str(ROOT / "tests/networks/onehot.py")}), (1, 28, 28), 10)
    model = untrained(recipe, (1, 28, 28), tuple("0123456789"))
    with pytest.raises(UsageError, match=r"--to html: .* Python code of your own, which is never shipped"):
        pg.export_model(model, to=["html"], out=tmp_path / "own", quiet=True)
    assert not (tmp_path / "own").exists()
    assert ended("export", "guide", "--to", "html", "--out", tmp_path / "guide") == 2
    line = capsys.readouterr().err
    assert "--to html is for generators" in line
    assert line.count("\n") == 1


# ---- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (one,) = pg.export_model("digits", to=["html"], out=tmp_path_factory.mktemp("page") / "out", quiet=True)
    return one.path


def opened(chromium: Browser, path: Path, **options: Any) -> Page:
    """A page without a network, which fails the test where it complains."""
    from pocketgan.bench.browser import first_picture

    page = chromium.new_context(offline=True, **options).new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    first_picture(page, path)
    assert not complaints
    return page


def until(page: Page, condition: str) -> None:
    """Wait for a condition; Playwright's own way needs `eval`, which the page forbids."""
    page.evaluate(f"async () => {{ while (!({condition})) await new Promise((go) => setTimeout(go, 20)); }}")


def furthest(page: Page, model: Model, count: int) -> int:
    """The greatest distance of a byte between the page's images and the model's."""
    from pocketgan.bench.browser import drawn

    z = latents(0, 0, count, model.recipe.model.latent_dim)
    labels = torch.arange(count) % len(model.class_names) if model.conditional else None
    return apart(drawn(page, z, labels), model.images(z, labels))


@pytest.mark.extras
@pytest.mark.usefixtures("node_modules")
def test_the_committed_page_is_built_from_its_sources(tmp_path: Path) -> None:
    environment = {**os.environ, "PAGE_OUT": str(tmp_path)}
    for verb in ("check", "build"):
        subprocess.run(["npm", "run", verb], cwd=WEB, env=environment, check=True, capture_output=True)
    assert (tmp_path / "page.html").read_bytes() == TEMPLATE.read_bytes()


@pytest.mark.extras
def test_digits_in_a_browser_are_pocketgans(chromium: Browser, digits_page: Path) -> None:
    assert furthest(opened(chromium, digits_page), pg.load("digits", device="cpu"), 1000) <= MOST_BYTES_APART


@pytest.mark.extras
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_draws_the_same(chromium: Browser, name: str, tmp_path: Path) -> None:
    model = untrained(layer_recipe(name))
    write_page(model, None, tmp_path / "page.html")
    assert furthest(opened(chromium, tmp_path / "page.html"), model, 40) <= MOST_BYTES_APART


@pytest.mark.extras
@pytest.mark.parametrize("recipe", ["mlp-bn", "dcgan", "dcgan-rotate", "pocket", "pocket-free", "colour", "odd"])
def test_every_pair_draws_the_same(chromium: Browser, recipe: str, tmp_path: Path) -> None:
    if recipe == "colour":
        model = untrained(with_generator(COLOUR), (3, 16, 16))
    elif recipe == "odd":
        same = {"type": "Conv2d", "out_channels": 6, "kernel_size": 4, "padding": "same", "spectral_norm": True}
        up = {"type": "ConvTranspose2d", "out_channels": 6, "kernel_size": 5, "stride": 2, "padding": "same"}
        unflatten = {"type": "Unflatten", "unflattened_size": [3, 4, 4], "order": "channels-last"}
        last = {"type": "ConvTranspose2d", "out_channels": "C", "kernel_size": 3, "padding": 1}
        own = [unflatten, {"type": "Embedding", "join": "channel"}, same, up, last, "Sigmoid"]
        model = untrained(with_generator(own))
    else:
        options = {"clusters": 7} if recipe == "pocket-free" else {}
        model = untrained(gan_recipe(recipe, options), (1, 28, 28))
        if recipe == "pocket-free":
            model.generator.get_buffer("anchors").normal_()
    write_page(model, None, tmp_path / "page.html")
    assert furthest(opened(chromium, tmp_path / "page.html"), model, 30) <= MOST_BYTES_APART


@pytest.mark.extras
def test_a_page_steers_as_the_model_does(chromium: Browser, tmp_path: Path) -> None:
    model = pg.load(ROOT / "zoo/mlp-0", device="cpu")
    model.folder = None  # the fit stays in memory
    fitted = model.steer.fit("directions", latents=4000, steps=10)
    write_page(model, None, tmp_path / "page.html")
    page = opened(chromium, tmp_path / "page.html")
    z, labels = latents(3, 0, 10, model.recipe.model.latent_dim), torch.tensor(fitted.facts.made[:1]).repeat(10)
    moved = fitted.steerer.moved(  # type: ignore[attr-defined]
        fitted.steerer.toward(z, labels, fitted.steerer.strength),
        labels,
        {"slant": 2.0},  # type: ignore[attr-defined]
    )
    asked = [[one, int(labels[0]), [2, 0, 0]] for one in z.tolist()]
    given = torch.tensor([page.evaluate("(asked) => pocketgan.steered(...asked)", one) for one in asked])
    assert torch.allclose(given, moved, atol=1e-4)


@pytest.mark.extras
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_a_page_is_for_everyone(
    node_modules: None, chromium: Browser, digits_page: Path, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 800}
    page = opened(chromium, digits_page, viewport=size, color_scheme=scheme, bypass_csp=True)  # for axe's own script
    for summary in page.locator("summary").all():
        summary.click()
    page.add_script_tag(path=AXE)
    assert page.evaluate(AXE_RUN) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.extras
def test_a_page_is_played_by_the_keyboard(chromium: Browser, digits_page: Path) -> None:
    page = opened(chromium, digits_page, reduced_motion="reduce")
    name = page.locator(".large canvas")
    page.locator('input[name="class"]').first.focus()
    page.keyboard.press("ArrowRight")
    assert name.get_attribute("aria-label") == "Class 1"
    before = page.evaluate("document.querySelector('.large canvas').toDataURL()")
    page.get_by_label("Across").focus()
    page.keyboard.press("End")
    until(page, f"document.querySelector('.large canvas').toDataURL() !== {before!r}")
    page.locator(".sheet button[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert name.get_attribute("aria-label") == "Class 2"
    assert page.get_by_label("Across").input_value() == "0"


@pytest.mark.extras
def test_a_pages_z_and_png_are_those_of_the_picture(chromium: Browser, digits_page: Path, tmp_path: Path) -> None:
    from PIL import Image

    page = opened(chromium, digits_page, accept_downloads=True)
    page.locator("summary").first.click()
    numbers = page.locator("#numbers")
    for text, words in (("1 2 3", "takes 64 numbers; here are 3"), ("x", "no number"), ("99 " * 64, "too large")):
        numbers.fill(text)
        page.get_by_role("button", name="Draw these numbers").click()
        assert words in page.locator("#wrong").inner_text()
    z = latents(5, 0, 1, 64)
    numbers.fill(json.dumps(z[0].tolist()))
    page.get_by_role("button", name="Draw these numbers").click()
    until(page, "document.querySelector('.said').textContent.includes('your numbers')")
    page.wait_for_timeout(300)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save PNG").click()
    waiting.value.save_as(tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        facts = json.loads(picture.info["pocketgan"])  # type: ignore[attr-defined]
        pixels = torch.tensor(list(picture.convert("L").tobytes())).view(1, 1, 28, 28)
    assert torch.equal(torch.tensor([facts["z"]]), z)
    assert apart(pixels, pg.load("digits", device="cpu").images(z, torch.tensor([facts["label"]]))) <= MOST_BYTES_APART
    assert exporting.weights_digest(pg.load("digits", device="cpu").generator) == facts["weights"]
