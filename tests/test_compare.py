"""Scorecards side by side: a difference is called where the intervals allow it, and only what compares is compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ended
from pocketgan.api import compare
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.metrics.labels import wilson_interval
from pocketgan.report.comparison import write_comparison_page
from pocketgan.report.scorecard import GROUPS
from pocketgan.scorecard.card import CARD, FaultFacts, Interval, Score, Scorecard, SetFacts
from pocketgan.scorecard.comparison import Comparison, Entry, best_group, compare_cards, compare_subjects
from pocketgan.scorecard.figures import METRICS, Figure, protocol_name, saturated
from pocketgan.scorecard.listing import MAIN, leaderboard, print_comparison

FLOOR = Interval(value=0.5, low=0.49, high=0.51)


def score(metric: str, value: float, half: float = 0.01, floor: Interval = FLOOR) -> Score:
    figure = Figure(value, value - half, value + half)
    at_floor = saturated(metric, figure, Figure(floor.value, floor.low, floor.high))
    return Score(metric=metric, floor=floor, saturated=at_floor, **figure.as_dict())


def make_card(name: str = "pocket", count: int = 2000, without: tuple[str, ...] = (), **values: float) -> Scorecard:
    """A scorecard with all metrics but some, 0.6 where no value is given; fault and verdict tell the name."""
    scores = {metric: score(metric, values.get(metric, 0.6)) for metric in METRICS if metric not in without}
    return Scorecard(
        subject=SetFacts(name=name, digest="ab" * 32, count=count),
        made_by={},
        labels="given",
        reference=SetFacts(name="mnist/test", digest="01" * 32, count=10_000),
        training=SetFacts(name="mnist/train", digest="02" * 32, count=60_000),
        floor=SetFacts(name="mnist/val", digest="03" * 32, count=count),
        judge={"version": "mnist-1", "digest": "04" * 32},
        metrics={protocol_name(metric, count): one for metric, one in scores.items()},
        classes=[],
        confusion=None,
        reference_copies=0.0,
        distinct=count,
        faults=[FaultFacts(fault="unreal", metric="precision", text=f"{name} is odd")],
        verdict=f"{name} is odd.",
    )


def entries(*cards: Scorecard) -> list[Entry]:
    return [Entry(f"runs/{number}", card) for number, card in enumerate(cards)]


def store(folder: Path, card: Scorecard) -> Path:
    folder.mkdir(parents=True)
    (folder / CARD).write_text(card.model_dump_json(), encoding="utf-8")
    return folder


figures = st.tuples(st.floats(1, 50), st.floats(0.01, 10))


@given(st.lists(figures, min_size=2, max_size=6))
def test_the_best_group_is_what_a_difference_of_two_intervals_cannot_rule_out(
    values: list[tuple[float, float]],
) -> None:
    scores = [score("fd_judge", value, half, Interval(value=0, low=0, high=0)) for value, half in values]
    best = min(scores, key=lambda one: (one.value, one.high))
    half_best = best.value - best.low
    wanted = [
        one.saturated or (one.value - best.value) ** 2 <= half_best**2 + (one.high - one.value) ** 2 for one in scores
    ]
    assert best_group(scores) == wanted
    assert best_group(scores[::-1]) == wanted[::-1]


def test_shares_are_told_apart_as_newcombe_did() -> None:
    """His example: 56 of 70 against 48 of 80 differ by 0.2, with 0.0524 to 0.3339 by method 10 (1998, table II)."""

    def share(errors: int, count: int, moved: float = 0.0) -> Score:
        low, high = (end + moved for end in wilson_interval(errors, count))
        floor = Interval(value=0, low=0, high=0)
        return Score(
            metric="label_error", floor=floor, saturated=False, value=errors / count + moved, low=low, high=high
        )

    assert best_group([share(56, 70, -0.0523), share(48, 80)]) == [False, True]
    assert best_group([share(56, 70, -0.0525), share(48, 80)]) == [True, True]


@given(st.lists(st.tuples(st.floats(1, 50), st.floats(0.01, 10), st.floats(0.01, 10)), min_size=2, max_size=5))
def test_less_or_more_or_near_are_mirrors_of_each_other(values: list[tuple[float, float, float]]) -> None:
    """Uneven intervals: below the floor, or where more is better, what was the lower side is the upper one."""

    def scores(metric: str, sign: int) -> list[Score]:
        floor = Interval(value=0, low=0, high=0)
        rows = []
        for value, below, above in values:
            ends = sorted((sign * (value - below), sign * (value + above)))
            rows.append(
                Score(metric=metric, floor=floor, saturated=False, value=sign * value, low=ends[0], high=ends[1])
            )
        return rows

    lower = best_group(scores("fd_judge", 1))
    assert lower == best_group(scores("recall", -1))
    assert lower == best_group(scores("diversity", 1))
    assert lower == best_group(scores("diversity", -1))


def test_where_near_is_better_the_distance_to_the_floor_decides() -> None:
    values = (0.8, 1.2, 1.25, 0.7)
    floor = Interval(value=1.0, low=0.95, high=1.05)
    scores = [score("diversity", value, 0.01, floor) for value in values]
    assert best_group(scores) == [True, True, False, False]


def test_to_lie_beyond_real_images_is_no_merit() -> None:
    floor = Interval(value=0.1, low=0.09, high=0.11)
    scores = [score("copy_share", value, 0.001, floor) for value in (0.0, 0.05, 0.1, 0.5)]
    assert [one.saturated for one in scores] == [True, True, True, False]
    assert best_group(scores) == [True, True, True, False]


def test_what_was_not_measured_takes_no_part() -> None:
    assert best_group([None, score("recall", 0.2), None]) == [False, True, False]
    comparison = compare_cards(entries(make_card("a", without=("label_error",)), make_card("b", label_error=0.9)))
    places = comparison.metrics["label_error_2k"].places
    assert places[0] is None
    assert places[1] is not None
    assert places[1].best


def other(card: Scorecard, field: str) -> Scorecard:
    if field == "judge":
        return card.model_copy(update={"judge": {"version": "own-99", "digest": "99" * 32}})
    if field == "N":
        return make_card(count=500)
    return card.model_copy(update={field: SetFacts(name="mine", digest="99" * 32, count=10_000)})


@pytest.mark.parametrize(
    ("field", "told"), [("judge", "own-99"), ("reference", "mine"), ("N", "2,000 .* 500"), ("floor", "mine")]
)
def test_cards_of_different_kinds_do_not_compare(field: str, told: str) -> None:
    card = make_card()
    with pytest.raises(UsageError, match=told) as caught:
        compare_cards(entries(card, card, other(card, field)))
    assert "runs/1" in str(caught.value)
    assert "runs/2" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_subject_is_not_enough() -> None:
    with pytest.raises(UsageError, match="two subjects"):
        compare("anything")


def test_subjects_of_one_name_are_told_apart() -> None:
    def names(*sources: str) -> list[str]:
        return [one.name for one in compare_cards([Entry(source, make_card()) for source in sources]).subjects]

    assert names("runs/a", "runs/b") == ["a", "b"]
    assert names("one/a", "two/a") == ["one/a", "two/a"]
    assert len(set(names("one/a", "one/a"))) == 2
    seeds = [make_card().model_copy(update={"made_by": {"recipe": "mlp", "seed": seed}}) for seed in (0, 1)]
    assert [one.name for one in compare_cards(entries(*seeds)).subjects] == ["mlp, seed 0", "mlp, seed 1"]


def test_runs_and_folders_are_taken_as_they_were_scored(tmp_path: Path) -> None:
    run = store(tmp_path / "run/scorecard", make_card("a", fd_judge=0.9)).parent
    folder = store(tmp_path / "folder", make_card("b", fd_judge=0.7))
    comparison = compare(run, str(folder), out=tmp_path / "out")
    assert [place and place.best for place in comparison.metrics["fd_judge_2k"].places] == [False, True]
    content = json.loads((tmp_path / "out/comparison.json").read_text(encoding="utf-8"))
    assert Comparison.model_validate(content) == comparison
    assert (tmp_path / "out/comparison.html").is_file()
    with pytest.raises(UsageError, match="out"):
        compare(run, folder, out=tmp_path / "out")


def test_what_has_no_scorecard_is_scored(tmp_path: Path, digits: ImageSet) -> None:
    asked: list[object] = []

    def scored(subject: object) -> Scorecard:
        asked.append(subject)
        return make_card("new", count=500)

    folder = store(tmp_path / "folder", make_card("b", count=500))
    comparison = compare_subjects([folder, digits], scored)
    assert asked == [digits]
    assert [one.name for one in comparison.subjects] == ["b", "new"]


def test_what_is_scored_now_is_scored_as_asked(tmp_path: Path, digits: ImageSet) -> None:
    folder = store(tmp_path / "folder", make_card("b"))
    with pytest.raises(UsageError, match=r"40 images would be scored, and at least \d+ are needed"):
        compare(folder, digits, count=40, quiet=True)
    with pytest.raises(UsageError, match="--split train must be"):
        compare(folder, digits, split="train", quiet=True)
    with pytest.raises(UsageError, match="nowhere"):
        compare(folder, digits, judge=tmp_path / "nowhere", quiet=True)


def test_scorecards_that_do_not_compare_are_refused_before_anything_is_scored(tmp_path: Path, digits: ImageSet) -> None:
    folders = [store(tmp_path / str(count), make_card(count=count)) for count in (500, 2000)]
    with pytest.raises(UsageError, match="--count"):
        compare_subjects([digits, *folders], lambda subject: pytest.fail("scored"))


@pytest.mark.parametrize("content", ["{", '{"format_version": 99}', '{"format_version": 1, "subject": 3}'])
def test_a_damaged_scorecard_is_named(tmp_path: Path, content: str) -> None:
    folders = [store(tmp_path / name, make_card(name)) for name in "ab"]
    (folders[1] / CARD).write_text(content, encoding="utf-8")
    with pytest.raises(PocketganError, match=re.escape(str(folders[1] / CARD))) as caught:
        compare(*folders, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_page_tells_all_and_loads_nothing(tmp_path: Path) -> None:
    cards = [make_card("<b>one</b>", fd_judge=0.7), make_card("two", fd_judge=0.9, without=("label_error",))]
    comparison = compare_cards(entries(*cards))
    page = write_comparison_page(comparison, tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(f"<b>{name}</b>" in page for name in comparison.metrics)
    assert "&lt;b&gt;one&lt;/b&gt; is odd." in page
    assert "<b>one</b>" not in page
    assert page.count('class="rivals"') == len(METRICS)
    assert page.count("<svg") == 2 * len(METRICS) - 1
    block = page.split("<b>fd_judge_2k</b>")[1].split("</table>")[0]
    assert block.index('<tr class="best">') < block.index("0.7000") < block.index("0.9000")
    assert block.count('class="best"') == 1
    assert not re.search(r"<script|<link rel=\"stylesheet|<iframe|src=\"(?!data:)|url\(|@import|https?://", page)


def test_every_metric_has_one_place_on_the_pages() -> None:
    grouped = [metric for metrics in GROUPS.values() for metric in metrics]
    assert sorted(grouped) == sorted(METRICS)


def test_the_leaderboard_puts_each_figure_under_its_name_and_the_nearest_first() -> None:
    values = {metric: 0.51 + place / 100 for place, metric in enumerate(MAIN)}
    far, near = make_card("far | off", fd_judge=5.0), make_card("near", **values | {"fd_judge": 0.7})
    lines = leaderboard(compare_cards(entries(far, near))).splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    heads, _, real, first, second = rows
    assert all(len(row) == len(heads) for row in rows)
    assert [first[0], second[0]] == ["near", r"far \| off"]
    for metric, value in (values | {"fd_judge": 0.7}).items():
        shown = f"{100 * value:.2f}%" if METRICS[metric].per_cent else f"{value:.4f}"
        assert shown in first[heads.index(f"`{protocol_name(metric, 2000)}`")]
    assert real[0] == "*real images*"
    assert first[heads.index("`fd_judge_2k`")].startswith("**")
    assert not second[heads.index("`fd_judge_2k`")].startswith("**")
    assert first[-1] == "near is odd."
    assert "N = 2,000" in lines[-1]
    assert "mnist-1" in lines[-1]


def test_markdown_keeps_what_stands_above_its_table(tmp_path: Path) -> None:
    first, second = (store(tmp_path / name, make_card(name)) for name in ("first", "second"))
    page = tmp_path / "board.md"
    assert ended("compare", first, second, "--markdown", page) == 0
    made = page.read_bytes()
    assert made.startswith(b"# Leaderboard\n\n<!-- ")
    page.write_bytes(made.replace(b"Leaderboard\n", b"Ours \xff\r\n").replace(b"first is odd.", b"old"))
    assert ended("compare", first, second, "--markdown", page) == 0
    assert page.read_bytes() == made.replace(b"Leaderboard\n", b"Ours \xff\r\n")


def test_markdown_writes_over_no_other_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "README.md"
    page.write_text("mine")
    assert ended("compare", "no-such-run", "nor-this", "--markdown", page) == 2
    assert f"{page} was not made by --markdown" in capsys.readouterr().err
    assert page.read_text() == "mine"


@pytest.mark.parametrize("many", [2, 5])
def test_the_screen_shows_each_subject_with_its_verdict(many: int, capsys: pytest.CaptureFixture[str]) -> None:
    cards = [make_card(f"model-{number}", fd_judge=0.6 + number) for number in range(many)]
    print_comparison(compare_cards(entries(*cards)))
    text = capsys.readouterr().out
    assert all(f"model-{number}: model-{number} is odd." in text for number in range(many))
    assert "0.6000 *" in text
    assert "1.600 *" not in text
    assert ("faults" in text) == (many == 5)
    assert ("offset_down_2k" in text) == (many == 2)
    assert "…" not in text
