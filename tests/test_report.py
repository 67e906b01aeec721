"""The report of a run: one page that loads nothing, says what was counted, and stands without the parts it lacks."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import grid, to_png
from pocketgan.data.load import load_images
from pocketgan.recipes import gan_recipe, write_recipe
from pocketgan.report import write_report
from pocketgan.report.charts import Series, line_chart, log_ticks, nice_ticks, spread, tick_texts
from pocketgan.report.page import animation, in_one_row
from pocketgan.report.scorecard import write_scorecard_page
from pocketgan.report.words import per_cent
from pocketgan.scorecard.card import CARD, ClassFacts, FaultFacts, Interval, Score, Scorecard, SetFacts, TstrFacts
from pocketgan.scorecard.figures import METRICS, protocol_name

NAMES = list("0123456789")


def share(errors: int, count: int, low: float, high: float, **more: str) -> dict[str, Any]:
    """One entry of scores.json."""
    return {"errors": errors, "count": count, "error": errors / count, "low": low, "high": high} | {
        "classifier": "cnn",
        "data": "",
        **more,
    }


def confusion(per_class: int, mistakes: dict[tuple[int, int], int]) -> list[list[int]]:
    """A 10x10 matrix with the given mistakes and all else on the diagonal."""
    matrix = (np.eye(10, dtype=int) * per_class).tolist()
    for (label, read), count in mistakes.items():
        matrix[label][read] += count
        matrix[label][label] -= count
    return matrix


def make_run(folder: Path, epochs: int = 3) -> Path:
    """A run folder with every part, in which digits of the test set stand for fakes."""
    torch.manual_seed(0)
    test = load_images("mnist", "test")
    assert test.labels is not None
    rows = torch.stack([torch.nonzero(test.labels == digit)[:10, 0] for digit in range(10)], 1).flatten()
    fakes = test.images[rows]
    folder.mkdir(parents=True)
    recipe = gan_recipe("pocket", {"epochs": epochs})
    write_recipe(recipe, folder / "recipe.toml")
    saved = [e for e in range(1, epochs + 1) if e <= 5 or e % 5 == 0 or e == epochs]
    (folder / "samples").mkdir()
    for epoch in saved:
        known = epoch / epochs
        mixed = fakes * known**0.5 + torch.randint(0, 256, fakes.shape) * (1 - known**0.5) * 0.8
        sheet = grid(mixed.clamp(0, 255).to(torch.uint8), columns=10)
        (folder / f"samples/epoch-{epoch:04}.png").write_bytes(to_png(sheet))
    (folder / "grid.png").write_bytes(to_png(grid(fakes, columns=10)))
    unsure = (18, 43, 67, 80, 22, 59, 35, 94, 71, 6)
    for index in unsure:
        path = folder / f"fakes/{index % 10}/{index:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_png(fakes[index]))
    steps = range(1, epochs + 1)
    events: list[dict[str, Any]] = [
        {
            "event": "start",
            "recipe": "pocket",
            "seed": 0,
            "total_nimg": 60032 * epochs,
            "images": 60000,
            "data": "b3" * 32,
        }
    ]
    events += [
        {
            "event": "epoch",
            "epoch": e,
            "nimg": 60032 * e,
            "loss_d": 1.3 - 0.6 * e**-0.7,
            "loss_g": 0.85 + 1.4 * e**-0.6 + 0.05 * (e % 3),
        }
        for e in steps
    ]
    write_lines(folder / "events.jsonl", events)
    timings = [{"epoch": e, "nimg": 60032 * e, "seconds": 21.3 * e, "images_per_second": 2818.4} for e in steps]
    write_lines(folder / "timings.jsonl", timings)
    made_with = {"pocketgan": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "machine": "x86_64", "device": "cpu"}
    model = {
        "format_version": 1,
        "kind": "gan",
        "recipe": recipe.model_dump(exclude_none=True),
        "shape": [1, 28, 28],
        "class_names": NAMES,
        "nimg": 60032 * epochs,
        "weights": "ema",
        "parameters": {"generator": 438689, "discriminator": 839393},
        "data": {
            "name": "mnist/train",
            "split": "train",
            "count": 60000,
            "digest": "b3" * 32,
            "provenance": test.provenance,
        },
        "made_with": {**made_with, "threads": 2},
        "sha256": {"generator.safetensors": "c4" * 32},
    }
    write_json(folder / "model/model.json", model)
    accuracy = [0.942, 0.981, 0.987, 0.990, 0.9921]
    learned = [{"epoch": e, "loss": 0.1, "accuracy": a} for e, a in enumerate(accuracy, start=1)]
    recipe, test_share = {"name": "cnn", "seed": 0}, share(97, 10000, 0.0080, 0.0118)
    about = {"format_version": 1, "kind": "classifier", "shape": [1, 28, 28], "class_names": NAMES, "recipe": recipe}
    write_json(folder / "classifier/model.json", about | {"epochs": learned, "test": test_share, "sha256": {}})
    least = [
        {"file": f"fakes/{i % 10}/{i:06}.png", "label": i % 10, "read_as": (i * 7) % 10, "confidence": 0.31 + 0.011 * n}
        for n, i in enumerate(unsure)
    ]
    write_json(
        folder / "scores.json",
        {
            "format_version": 1,
            "s0": share(97, 10000, 0.0080, 0.0118, data="mnist/test", labels_from="the test set's own labels"),
            "s1": share(3, 100, 0.0103, 0.0845, labels_from="asked"),
            "s1_10k": share(172, 10000, 0.0148, 0.0199, labels_from="asked"),
            "label_counts": [10, 10, 11, 9, 10, 10, 10, 9, 11, 10],
            "label_counts_10k": [1003, 998, 1010, 985, 1002, 991, 1004, 1001, 1008, 998],
            "confusion": confusion(1000, {(4, 9): 41, (9, 4): 28, (7, 2): 22, (3, 5): 31, (5, 3): 19, (8, 3): 12}),
            "confusion_real": confusion(1000, {(4, 9): 14, (9, 4): 11, (7, 2): 9, (3, 5): 5, (6, 0): 6, (2, 7): 4}),
            "least_sure": least,
        },
    )
    write_json(
        folder / "summary.json",
        {"format_version": 1, "recipe": "pocket", "train_seconds": 106.6, "peak_memory_mb": 812.0},
    )
    return folder


PICTURES = ("best", "worst", "unreal", "uncovered", "closest")
MAP_WEIGHT = 120_000  # characters that the map may take of a page


def add_scorecard(folder: Path) -> Path:
    """A folder as `evaluate` leaves it, in which precision and recall are off and all else is saturated."""
    folder.mkdir(parents=True)
    floor = Interval(value=0.9, low=0.89, high=0.91)
    off = {"precision": 0.5124, "recall": 0.4211}
    scores = {}
    for metric in METRICS:
        value = off.get(metric, 0.9)
        ends = {"value": value, "low": value - 0.01, "high": value + 0.01}
        scores[protocol_name(metric, 500)] = Score(metric=metric, floor=floor, saturated=metric not in off, **ends)
    texts = {"precision": "49% of the images look like nothing real", "recall": "they cover 47% of what real images do"}
    seeds = {
        "classifier_seeds": [0, 1, 2],
        "accuracies": [0.9] * 3,
        "real_accuracies": [0.91] * 3,
        "test": "mnist/test",
    }
    shares = {"accuracy": ends, "real_accuracy": ends, "gap": {"value": 0.01, "low": 0.0075, "high": 0.02}}
    gap = {"count": 60_000, "real_count": 60_000, **seeds, **shares}
    card = Scorecard(
        subject=SetFacts(name="pocket, seed 0", digest="aa" * 32, count=500),
        made_by={"recipe": "pocket", "seed": 7, "sampling_seed": 3},
        labels="asked",
        reference=SetFacts(name="mnist/test", digest="bb" * 32, count=10_000),
        training=SetFacts(name="mnist/train", digest="cc" * 32, count=60_000),
        floor=SetFacts(name="mnist/val", digest="dd" * 32, count=500),
        judge={"version": "mnist-1", "digest": "ee" * 32},
        metrics=scores,
        classes=[
            ClassFacts(name=name, count=45 + place, share=0.1, diversity=0.95, labelled=50, misread=place % 3)
            for place, name in enumerate(NAMES)
        ],
        confusion=confusion(50, {}),
        reference_copies=0.002,
        distinct=500,
        faults=[FaultFacts(fault="unreal", metric=metric, text=text) for metric, text in texts.items()],
        verdict="49% of the images look like nothing real; they cover 47% of what real images do.",
        tstr=TstrFacts.model_validate(gap),
    )
    (folder / "scorecard.json").write_text(card.model_dump_json(), encoding="utf-8")
    for name in PICTURES:
        (folder / f"{name}.png").write_bytes(to_png(grid(load_images("mnist", "test").images[:20], columns=10)))
    random = np.random.default_rng(0)
    clouds = ([[*place, n % 10] for n, place in enumerate(random.normal(0, 9, (1000, 2)).tolist())] for _ in range(2))
    write_json(
        folder / "map.json", {"format_version": 1, "share": 0.36} | dict(zip(("real", "fake"), clouds, strict=True))
    )
    return folder


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_lines(path: Path, content: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")


def change(path: Path, **fields: Any) -> None:
    """Lay fields over a JSON file of a run."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | fields)


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, and the text between them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *names: str) -> list[dict[str, str]]:
        """The attributes of every tag with one of these names."""
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "first")


