"""What the files of a run hold: one frozen model for each, by which they are written and read. Imports no torch.

A field that was not given is not written, so that a file holds what its writer knew. A field that a reader does not
know is passed over, and one that an older version did not write has a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError, model_validator

from pocketgan.core.config import complaint
from pocketgan.core.errors import PocketganError
from pocketgan.recipes import ClassifierRecipe, Recipe


class Record(BaseModel):
    """A file, a line of one, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def as_json(self) -> dict[str, Any]:
        """What is written: the fields that were given, in the order of their declaration."""
        return self.model_dump(mode="json", exclude_unset=True)


RecordT = TypeVar("RecordT", bound=Record)


def checked(kind: type[RecordT], content: object, path: Path) -> RecordT:
    """Content as the facts that it should be.

    Raises
    ------
    PocketganError
        It is something else; the line names the file and the field.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise PocketganError(f"{path}, {complaint(error)}; it was changed by hand, make it again") from error


# ---- events.jsonl: what is a function of recipe and seed ------------------------------------------------------------


class StartEvent(Record):
    """The first line."""

    event: Literal["start"] = "start"
    nimg: int = 0
    recipe: str
    seed: int
    total_nimg: int  # the budget
    images: int  # learned from
    data: str  # their digest
    start_from: str | None = None  # digest of the weights that it began with, where they were another model's
    lengths: dict[str, float] | None = None  # of those weights: what the health watch measures growth by
    took_part: tuple[str, ...] = ()  # digests of the classifiers that selected that model


class EpochEvent(Record):
    """The end of an epoch, with its mean losses; null where a loss was no number."""

    event: Literal["epoch"] = "epoch"
    epoch: int
    nimg: int = 0
    loss_d: float | None = None
    loss_g: float | None = None
    r1: float | None = None  # gamma, where it follows the discriminator's loss


class TroubleEvent(Record):
    """What the health watch saw: a warning, or what stopped the training."""

    event: Literal["warning", "trouble"]
    nimg: int
    kind: str
    words: str


class RollbackEvent(Record):
    """A return to the last good checkpoint after trouble."""

    event: Literal["rollback"] = "rollback"
    nimg: int  # of the checkpoint
    kind: str
    words: str
    from_nimg: int  # where the trouble was


class InexactEvent(Record):
    """A resume where the result cannot be bit for bit that of an uninterrupted run."""

    event: Literal["inexact"] = "inexact"
    nimg: int
    changed: list[str]


class BudgetEvent(Record):
    """Another budget for a training that was stopped or had ended."""

    event: Literal["budget"] = "budget"
    nimg: int  # from where it holds
    old_total_nimg: int
    total_nimg: int


class FinishEvent(Record):
    """The last line of a training that ended."""

    event: Literal["finish"] = "finish"
    nimg: int
    reason: str  # budget, or until good


class OtherEvent(Record):
    """An event that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="allow")

    event: str = ""
    nimg: int = 0


def _kind_of(event: object) -> str:
    kind = event.get("event") if isinstance(event, dict) else getattr(event, "event", None)
    return kind if isinstance(kind, str) and kind in KINDS else "other"


KINDS = ("start", "epoch", "warning", "trouble", "rollback", "inexact", "budget", "finish")
Event = Annotated[
    Annotated[StartEvent, Tag("start")]
    | Annotated[EpochEvent, Tag("epoch")]
    | Annotated[TroubleEvent, Tag("warning")]
    | Annotated[TroubleEvent, Tag("trouble")]
    | Annotated[RollbackEvent, Tag("rollback")]
    | Annotated[InexactEvent, Tag("inexact")]
    | Annotated[BudgetEvent, Tag("budget")]
    | Annotated[FinishEvent, Tag("finish")]
    | Annotated[OtherEvent, Tag("other")],
    Discriminator(_kind_of),
]

# ---- timings.jsonl: what depends on the clock -----------------------------------------------------------------------


class Timing(Record):
    """What the training has cost so far, at the end of an epoch."""

    epoch: int = 0
    nimg: int = 0
    seconds: float | None = None  # of training, checkpoints and samples not counted
    images_per_second: float | None = None
    peak_memory_mb: int | float | None = None


# ---- model.json -----------------------------------------------------------------------------------------------------


class DataFacts(Record):
    """Which images a network learned from."""

    name: str = "unknown images"
    split: str = "all"
    count: int = 0
    digest: str = ""
    provenance: dict[str, str] = {}


class MadeWith(Record):
    """Versions and machine."""

    pocketgan: str = ""
    torch: str = ""
    python: str = ""
    machine: str = ""
    device: str = ""
    threads: int = 0


class Rate(Record):
    """How many of `count` images were read wrongly. All shares are fractions; the interval is Wilson's, of 95 %."""

    name: str = ""  # of the images
    errors: int
    count: int
    error: float
    low: float
    high: float
    classifier: str = ""  # who read them
    data: str = ""  # what was counted
    labels_from: str = ""  # whose labels decided


