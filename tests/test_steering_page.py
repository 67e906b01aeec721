"""The page about what was fitted to a model: it shows what can be asked for, and keeps guide and judge apart."""

from __future__ import annotations

import base64
import io
import re
import shlex
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import drawing_model
from pocketgan.api import fit_steering
from pocketgan.cli import main
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import grid
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.recipes import write_recipe
from pocketgan.report import renew_steering, write_report
from pocketgan.report.steering import write_steering_page
from pocketgan.report.steering_words import ABOUT
from pocketgan.report.words import per_cent
from pocketgan.steer.fits import MEASURED, METHODS, read_figures
from test_report import Page

FEW = ("bank", "directions", "lcp")  # quick ones


@pytest.fixture(scope="module")
def page(steered_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a model with every method."""
    folder = shutil.copytree(steered_folder, tmp_path_factory.mktemp("page") / "steered")
    return Page(write_steering_page(folder))


@pytest.fixture
def folder(steered_folder: Path, tmp_path: Path) -> Path:
    """A model with a few methods, for a test to change."""
    shutil.copytree(steered_folder, tmp_path / "steered")
    for method in METHODS.keys() - FEW:
        shutil.rmtree(tmp_path / "steered" / "steer" / method)
    return tmp_path / "steered"


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    """A run that made this model, with a report."""
    (tmp_path / "run").mkdir()
    folder.rename(tmp_path / "run" / "model")
    write_recipe(Model.load(tmp_path / "run").recipe, tmp_path / "run" / "recipe.toml")
    return tmp_path / "run"


def picture(uri: str) -> np.ndarray:
    """A picture of the page at the size of its pixels."""
    with Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))) as drawn:
        return np.asarray(drawn)[::4, ::4]


def commands(page: Page) -> list[list[str]]:
    """What the page says to run so that the judge measures."""
    found = re.findall(r'<p class="missing">The judge has not(.*?)</p>', page.source, re.DOTALL)
    codes = [code for line in found for code in re.findall(r"<code>(.*?)</code>", line, re.DOTALL)]
    return [shlex.split(unescape(re.sub(r"<[^>]+>", "", code))) for code in codes]


def test_it_loads_nothing(page: Page) -> None:
    assert not page.all("script", "iframe", "object", "embed", "base", "form")
    assert all(attributes["src"].startswith("data:") for attributes in page.all("img"))
    assert "url(" not in page.source
    assert "://" not in page.source


@pytest.mark.parametrize("method", METHODS)
def test_a_grid_holds_the_first_images_that_can_be_asked_for(method: str, page: Page, steered: Model) -> None:
    shown = [img["src"] for img in page.all("img") if img["alt"].endswith(f"by {method}.")]
    assert len(shown) == 10
    samples = steered.sample(100, balanced=True, method=method, seed=0)
    for label, uri in enumerate(shown):
        rows = samples.images[samples.labels == label]
        assert np.array_equal(picture(uri), grid(rows, columns=10)[0].numpy())
    read = int((Classifier.load("guide").label(samples.images) == samples.labels).sum())
    assert f"Reads {read} of these 100 images as asked; it chose the latents" in page.text


def test_what_was_stored_at_the_fit_is_told(page: Page, steered: Model) -> None:
    for facts in (one.facts for one in steered.steer.everything().values()):
        assert f"{facts.latents:,} latents that the guide read" in page.text
        assert all(per_cent(count / facts.latents, facts.latents) in page.text for count in facts.kept)
        assert f"{facts.fit_seconds:.1f}" in page.text


def test_every_method_has_words_of_its_own(page: Page) -> None:
    told = [text for method in METHODS for text in ABOUT[method]]
    assert all(told)
    assert len(set(told)) == 2 * len(METHODS)
    assert all(text in page.text for text in told)


def test_directions_start_and_end_where_the_verb_draws_them(page: Page, steered_folder: Path, tmp_path: Path) -> None:
    sheets = [picture(img["src"]) for img in page.all("img") if "moved along" in img["alt"]]
    assert len(sheets) == 3
    with pytest.raises(SystemExit):
        main(["steer", "directions", str(steered_folder), "--digit", "3", "--out", str(tmp_path / "three.png")])
    with Image.open(tmp_path / "three.png") as drawn:
        three = np.asarray(drawn)[::2, ::2]
    for place, sheet in enumerate(sheets):
        assert np.array_equal(sheet[3 * 30 + 2 : 4 * 30], three[place * 30 + 2 : (place + 1) * 30])


def test_the_judge_s_figures_come_by_the_command_that_the_page_names(run: Path, tmp_path: Path) -> None:
    before = Page(write_steering_page(run))
    assert before.source.count("The judge has not measured") == 1
    assert "What the judge reads" not in before.text
    (command,) = commands(before)
    assert command[:4] == ["pocketgan", "bench", "steering", "run"]
    words = [*command[1:3], str(run), *command[4:-1], str(tmp_path / "table.md"), "--count", "12", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert not end.value.code
    after = Page(run / "steering.html")
    assert not commands(after)
    for method in FEW:
        figures = read_figures(run / "model", method)
        assert figures is not None
        assert figures.hit == pytest.approx(sum(one.hit for one in figures.classes) / 10)
        assert figures.worst == min(one.hit for one in figures.classes)
        assert f"{figures.hit:.2%}" in after.text
        assert f"| {method} | {figures.count:,} | {figures.hit:.2%} |" in (tmp_path / "table.md").read_text()
    assert after.source.count("What the judge reads, class by class") == len(FEW)


def test_a_new_fit_forgets_what_was_measured_of_the_old_one(folder: Path, tmp_path: Path) -> None:
    words = ["--method", "lcp", "--latents", "4000", "--steps", "100", "--count", "12", "--quiet"]
    with pytest.raises(SystemExit):
        main(["bench", "steering", str(folder), "--out", str(tmp_path / "table.md"), *words])
    assert read_figures(folder, "lcp") is not None
    times = {path: path.stat().st_mtime_ns for path in folder.rglob(MEASURED)}
    with pytest.raises(SystemExit):
        main(["bench", "steering", str(folder), "--out", str(tmp_path / "table.md"), *words])
    assert times == {path: path.stat().st_mtime_ns for path in folder.rglob(MEASURED)}  # it had nothing left to measure
    fit_steering(folder, method=["lcp"], latents=4000, steps=5, quiet=True)
    assert read_figures(folder, "lcp") is None
    assert read_figures(folder, "bank") is not None
    found = commands(Page(folder / "steering.html"))
    budgets = {words[words.index("--method") + 1]: words[words.index("--steps") + 1] for words in found}
    assert budgets == {"directions": "100", "lcp": "5"}  # each with the budget that it was fitted with


def test_the_report_of_a_run_links_to_the_page_once_there_is_something_to_show(run: Path) -> None:
    shutil.move(run / "model" / "steer", run.parent / "aside")
    assert "steering.html" not in Page(write_report(run)).source
    assert not (run / "steering.html").exists()
    shutil.move(run.parent / "aside", run / "model" / "steer")
    assert renew_steering(run / "model") == run / "steering.html"
    links = [a["href"] for a in Page(run / "report.html").all("a")]
    assert links[0] == "steering.html"
    (run / "steering.html").unlink()
    assert write_report(run) == run / "report.html"
    targets = [attributes["id"] for attributes in Page(run / "steering.html").all("section") if "id" in attributes]
    assert [link.removeprefix("steering.html#") for link in links[1 : 1 + len(FEW)]] == targets


def test_a_model_s_folder_has_the_page_alone(folder: Path) -> None:
    assert write_report(folder) == folder / "steering.html"
    assert not (folder / "report.html").exists()
    shutil.rmtree(folder / "steer")
    with pytest.raises(UsageError, match="nothing fitted; fit it first"):
        write_steering_page(folder)
    with pytest.raises(UsageError, match="no finished run"):
        write_report(folder)


def test_a_class_that_is_not_made_has_no_row_and_is_named(digits: ImageSet, tmp_path: Path) -> None:
    drawing_model(digits, range(9)).save(tmp_path / "model")
    fit_steering(tmp_path / "model", method=["bank"], latents=3000, quiet=True)
    page = Page(tmp_path / "model" / "steering.html")
    shown = [img for img in page.all("img") if img["alt"].endswith("by bank.")]
    model = Model.load(tmp_path / "model")
    facts = model.steer.fitted("bank").facts
    assert len(shown) == len(facts.made) < 10
    first = model.sample(10, label=facts.made[-1], method="bank")
    assert np.array_equal(picture(shown[-1]["src"]), grid(first.images, columns=10)[0].numpy())
    assert all(line[1:] in page.text for line in model.steer.missing(facts))
    assert not commands(page)  # the table of figures needs every class
    assert "The judge has not measured bank" in page.text


@pytest.mark.parametrize(("content", "line"), [("{", "JSON"), ('{"format_version": 1}', "measure it again")])
def test_damaged_figures_are_named(content: str, line: str, folder: Path) -> None:
    (folder / "steer" / "lcp" / MEASURED).write_text(content)
    with pytest.raises(PocketganError, match=line) as error:
        write_steering_page(folder)
    assert str(folder / "steer" / "lcp" / MEASURED) in str(error.value)


def test_the_same_fits_give_the_same_page(folder: Path) -> None:
    first = write_steering_page(folder).read_bytes()
    assert write_steering_page(folder).read_bytes() == first