@pytest.fixture(scope="module")
def whole(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a run with every part but a scorecard."""
    return Page(write_report(shutil.copytree(made, tmp_path_factory.mktemp("whole") / "first")))


@pytest.fixture(scope="module")
def scored(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a run with a scorecard."""
    folder = shutil.copytree(made, tmp_path_factory.mktemp("scored") / "first")
    add_scorecard(folder / "scorecard")
    return Page(write_report(folder))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a scorecard."""
    return Page(write_scorecard_page(add_scorecard(tmp_path_factory.mktemp("alone") / "card")))


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A scorecard's folder, for a test to change."""
    return add_scorecard(tmp_path / "card")


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run with every part, for a test to change."""
    return shutil.copytree(made, tmp_path / "first")


@pytest.fixture
def plain(run: Path) -> Path:
    """A run without pictures, which take most of a report's time."""
    for name in ("grid.png", "samples", "fakes"):
        remove(run / name)
    return run


def report(run: Path) -> Page:
    return Page(write_report(run))


@pytest.mark.parametrize("page_name", ["whole", "scored", "alone"])
def test_no_page_loads_anything(page_name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(page_name)
    assert not page.all("script", "iframe", "object", "embed", "base", "form", "audio", "video")
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "srcset") or (name == "href" and tag == "link"):
                assert value.startswith("data:"), (tag, name, value[:60])
            else:
                assert "://" not in value or (tag, name) == ("a", "href"), (tag, name, value[:60])
    style = page.source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_the_licence_can_be_followed(whole: Page) -> None:
    assert "creativecommons.org/licenses/by-sa/3.0" in whole.all("a")[0]["href"]


def test_it_says_what_was_counted_and_whose_labels(whole: Page) -> None:
    text = whole.text
    assert "97 of 10,000 real test images read wrongly, 0.97% (95% interval 0.80 to 1.18%)" in text
    assert "test images 99.03%" in text
    assert "Labels: the test set's own labels." in text
    assert "3 of 100 fakes read wrongly, 3.0% (95% interval 1.0 to 8.5%)" in text
    assert "172 of 10,000 fakes read wrongly, 1.72% (95% interval 1.48 to 1.99%)" in text
    assert "Labels: the class that the generator was asked for." in text
    assert "4 read as 9 (41)" in text
    assert "438,689 parameters" in text
    assert "1 min 47 s" in text


def test_the_comparison_follows_the_intervals(plain: Path) -> None:
    told = {}
    for name, low, high in (("worse", 0.02, 0.03), ("same", 0.011, 0.03), ("better", 0.001, 0.002)):
        scores = json.loads((plain / "scores.json").read_text(encoding="utf-8"))
        change(plain / "scores.json", s1_10k=scores["s1_10k"] | {"low": low, "high": high})
        told[name] = report(plain).text
    assert "wrongly more often than" in told["worse"]
    assert "The intervals overlap" in told["same"]
    assert "wrongly less often than" in told["better"]


def test_the_first_line_says_whether_it_went_well(plain: Path) -> None:
    def told() -> str:
        (line,) = re.findall(r'<p class="outcome">(.*?)</p>', write_report(plain).read_text())
        return unescape(line)

    assert told().startswith(("Some fakes are no clear pictures: C reads", "By this count it went well: C reads"))
    card = add_scorecard(plain / "scorecard") / CARD
    content = json.loads(card.read_text())
    first, *others = content["faults"]
    assert told().startswith(f"Something is wrong: {first['text']}.")
    assert others or "findings" not in told()
    card.write_text(json.dumps(content | {"faults": []}))
    assert told() == "It went well: no fault was found in the fakes."
    remove(plain / "scorecard")
    remove(plain / "scores.json")
    assert told() == "It was not scored, so this page cannot say whether it went well."


def test_the_rebuilding_recipe_is_the_stored_one(plain: Path) -> None:
    page = report(plain)
    stored = (plain / "recipe.toml").read_text(encoding="utf-8")
    assert re.sub(r"\s+", " ", stored).strip() in page.text
    assert "pocketgan run recipe.toml --out again" in page.text


def test_the_same_run_gives_the_same_page(run: Path, whole: Page) -> None:
    assert report(run).source == whole.source


PARTS = {
    "grid.png": "has no grid.png",
    "scores.json": "has no scores.json",
    "samples": "has no samples",
    "events.jsonl": "has no losses in events.jsonl",
    "classifier": "has no accuracies in classifier/model.json",
    "fakes": "picture missing",
}


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named_and_the_rest_stands(run: Path, whole: Page, part: str) -> None:
    assert PARTS[part] not in whole.text
    remove(run / part)
    page = report(run)
    assert PARTS[part] in page.text
    if part != "fakes":
        assert "pocketgan run first/recipe.toml --out first makes it" in page.text
    assert len(page.all("h2")) == len(whole.all("h2"))


def test_a_run_with_nothing_but_recipe_and_model_has_a_report(run: Path) -> None:
    for path in list(run.iterdir()):
        if path.name not in ("recipe.toml", "model"):
            remove(path)
    about = {"format_version": 1, "kind": "gan", "recipe": {}, "shape": [1, 28, 28], "class_names": [], "sha256": {}}
    write_json(run / "model/model.json", about)
    assert "have no labels" in report(run).text
    change(run / "model/model.json", class_names=NAMES)
    page = report(run)
    assert page.text.count("makes it") == 8
    assert not page.all("img", "svg")


def test_the_time_is_read_from_the_log_where_no_summary_tells_it(plain: Path) -> None:
    remove(plain / "summary.json")
    text = report(plain).text
    assert "1 min 4 s" in text  # 63.9 s, the running total after 3 epochs
    assert "2,818 images per second" in text


def test_data_without_labels_is_told_apart_from_a_skipped_step(plain: Path) -> None:
    change(plain / "model/model.json", class_names=[])
    remove(plain / "scores.json")
    remove(plain / "classifier")
    text = report(plain).text
    assert text.count("have no labels") == 5
    assert text.count("makes it") == 2  # the grid and the samples


def test_fakes_without_labels_leave_s0(plain: Path) -> None:
    change(plain / "scores.json", s1=None, s1_10k=None, confusion=None)
    text = report(plain).text
    assert "97 of 10,000" in text
    assert "The fakes have no labels, so there is no S1." in text


@pytest.mark.parametrize("name", ["recipe.toml", "model/model.json"])
def test_a_folder_that_is_no_finished_run_is_refused(plain: Path, name: str) -> None:
    remove(plain / name)
    with pytest.raises(UsageError, match=name):
        write_report(plain)
    assert not (plain / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scores.json", "{"),
        ("scores.json", '{"format_version": 1, "s0": {"errors": "many"}}'),
        ("scores.json", '{"format_version": 99}'),
        ("scores.json", '{"format_version": 1, "confusion": [[1, 2], [3]]}'),
        ("model/model.json", '{"format_version": 1, "shape": [28]}'),
        ("events.jsonl", '{"event": "epoch"}\n'),
        ("grid.png", "no picture"),
        ("samples/epoch-0001.png", "no picture"),
        ("fakes/8/000018.png", "no picture"),
    ],
)
def test_a_damaged_file_is_named(run: Path, name: str, content: str) -> None:
    (run / name).write_text(content, encoding="utf-8")
    with pytest.raises(PocketganError, match=re.escape(Path(name).name)) as caught:
        write_report(run)
    assert "\n" not in str(caught.value)
    assert not (run / "report.html").exists()


def test_text_from_files_cannot_become_markup(plain: Path) -> None:
    hostile = [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' onclick='alert(1)",
        "{{ 7 * 7 }}",
        "&lt;",
    ]
    hostile += ["</svg></table>", "<!--", "]]>", "<style>", "\u202e"]
    facts = json.loads((plain / "model/model.json").read_text(encoding="utf-8"))

    def dressed(names: list[str]) -> Page:
        change(plain / "model/model.json", class_names=names, data=facts["data"] | {"name": names[0]})
        change(
            plain / "scores.json",
            s1=share(3, 100, 0.0103, 0.0845, labels_from=names[1]),
            least_sure=[{"file": names[2], "label": 1, "read_as": 2, "confidence": 0.5}],
        )
        return report(plain)

    def outline(page: Page) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in page.tags]

    bad = dressed(hostile)
    assert outline(bad) == outline(dressed(["x" * len(name) for name in hostile]))
    assert "<script>alert(1)</script>" in bad.text
    assert "{{ 7 * 7 }}" in bad.text


