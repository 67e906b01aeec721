"""Whatever a public function is given in Python: it works, or it says in one line of our own what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pocketgan as pg
from pocketgan.core.arguments import checked
from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.data.image_set import ImageSet, as_bytes
from pocketgan.models.classifier import Classifier
from pocketgan.models.judge import Judge
from pocketgan.models.model import Model

LONG = "x" * 300
ODD: list[Any] = [
    *(None, True, -1, 0, 10**30, -(2**70), 3.5, float("nan"), float("inf"), 1 + 2j),
    *("", "7", "é\n", "\0", "\ud800", LONG, "~nobody-of-this-name/x", "../..", b"bytes", Path("no") / "such"),
    *([], [1, 2], ["a", 3], (), {}, {"a": 1}, {1: 2}, {"x"}, object(), len, int, slice(1)),
    *(np.int64(7), np.float32(0.5), np.array([]), np.zeros((2, 28, 28)), np.zeros((2, 1, 28, 28), np.uint8)),
    *(np.array(["a"]), np.array([None], object), torch.tensor(5), torch.zeros(0), torch.zeros(2, 1, 28, 28)),
    *(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.zeros(2, 3, 9, 9, dtype=torch.uint8)),
    *(torch.full((2, 64), float("nan")), torch.zeros(2, 64, dtype=torch.complex64), torch.ones(3, dtype=torch.bool)),
]
FUNCTIONS = {name: getattr(pg, name) for name in pg.__all__ if inspect.isfunction(getattr(pg, name))}


@contextmanager
def ours() -> Iterator[None]:
    """Only errors of our own may come out, each one line."""
    try:
        yield
    except PocketganError as error:
        told = str(error)
    else:
        return
    assert told, "an error says something"
    assert "\n" not in told


@pytest.fixture(scope="module")
def guide() -> Classifier:
    return pg.Classifier.load("guide", "cpu")


@pytest.fixture(scope="module")
def digits_model() -> Model:
    return pg.load("digits", "cpu")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pocketgan.core.process._command_line", [])  # else processes= starts another test's
    return tmp_path


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"doctor", "list_datasets"}))
def test_each_parameter_takes_or_refuses_anything(name: str, elsewhere: Path) -> None:
    """Every function with each odd value in each of its places, beside the name of something that is not there."""
    function = FUNCTIONS[name]
    parameters = inspect.signature(function).parameters.values()
    places = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    several = [one for one in parameters if one.kind is one.VAR_POSITIONAL]
    needed = {one.name: "not-there" for one in places if one.default is one.empty}
    trains = name in ("train", "run", "train_classifier", "train_judge")
    if trains:
        needed |= {"data": "not-there"}
    if name == "list_recipes":
        needed |= {"quick": True}
    if name == "export_model":
        needed |= {"to": ["no-such-format"]}
    if name in ("gan_recipe", "classifier_recipe"):
        needed |= {"start": "no-such-recipe"}
    for one in places:
        for value in ODD:
            if trains and one.name == "data" and value is None:
                continue  # it would train on MNIST
            if trains and one.name == "data" and getattr(value, "ndim", 0) == 4 and "uint8" in str(value.dtype):
                continue  # it would train on these
            with ours():
                function(**{**needed, one.name: value})
    first = [needed.pop(one.name) for one in places if one.kind is one.POSITIONAL_OR_KEYWORD and one.name in needed]
    for value in ODD if several else []:
        with ours():
            function(*first, value, "not-there", **needed)


ANYTHING = st.sampled_from(ODD)


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_methods_take_or_refuse_anything(guide: Classifier, digits_model: Model, data: st.DataObject) -> None:
    judge = Judge.load("judge", "cpu")
    images = ImageSet(torch.zeros(3, 1, 28, 28, dtype=torch.uint8))
    some = lambda: data.draw(ANYTHING)  # noqa: E731
    calls: dict[str, Callable[[], Any]] = {
        "sample": lambda: digits_model.sample(some()),
        "sample label": lambda: digits_model.sample(1, label=some(), exact=False),
        "sample seed": lambda: digits_model.sample(1, seed=some(), start=some(), exact=False),
        "sample method": lambda: digits_model.sample(1, method=some(), checked=some(), moves=some(), balanced=some()),
        "class index": lambda: digits_model.class_index(some(), some()),
        "stream": lambda: next(iter(digits_model.stream(some(), some(), seed=some(), start=some(), exact=False))),
        "images": lambda: digits_model.images(some(), some(), exact=False),
        "load": lambda: Model.load(some(), some(), trust_code=some(), classes=some()),
        "label": lambda: guide.label(some()),
        "probabilities": lambda: guide.probabilities(some()),
        "load classifier": lambda: Classifier.load(some(), some()),
        "judge": lambda: Judge(some()),
        "load judge": lambda: Judge.load(some(), some()),
        "read": lambda: judge.read(some(), some()),
        "read kept": lambda: judge.read_kept(some()),
        "took part": lambda: judge.refuse_if_took_part(some(), some()),
        "set": lambda: ImageSet(some(), some(), some()),
        "set of labels": lambda: ImageSet(images.images, some(), some()),
        "rows": lambda: images.rows(some()),
    }
    with ours():
        calls[data.draw(st.sampled_from(sorted(calls)))]()


def test_unknown_keywords_are_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        pg.load("digits", colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 1 required"):
        pg.load()  # type: ignore[call-arg]


def test_classifiers_read_bytes_alone(guide: Classifier, digits: ImageSet) -> None:
    few = digits.rows(torch.arange(20))
    expected = guide.label(few.images)
    for same in (few, few.images.numpy(), few.images[:, 0], few.images[:, 0].numpy(), list(few.images)):
        assert torch.equal(guide.label(same), expected)
    scaled = few.images.float() / few.images.max()
    for wrong, told in ((scaled, "float32"), (scaled.numpy(), "float32"), (few.images.long(), "int64")):
        with pytest.raises(UsageError, match=rf"must be bytes \(uint8, 0 to 255\), not {told}"):
            guide.label(wrong)
    with pytest.raises(UsageError, match=r"\[N, 1, 28, 28\], not \[1, 28, 28, 1\]"):
        guide.label(few.images[0].unsqueeze(-1))
    assert guide.label(few.images[:0]).shape == (0,)


def test_samples_are_asked_for_as_a_person_would(digits_model: Model) -> None:
    asked = digits_model.sample(3, label="7", seed=1)
    for label in (7, np.int64(7), torch.tensor(7)):
        same = digits_model.sample(np.int64(3), label=label, seed=np.uint8(1))  # type: ignore[arg-type]
        assert torch.equal(same.images, asked.images)
    for wrong, told in (
        ({"label": [1, 2]}, r"label must be a whole number or text, not \[1, 2\]"),
        ({"label": 7.0}, "label must be a whole number or text, not 7.0"),
        ({"seed": None}, "seed must be a whole number, not None"),
        ({"seed": -1}, "seed: -1 must lie between"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"count": 10**9}, "do not fit in memory"),
        ({"start": -5}, "start -5 is too small"),
    ):
        with pytest.raises(UsageError, match=told):
            digits_model.sample(**{"count": 3, **wrong})  # type: ignore[arg-type]


def test_image_sets_are_made_of_what_people_have(digits: ImageSet) -> None:
    few = digits.rows(torch.arange(9))
    assert few.labels is not None
    plain = ImageSet(few.images.numpy(), few.labels.tolist())  # type: ignore[arg-type]
    assert plain.class_names == tuple(map(str, range(int(few.labels.max()) + 1)))
    assert torch.equal(plain.labels, few.labels)  # type: ignore[arg-type]
    assert plain.digest == few.digest
    assert ImageSet(few.images, few.labels, list("abcdefghij")).class_names[9] == "j"  # type: ignore[arg-type]
    for index in ([0, 2], np.array([0, 2]), torch.tensor([0, 2]), [True, False, True] + [False] * 6):
        assert torch.equal(few.rows(index).images, few.images[[0, 2]])
    assert torch.equal(few.rows([-1]).images, few.images[8:])
    with pytest.raises(UsageError, match="row 9 is not there"):
        few.rows([0, 9])
    with pytest.raises(UsageError, match="9 whole numbers"):
        replace(few, labels=[0.5] * 9)
    with pytest.raises(UsageError, match="not list"):
        as_bytes([[1, 2], [3]])


def test_the_check_reads_the_signature() -> None:
    @checked
    def function(a: int, *rest: str, b: float | None = None, words: Sequence[str] = (), **more: Any) -> Any:
        return a, rest, b, words, more

    assert function(np.int32(2), "x", b=np.float64(0.5), words="one", other=object)[:4] == (2, ("x",), 0.5, ("one",))
    with pytest.raises(UsageError, match=r"a must be a whole number, not 2\.0"):
        function(2.0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="rest must be text, not 5"):
        function(1, 5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="b must be a finite number, not nan"):
        function(1, b=float("nan"))
    with pytest.raises(UsageError, match=r"words must be a list of texts, not \[1\]"):
        function(1, words=[1])
