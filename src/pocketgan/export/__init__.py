"""Models in the formats of other programs: ONNX, a folder for the Hugging Face hub, `torch.export`, one page.

To add a format, write a function and one row of the table here.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import refuse_existing, whole_folder, write_json
from pocketgan.core.terminal import Display
from pocketgan.export.graphs import Equality, Graph, classifier_graph, equality, model_graphs, trial_images
from pocketgan.export.hub import write_hub
from pocketgan.export.page import write_page
from pocketgan.export.tracing import (
    MOST_READ_OTHERWISE,
    answers,
    onnx_model,
    quantised,
    runner,
    traced,
    write_onnx,
    write_program,
)
from pocketgan.models.classifier import Classifier, guide_for
from pocketgan.models.model import Model
from pocketgan.models.saved import holds
from pocketgan.runs.folder import PLAY
from pocketgan.scorecard.card import Scorecard, kept_card

if TYPE_CHECKING:
    import onnx

FORMAT_VERSION = 1
ABOUT = "export.json"


class Exported(NamedTuple):
    """One file, or the hub's folder.

    Attributes
    ----------
    format
        Of the table, such as ``onnx``.
    path
        Where it lies.
    bytes
        Its size.
    seconds
        What making and checking it took.
    check
        How near its answers are to pocketgan's own.
    note
        What else was measured, in words.
    """

    format: str
    path: Path
    bytes: int
    seconds: float
    check: Equality
    note: str = ""

    @property
    def words(self) -> str:
        """What was measured, for people."""
        return self.check.words + (f"; {self.note}" if self.note else "")

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: nothing in it depends on the clock."""
        return {"format": self.format, "bytes": self.bytes, "check": self.check._asdict(), "note": self.note}


@dataclass(frozen=True)
class _Job:
    """What is exported, and where to. `graphs` are none where no format needs them."""

    folder: Path
    model: Model | None
    classifier: Classifier | None
    card: Scorecard | None
    graphs: tuple[Graph, ...]


class Format(NamedTuple):
    """One row of the table of formats."""

    write: Callable[[_Job], Iterator[Exported]]
    extra: str = ""  # of pocketgan's installation
    modules: tuple[str, ...] = ()  # that it needs
    traces: bool = True


def _onnx(job: _Job) -> Iterator[Exported]:
    for graph in job.graphs:
        begin, path = time.perf_counter(), job.folder / "onnx" / f"{graph.name}.onnx"
        model = onnx_model(graph, traced(graph))
        check = write_onnx(graph, model, path)
        yield Exported("onnx", path, path.stat().st_size, time.perf_counter() - begin, check)
        guide = _guide(job) if graph.name == "generator" else None
        if guide is not None:
            yield _int8(graph, model, path.with_name("generator-int8.onnx"), guide)


def _int8(graph: Graph, model: onnx.ModelProto, path: Path, guide: Classifier) -> Exported:
    """The quantised generator, kept where a classifier reads its images as it reads the others."""
    begin = time.perf_counter()
    path.write_bytes(quantised(model).SerializeToString())
    images = answers(graph, runner(path))
    before, after = guide.label(graph.answers), guide.label(images)
    otherwise, size = int((before != after).sum()), path.stat().st_size
    note = f"the guide reads {otherwise} of {len(images):,} images otherwise than unquantised"
    if "label" in graph.inputs:
        asked = graph.inputs["label"]
        right, right_before = int((after == asked).sum()), int((before == asked).sum())
        note += f", {right:,} as asked ({right_before:,} unquantised)"
    if otherwise > MOST_READ_OTHERWISE:
        path.unlink()
        note, size = f"not kept: {note}", 0
    return Exported("onnx", path, size, time.perf_counter() - begin, equality(graph.answers, images), note)


def _guide(job: _Job) -> Classifier | None:
    """A classifier that reads the generator's images: the shipped one, or that of the run."""
    assert job.model is not None, "there is a generator"
    known = guide_for(job.model.shape, job.model.class_names, "cpu")
    fits = job.classifier is not None and job.classifier.shape == job.model.shape
    return job.classifier if known is None and fits else known


def _torch(job: _Job) -> Iterator[Exported]:
    for graph in job.graphs:
        begin, path = time.perf_counter(), job.folder / "torch" / f"{graph.name}.pt2"
        check = write_program(graph, traced(graph), path)
        yield Exported("torch", path, path.stat().st_size, time.perf_counter() - begin, check)