def test_no_picture_from_outside_the_run_is_shown(run: Path) -> None:
    (run.parent / "secret.png").write_bytes((run / "grid.png").read_bytes())
    change(run / "scores.json", least_sure=[{"file": "../secret.png", "label": 1, "read_as": 2, "confidence": 0.5}])
    assert "picture missing" in report(run).text


def test_pictures_charts_and_tables_can_be_read_aloud(whole: Page) -> None:
    assert whole.all("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in whole.all("img"))
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in whole.all("svg"))
    assert all(head.get("scope") in ("row", "col") for head in whole.all("th"))
    assert len(whole.all("caption")) == 2
    levels = [int(tag[1]) for tag, _ in whole.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    (source,) = whole.all("source")
    assert source["media"] == "(prefers-reduced-motion: reduce)"


def test_the_scorecard_leads_a_run_s_report(scored: Page, whole: Page) -> None:
    assert "The verdict" not in whole.text
    order = [
        "All fakes of this run",
        "The verdict",
        "49% of the images",
        "The scorecard",
        "Class by class",
        "S0 and S1",
    ]
    text = scored.text[scored.text.index(order[0]) :]  # the first line has told the first fault before
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert len(scored.all("h2")) == len(whole.all("h2")) + 6


@pytest.mark.parametrize("page_name", ["scored", "alone"])
def test_the_scorecard_is_told_and_drawn(page_name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(page_name)
    assert "They cover 47% of what real images do." in page.text
    for metric, about in METRICS.items():
        assert protocol_name(metric, 500) in page.text
        assert about.about[1:] in page.text
    assert page.source.count("<em>saturated</em>") == len(METRICS) - 2
    assert "51.24% 50.24 to 52.24% 90.00% 89.00 to 91.00%" in page.text
    drawn = [chart["aria-label"] for chart in page.all("svg") if chart["class"] == "chart track"]
    assert len(drawn) == len(METRICS)
    assert "precision_k5_500: 51.24%, 50.24 to 52.24%; real images 90.00%, 89.00 to 91.00%" in drawn
    assert "the gap is 1.00 points (0.75 to 2.00)" in page.text
    for fact in (
        "aaaaaaaaaaaa",
        "dddddddddddd",
        "mnist-1",
        "seed 7, sampling seed 3",
        "1 of the scored images is byte",
    ):
        assert fact in page.text
    assert all(image["alt"] for image in page.all("img"))
    assert all(head.get("scope") in ("row", "col", "rowgroup") for head in page.all("th"))
    assert sum(source["src"].startswith("data:image/png") for source in page.all("img")) >= len(PICTURES)


def test_intervals_lie_on_a_track_where_their_values_are(alone: Page) -> None:
    ends = re.findall(r'class="(?:floor|dot accent|dot)" (?:x|cx)="([\d.]+)%"', alone.source)
    assert all(0 <= float(end) <= 100 for end in ends)
    track = alone.source.split('aria-label="precision_k5_500')[1].split("</svg>")[0]
    dot, floor = (float(re.findall(rf'class="{kind}" c?x="([\d.]+)%', track)[0]) for kind in ("dot accent", "floor"))
    low, high = (float(end) for end in re.findall(r'class="bar accent" x1="([\d.]+)%" x2="([\d.]+)%', track)[0])
    assert low < dot < high < floor
    assert dot == pytest.approx((low + high) / 2, abs=0.02)


def test_the_map_has_a_dot_for_every_point_and_stays_small(alone: Page) -> None:
    wide = alone.source.split('<div class="map wide">')[1].split("</div>")[0]
    narrow = alone.source.split('<div class="map narrow">')[1].split("</div>")[0]
    for drawing in (wide, narrow):
        real, fake = (re.findall(rf'class="cloud {kind}" d="(.*?)"', drawing)[0] for kind in ("real", "fake"))
        assert real.count("M") == fake.count("M") == 1000
    places = [float(x) for x in re.findall(r"M([\d.-]+) ", wide)]
    assert 0 <= min(places) < max(places) <= 720
    assert len(wide) + len(narrow) < MAP_WEIGHT


@pytest.mark.parametrize("part", [*PICTURES, "map"])
def test_what_a_scorecard_lacks_is_left_out(card: Path, alone: Page, part: str) -> None:
    headings = {"best": "Best", "worst": "Worst", "unreal": "Least like", "uncovered": "What the fakes leave out"}
    heading = {**headings, "closest": "closest pairs", "map": "Where real and fake"}[part]
    assert heading in alone.text
    remove(card / ("map.json" if part == "map" else f"{part}.png"))
    page = Page(write_scorecard_page(card))
    assert heading not in page.text
    assert "They cover 47%" in page.text


def test_a_scorecard_without_labels_tstr_or_faults_has_a_page(card: Path) -> None:
    facts = json.loads((card / "scorecard.json").read_text(encoding="utf-8"))
    classes = [one | {"labelled": None, "misread": None, "diversity": None} for one in facts["classes"]]
    del facts["metrics"]["label_error_500"], facts["metrics"]["tstr"]
    none = {
        "confusion": None,
        "labels": "none",
        "tstr": None,
        "faults": [],
        "verdict": "No fault found.",
        "made_by": {},
    }
    write_json(card / "scorecard.json", facts | none | {"classes": classes})
    text = Page(write_scorecard_page(card)).text
    assert "No fault found." in text
    assert "label_error_500" not in text
    assert "What can a classifier learn" not in text
    assert "pocket, seed 0" in text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("scorecard.json", "{"),
        ("scorecard.json", '{"format_version": 99}'),
        ("scorecard.json", '{"format_version": 1, "verdict": 3}'),
        ("map.json", '{"format_version": 1, "share": 0.5, "real": [[1, 2]], "fake": []}'),
        ("map.json", "[]"),
        ("best.png", "no picture"),
    ],
)
def test_a_damaged_scorecard_is_named(card: Path, plain: Path, name: str, content: str) -> None:
    (card / name).write_text(content, encoding="utf-8")
    with pytest.raises(PocketganError, match=re.escape(name)) as caught:
        write_scorecard_page(card)
    assert "\n" not in str(caught.value)
    assert not (card / "scorecard.html").exists()
    shutil.copytree(card, plain / "scorecard")
    with pytest.raises(PocketganError, match=re.escape(name)):
        write_report(plain)