class PairFacts(Record):
    """What a pair of networks learned from and was made with."""

    command: str | None = None  # that makes it again
    nimg: int = 0
    weights: str = "live"  # or "ema", or "imported"
    parameters: dict[str, int] = {}  # by network
    data: DataFacts = DataFacts()
    took_part: tuple[str, ...] = ()  # digests of the classifiers that selected: no judge may be among them
    made_with: MadeWith = MadeWith()
    imported: dict[str, str] = {}  # the sha256 of the file that a network came from, by network
    stand_in: Literal["generator", "discriminator"] | None = None  # whose layers are invented: its file may still come
    stored_precision: str | None = None


class ClassifierEpoch(Record):
    """One epoch of a classifier; means over it."""

    epoch: int
    loss: float | None = None
    accuracy: float | None = None  # a fraction


class ClassifierFacts(Record):
    """What a classifier learned from and was made with, and its error."""

    parameters: int | dict[str, int] = 0
    data: DataFacts = DataFacts()
    made_with: MadeWith = MadeWith()
    epochs: list[ClassifierEpoch] = []
    train_seconds: float | None = None
    test: Rate | None = None  # counted once, after the last epoch
    val: Rate | None = None
    imported: dict[str, str] = {}


class PairFile(PairFacts):
    """`model.json` of a pair."""

    recipe: Recipe
    shape: tuple[int, int, int]  # channels, height, width
    class_names: tuple[str, ...]
    sha256: dict[str, str]  # of the files beside it

    @property
    def facts(self) -> PairFacts:
        """What it says beside how the networks are built."""
        return PairFacts.model_validate(self.model_dump(include=set(PairFacts.model_fields), exclude_unset=True))


class ClassifierFile(ClassifierFacts):
    """`model.json` of a classifier."""

    recipe: ClassifierRecipe
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    sha256: dict[str, str]

    @property
    def facts(self) -> ClassifierFacts:
        """What it says beside how the network is built."""
        kept = set(ClassifierFacts.model_fields)
        return ClassifierFacts.model_validate(self.model_dump(include=kept, exclude_unset=True))


# ---- scores.json and summary.json -----------------------------------------------------------------------------------


class Unsure(Record):
    """One fake that C is not sure of."""

    file: str  # from the run folder
    label: int | None = None
    read_as: int
    confidence: float  # of C in what it reads, a fraction


class Scores(Record):
    """`scores.json`: the errors of C on real images and on fakes. Nothing but the version where there are no labels."""

    format_version: Literal[1] = 1
    s0: Rate | None = None
    s1_10k: Rate | None = None
    label_counts: list[int] | None = None  # of the run's fakes, as C reads them
    label_counts_10k: list[int] | None = None
    confusion_real: list[list[int]] | None = None  # label by reading
    confusion: list[list[int]] | None = None
    least_sure: list[Unsure] | None = None
    s1: Rate | None = None  # none where a person took all labels away

    def as_json(self) -> dict[str, Any]:
        """What is written, the version included."""
        return {"format_version": self.format_version, **super().as_json()}


class Summary(Record):
    """`summary.json`: the main numbers, flat; without those that were not counted."""

    format_version: Literal[1] = 1
    recipe: str = ""
    seed: int = 0
    nimg: int = 0
    train_seconds: float | None = None
    images_per_second: float | None = None
    peak_memory_mb: int | float | None = None
    parameters: dict[str, int] = {}
    made_with: MadeWith = MadeWith()  # its fields stand among the others in the file, as do
    metrics: dict[str, float] = {}  # those of the scorecard, by names with their protocol
    verdict: str | None = None
    judge: str | None = None  # its version
    s0_error: float | None = None
    s0_interval: list[float] | None = None
    s0_counted: str | None = None
    s1_error: float | None = None
    s1_interval: list[float] | None = None
    s1_counted: str | None = None
    s1_error_10k: float | None = None
    s1_interval_10k: list[float] | None = None
    s1_counted_10k: str | None = None
    s1_label_source: str | None = None
    s1_10k_label_source: str | None = None
    label_counts: list[int] | None = None
    label_counts_10k: list[int] | None = None
    classifier: str | None = None
    class_names: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _grouped(cls, content: Any) -> Any:
        """Put what is flat in the file where it belongs; numbers that no field knows are metrics."""
        if not isinstance(content, dict) or "made_with" in content:
            return content
        machine = {name: value for name, value in content.items() if name in MadeWith.model_fields}
        known = {name: value for name, value in content.items() if name in cls.model_fields}
        numbers = {
            name: value
            for name, value in content.items()
            if name not in {**machine, **known} and isinstance(value, int | float)
        }
        return {**known, "made_with": machine, "metrics": numbers}

    def as_json(self) -> dict[str, Any]:
        """What is written, flat."""
        flat: dict[str, Any] = {"format_version": self.format_version}
        for name, value in super().as_json().items():
            flat |= value if name in ("made_with", "metrics") else {name: value}
        return flat