def _hub(job: _Job) -> Iterator[Exported]:
    if job.model is None:
        raise UsageError("--to hub is for generators; a classifier goes --to onnx,torch")
    begin, folder = time.perf_counter(), job.folder / "hub"
    check = write_hub(job.model, job.card, folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    yield Exported("hub", folder, size, time.perf_counter() - begin, check)


def _html(job: _Job) -> Iterator[Exported]:
    if job.model is None:
        raise UsageError("--to html is for generators; a classifier goes --to onnx,torch")
    begin, path = time.perf_counter(), job.folder / "html" / PLAY
    check, note = write_page(job.model, job.card, path)
    yield Exported("html", path, path.stat().st_size, time.perf_counter() - begin, check, note)


# fmt: off
FORMATS: dict[str, Format] = {
    "onnx":  Format(_onnx, "onnx", ("onnx", "onnxscript", "onnxruntime")),
    "hub":   Format(_hub, traces=False),
    "torch": Format(_torch),
    "html":  Format(_html, traces=False),
}
# fmt: on


def export(
    subject: Model | str | Path, out: Path, formats: Sequence[str], *, trust_code: bool = False, quiet: bool = False
) -> list[Exported]:
    """Write a model for other programs, to a folder that appears only when all is there and checked.

    Parameters
    ----------
    subject
        A run folder (its classifier is exported too), a model folder, a classifier's folder, a shipped one's name, or a
        model on the CPU.
    out
        A folder that does not exist yet, or is empty. It gets a folder for each format, and ``export.json``.
    formats
        Names of the table: ``onnx``, ``hub``, ``torch``, ``html``.
    trust_code
        As in `Model.load`.
    quiet
        Show no progress.

    Returns
    -------
    list[Exported]
        Each file, with its check; of what was not kept, `bytes` is 0.

    Raises
    ------
    UsageError
        Something is at `out`; a format is unknown, needs an extra that is not installed, or cannot hold this model.
    PocketganError
        A network cannot be traced, a file does not give what pocketgan gives, or the disk is full.
    """
    names = list(dict.fromkeys(formats))
    _check(names)
    refuse_existing(out)
    model, classifier = _networks(subject, trust_code)
    graphs: list[Graph] = []
    with Display(quiet).bar(f"exporting to {', '.join(names)}", len(names)) as bar, whole_folder(out) as folder:
        if any(FORMATS[name].traces for name in names):
            graphs = model_graphs(model) if model is not None else []
            if classifier is not None:
                own = graphs[0].answers if model is not None and classifier.shape == model.shape else None
                graphs.append(classifier_graph(classifier, trial_images(classifier) if own is None else own))
        card = kept_card(subject) if isinstance(subject, str | Path) else None
        job = _Job(folder, model, classifier, card, tuple(graphs))
        made = []
        for number, name in enumerate(names):
            bar.update(number, name)
            (folder / name).mkdir()
            made += list(FORMATS[name].write(job))
        files = [one.facts | {"path": one.path.relative_to(folder).as_posix()} for one in made]
        write_json(folder / ABOUT, {"format_version": FORMAT_VERSION, "files": files})
    return [one._replace(path=out / one.path.relative_to(folder)) for one in made]


def _check(names: list[str]) -> None:
    if not names:
        raise UsageError(f"--to names no format; known: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"--to {name} is unknown{nearest(name, FORMATS)}")
        row = FORMATS[name]
        for module in row.modules:
            if importlib.util.find_spec(module) is None:
                raise UsageError(
                    f"--to {name} needs {module}: pip install '.[{row.extra}]' in pocketgan's source folder"
                )


def _networks(subject: Model | str | Path, trust_code: bool) -> tuple[Model | None, Classifier | None]:
    """The model, the classifier or both, that lie at a path."""
    if isinstance(subject, Model):
        if subject.device.type != "cpu":
            raise UsageError("models are exported from the CPU; load it with device='cpu'")
        return subject, None
    has_classifier = holds(subject, "classifier")
    if has_classifier and not holds(subject, "model"):
        return None, Classifier.load(subject, "cpu")
    classifier = Classifier.load(subject, "cpu") if has_classifier else None
    return Model.load(subject, "cpu", trust_code=trust_code), classifier