def test_a_folder_without_a_scorecard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="evaluate --out"):
        write_scorecard_page(tmp_path)


@pytest.mark.parametrize("losses", [[1.0], [float("nan")], [1.0, float("nan"), float("inf")], [0.0, 0.0], [-3.0, 2e9]])
def test_any_losses_can_be_drawn(plain: Path, losses: list[float]) -> None:
    events = [{"event": "epoch", "epoch": n, "nimg": n, "loss_d": x, "loss_g": x} for n, x in enumerate(losses, 1)]
    write_lines(plain / "events.jsonl", events)
    page = report(plain)
    drawn = [tag for tag in page.all("polyline", "line", "circle", "text") if "nan" in str(tag) or "inf" in str(tag)]
    assert not drawn
    assert page.source.count('<polyline class="line"') == (4 if np.isfinite(losses).any() else 2)


def test_many_classes_are_told_in_words(plain: Path) -> None:
    matrix = (np.eye(40, dtype=int) * 5).tolist()
    matrix[3][39] = 2
    change(plain / "model/model.json", class_names=[f"class {n}" for n in range(40)])
    change(plain / "scores.json", confusion=matrix, confusion_real=None, label_counts=[1] * 40)
    page = report(plain)
    assert "class 3 read as class 39 (2)" in page.text
    assert not page.all("caption")


def test_ticks_are_round_and_enclose_the_values() -> None:
    random = np.random.default_rng(0)
    for _ in range(300):
        low, high = sorted(random.normal(size=2) * 10.0 ** random.integers(-4, 7))
        ticks = nice_ticks(low, high, 5)
        step = ticks[1] - ticks[0]
        assert ticks[0] <= low + step * 1e-6
        assert ticks[-1] >= high - step * 1e-6
        assert 2 <= len(ticks) <= 9
        assert np.allclose(np.diff(ticks), step)
        assert len(set(tick_texts(ticks, percent=False))) == len(ticks)


@given(st.floats(1e-3, 1e6), st.floats(1, 1e6))
def test_logarithmic_ticks_enclose_what_is_drawn(low: float, ratio: float) -> None:
    ticks = log_ticks(low, low * ratio)
    assert ticks[0] <= low
    assert low * ratio <= ticks[-1]
    assert len(ticks) >= 2
    assert all(f"{tick:.0e}"[0] in "125" for tick in ticks)
    assert len([tick for tick in ticks if low < tick < low * ratio]) >= len(ticks) - 2


def test_equal_ratios_are_equally_high_on_a_logarithmic_chart() -> None:
    lines = [Series("one", [(1, 400.0), (2, 40.0), (3, 4.0), (4, 0.0)])]
    drawn = line_chart(lines, x_label="epoch", y_label="distance", alt="", width=720, logarithmic=True)
    (points,) = re.findall(r'<polyline class="line" points="([^"]*)"', drawn)
    high, middle, low = (float(point.split(",")[1]) for point in points.split())
    assert middle - high == pytest.approx(low - middle, abs=0.2)
    assert " ".join(re.findall(r">([0-9.]+)</text>", drawn)).startswith("2 5 10 20 50 100 200 500 ")


def test_labels_that_would_overlap_are_moved_apart_in_order() -> None:
    assert spread([10.0, 50.0], 15) == [10.0, 50.0]
    above, below = spread([31.0, 30.0], 15)
    assert above - below == pytest.approx(15)
    assert (above + below) / 2 == pytest.approx(30.5)


@pytest.mark.parametrize("channels", [1, 3])
def test_two_rows_of_a_grid_end_to_end_are_the_grid_with_twice_the_columns(channels: int) -> None:
    images = torch.randint(0, 256, (30, channels, 12, 16), dtype=torch.uint8)
    strip = in_one_row(Image.open(BytesIO(to_png(grid(images, columns=10)))), height=12)
    wanted = Image.open(BytesIO(to_png(grid(images[:20], columns=20))))
    assert np.array_equal(np.asarray(strip), np.asarray(wanted))


def test_the_animation_shows_every_epoch_and_ends_with_the_still() -> None:
    pictures = [(epoch, Image.fromarray(np.full((40, 120), 20 * epoch, dtype=np.uint8))) for epoch in (1, 2, 5)]
    moving, still = animation(pictures)
    with Image.open(BytesIO(moving)) as movie:
        assert movie.n_frames == 3
        for number, (epoch, _) in enumerate(pictures):
            movie.seek(number)
            assert np.asarray(movie)[:40].mean() == 20 * epoch
        assert np.array_equal(np.asarray(movie), np.asarray(Image.open(BytesIO(still))))


def test_shares_have_no_more_decimals_than_their_count_bears() -> None:
    assert per_cent(0.03, 100) == "3.0%"
    assert per_cent(0.0097, 10000) == "0.97%"


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
