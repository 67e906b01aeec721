"""Who listens to a training: what it shows, logs, draws, watches and saves.

The loop yields milestones and knows none of this. A new listener is one class and one row of `LISTENERS`; the training
stays as it is.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from pocketgan.core.errors import UsageError, nearest
from pocketgan.core.files import write_bytes
from pocketgan.core.pixels import grid, to_png
from pocketgan.core.process import Crowding, Stop, peak_memory_mb
from pocketgan.core.terminal import Bar, Display
from pocketgan.data.image_set import ImageSet, Samples
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.recipes import Recipe
from pocketgan.runs.facts import EpochEvent, Timing, TroubleEvent
from pocketgan.runs.folder import RunFolder
from pocketgan.training.channel import CURVE_POINTS, Allowance, Asked, Channel, Curve, Point, Viewer
from pocketgan.training.checkpoint import save_checkpoint, state_digest
from pocketgan.training.health import GUIDED_SAMPLES, Goodness, Policy, Watch
from pocketgan.training.loop import Milestone
from pocketgan.training.processes import processes
from pocketgan.training.shown import Judged
from pocketgan.training.starting import Start
from pocketgan.training.state import TrainState
from pocketgan.training.trouble import REMEDIES, FiniteCheck, Trouble, TroubleError

SAMPLES = 100  # in a sample grid, always of the same latents
COLUMNS = 10  # of such a grid
CHECKPOINT_SECONDS = 10.0  # at most this much training, and the step that runs then, is lost with a kill

# of the live channel
TOLD_SHARE, DRAWN_SHARE = 0.004, 0.012  # of the training's time that its numbers and its pictures may take
TOLD_SECONDS, DRAWN_SECONDS = 0.1, 0.5  # from one to the next at least; the second as long as no other rate is asked
POLL_SECONDS, HELD_SECONDS = 0.05, 0.1  # from one look at who comes and what they ask to the next; in a pause
MARKS = 64  # the last milestones, by which the speed is told
MOST_RATE, MOST_STEPS = 60.0, 1000
COMMANDS = ("go", "pause", "rate", "release", "step", "stop", "take")


@dataclass(frozen=True)
class Setup:
    """One training, as it was asked for."""

    run: RunFolder
    recipe: Recipe  # as it is stored in the run
    data: ImageSet
    device: torch.device
    display: Display
    policy: Policy | None  # on trouble
    tensorboard: bool
    inexact: bool  # it may go on under other versions or threads
    watching: Classifier | None  # the guide that the health watch counts classes with
    choosing: Classifier | None  # the guide that ends the training where the recipe wants one
    start: Start | None = (
        None  # weights to begin with; None where the seed draws them, or they are not at hand any more
    )
    new_budget: bool = False  # it goes on with another budget than before

    @property
    def total(self) -> int:
        """The budget in images."""
        return self.recipe.schedule.total_nimg(len(self.data))

    @property
    def epochs(self) -> int:
        """Epochs that end within the budget, the last of them perhaps early."""
        return (self.total - self.recipe.schedule.batch_size) // len(self.data) + 1


@dataclass
class Training:
    """A training under way, as listeners see it. They read it, and change nothing that is trained."""

    setup: Setup
    state: TrainState
    model: Model  # its networks are the state's own, not copies
    finite: FiniteCheck
    stop: Stop
    losses: list[float] = field(default_factory=lambda: [0.0, 0.0])  # of the last step: discriminator, generator
    saved_at: float = field(default_factory=time.perf_counter)

    @property
    def speed(self) -> float:
        """Images a second, over all of the training."""
        return self.state.nimg / self.state.seconds

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for: this milestone is the last, and what is to be kept must be saved."""
        return self.stop.came is not None

    def samples(self, count: int, *, exact: bool = True) -> Samples:
        """Samples of the generator as it is, always of the same latents; `exact` as in `Model.images`."""
        self.model.generator.eval()
        samples = self.model.sample(count, seed=self.setup.recipe.seed, exact=exact)
        self.state.generator.train()
        return samples

    def save(self) -> None:
        """Write a checkpoint of numbers that are all finite, and the same in all processes."""
        self.finite.everything()
        processes().check(partial(state_digest, self.state))
        save_checkpoint(self.setup.run.checkpoints, self.state)
        self.saved_at = time.perf_counter()


class Listener:
    """Hears of a training; each method does nothing where a listener has nothing to do."""

    def on_start(self, training: Training) -> None:
        """The training begins, goes on, or begins again after a rollback."""

    def wants_milestone(self, training: Training) -> bool:
        """Whether a milestone is wanted after this step, asked after each."""
        return False

    def on_step(self, training: Training) -> None:
        """A step's losses are known. Called after each, so it must cost nothing."""

    def on_milestone(self, training: Training, milestone: Milestone) -> str | None:
        """The training has come to a milestone; a reason to end it here, or None.

        Raises
        ------
        TroubleError
            It must not go on.
        """
        return None

    def on_last(self, training: Training) -> None:
        """The last step is made; the model is not yet written.

        Raises
        ------
        TroubleError
            It must not be.
        """

    def on_end(self, training: Training, reason: str | None) -> None:
        """The training has ended, for a reason; or, without one, was stopped by a signal or an error."""


class Progress(Listener):
    """A bar that moves with each step, and a line at each epoch's end."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.shown, self.bar = setup, ExitStack(), Bar()

    def on_start(self, training: Training) -> None:
        self.shown.close()
        setup = self.setup
        self.bar = self.shown.enter_context(setup.display.bar(f"training {setup.recipe.name}", setup.total))

    def on_step(self, training: Training) -> None:
        self.bar.update(training.state.nimg)

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        losses = f"D {milestone.loss_d:.3f}  G {milestone.loss_g:.3f}"
        if milestone.r1 is not None:
            losses += f"  R1 {milestone.r1:.3g}"
        epoch, speed = f"epoch {milestone.epoch}/{self.setup.epochs}", f"{training.speed:,.0f} images/s"
        self.bar.update(milestone.nimg, f"{epoch}  {speed}  {losses}")
        if milestone.epoch_ended:
            self.bar.line(f"{epoch}  {losses}  {speed}")

    def on_end(self, training: Training, reason: str | None) -> None:
        self.shown.close()


class OtherWork(Listener):
    """Tells where other work on the machine makes several threads slower than one."""

    def __init__(self, setup: Setup) -> None:
        self.display = setup.display
        self.crowding = Crowding(torch.get_num_threads() if setup.device.type == "cpu" else 1)

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if (note := self.crowding.note()) is not None:
            self.display.line(note)


class Numbers(Listener):
    """Sees that all numbers are finite before an epoch's figures and samples are kept."""

    def __init__(self, setup: Setup) -> None:
        pass

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if milestone.epoch_ended:
            training.finite.everything()


class Log(Listener):
    """Writes an epoch's losses, and R1 where it follows them, to the events, and what it cost to the timings."""

    def __init__(self, setup: Setup) -> None:
        self.run = setup.run

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if milestone.epoch_ended:
            self.run.add_event(epoch_event(milestone))
            timing = Timing(
                epoch=milestone.epoch,
                nimg=milestone.nimg,
                seconds=round(training.state.seconds, 3),
                images_per_second=round(training.speed, 1),
                peak_memory_mb=peak_memory_mb(),
            )
            self.run.add_timing(timing)


class Pictures(Listener):
    """Draws sample grids, and gives both them and the losses to TensorBoard where that is asked for."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.board = Board(setup.run) if setup.tensorboard else None

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if not milestone.epoch_ended:
            return
        if self.board is not None:
            event = epoch_event(milestone)
            curves = {"loss_d": event.loss_d, "loss_g": event.loss_g, "r1": event.r1}
            self.board.curves(milestone.nimg, curves)
        every = self.setup.recipe.schedule.sample_every
        if not (milestone.epoch <= 5 or milestone.epoch % every == 0 or milestone.finished):
            return
        samples = training.samples(SAMPLES)
        sheet = grid(samples.images, columns=COLUMNS)
        write_bytes(self.setup.run.sample_file(milestone.epoch), to_png(sheet))
        self.setup.display.picture(samples.images.numpy())
        if self.board is not None:
            self.board.writer.add_image("samples", sheet.numpy(), milestone.nimg)

    def on_end(self, training: Training, reason: str | None) -> None:
        if self.board is not None:
            self.board.writer.close()


class HealthWatch(Listener):
    """Lets the watch look. A warning is given once for each kind of trouble."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        guide = None if setup.watching is None else setup.watching.probabilities
        first = setup.run.start()
        self.watch = Watch(setup.data, setup.recipe, guide, None if first is None else first.lengths)

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if self.watch.due(training.state):
            self._answer(training, self.watch.look(training.state))

    def on_last(self, training: Training) -> None:
        self._answer(training, self.watch.last_look(training.state))

    def _answer(self, training: Training, troubles: list[Trouble]) -> None:
        for trouble in troubles:
            if (self.setup.policy or "warn") != "warn":
                training.save()  # so that the same command can go on with --on-trouble warn
                raise TroubleError(trouble)
            events = self.setup.run.events()
            if trouble.kind not in {e.kind for e in events if isinstance(e, TroubleEvent) and e.event == "warning"}:
                self.setup.display.line(f"warning: {trouble}")
                self.setup.run.add_event(trouble.as_event("warning"))


class Contentment(Listener):
    """Ends the training at the epoch whose samples a guide reads as surely as real images."""

    def __init__(self, setup: Setup) -> None:
        self.display, self.good = setup.display, None
        if setup.choosing is not None:
            self.good = Goodness(setup.choosing.probabilities, setup.data.images)

    def on_milestone(self, training: Training, milestone: Milestone) -> str | None:
        if self.good is None or not milestone.epoch_ended:
            return None
        if self.good.reached(training.samples(GUIDED_SAMPLES).images):
            self.display.line(f"stopped: the guide is satisfied at epoch {milestone.epoch}")
            return "until good"
        if milestone.finished:
            self.display.line("the budget ended before the guide was satisfied")
        return None


class Live(Listener):
    """Tells whoever looks through the live channel how it goes, and pauses, steps and stops as they ask.

    It never waits for a viewer, and with nobody looking it draws nothing. What it tells and draws takes at most
    `TOLD_SHARE` and `DRAWN_SHARE` of the time. Nothing that is trained depends on it: a pause holds between two steps.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.channel, self.curve = Channel(setup.run), Curve()
        self.telling, self.drawing = Allowance(TOLD_SHARE, TOLD_SECONDS), Allowance(DRAWN_SHARE, DRAWN_SECONDS)
        self.fresh: deque[Point] = deque(maxlen=CURVE_POINTS)  # steps that nobody was told of yet
        self.left: int | None = None  # steps until it holds; None while it runs
        self.controller: tuple[Viewer, str] | None = None
        self.polled_at = 0.0
        self.marks: deque[tuple[int, float]] = deque(maxlen=MARKS)  # nimg and seconds, for the speed
        self.health: list[dict[str, Any]] = []
        self.health_size = -1  # of the events' file, when it was read
        self.judged: Judged | None = None

    def on_start(self, training: Training) -> None:
        self.channel.open()
        self.curve.back_to(training.state.nimg)
        self.fresh.clear()
        self.marks.clear()
        self.marks.append((training.state.nimg, training.state.seconds))

    def on_step(self, training: Training) -> None:
        nimg = training.state.nimg + self.setup.recipe.schedule.batch_size
        point = self.curve.add(nimg, *training.losses)
        if self.channel.viewers:
            self.fresh.append(point)
        if self.left:
            self.left -= 1
        now = time.perf_counter()
        if now - self.polled_at >= POLL_SECONDS:
            self.polled_at = now
            self._obey(training, self.channel.poll())

    def wants_milestone(self, training: Training) -> bool:
        if self.left is not None:
            return self.left == 0
        now = time.perf_counter()
        return self.channel.watched and (self.telling.due(now) or self.drawing.due(now))

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        self.marks.append((milestone.nimg, training.state.seconds))
        if self.left == 0 and not milestone.finished and not training.stopping:
            self._hold(training, milestone)
        elif self.channel.watched:
            self._greet(training, milestone)
            began = time.perf_counter()
            if self.telling.due(began) or milestone.finished:
                self._tell(training, milestone)
                self.telling.spent(began, time.perf_counter())
            began = time.perf_counter()
            if self.drawing.due(began) or milestone.finished:
                self.channel.tell(*self._picture(training))
                self.drawing.spent(began, time.perf_counter())

    def on_end(self, training: Training, reason: str | None) -> None:
        self.channel.tell({"type": "end", "reason": reason, "nimg": training.state.nimg})
        self.channel.close()

    def _hold(self, training: Training, milestone: Milestone) -> None:
        """Save, and wait between two steps until somebody wants another one."""
        training.save()
        self.setup.display.line(f"paused and saved at nimg {milestone.nimg}; pocketgan lab lets it go on")
        self._tell(training, milestone)
        if self.channel.watched:
            self.channel.tell(*self._picture(training))
        while self.left == 0 and not training.stopping:
            self._obey(training, self.channel.poll(HELD_SECONDS))
            self._greet(training, milestone)
        self._tell(training, milestone)

    def _obey(self, training: Training, asked: list[Asked]) -> None:
        """Do what viewers ask, and answer each."""
        for viewer, content in asked:
            refused = self._do(training, viewer, content)
            answer = {"type": "answer", "number": content.get("number"), "ok": not refused, "why": refused}
            self.channel.tell(answer, to=viewer)

    def _do(self, training: Training, viewer: Viewer, content: Mapping[str, Any]) -> str:
        """Do what is asked; if not, why not."""
        do, by, steps = content.get("do"), str(content.get("by")), content.get("steps", 1)
        if self.controller is not None and self.controller[0] not in self.channel.viewers:
            self.controller = None
        if do not in COMMANDS:
            return f"{do!r} is no command{nearest(str(do), COMMANDS)}"
        if do == "rate":
            rate = content.get("pictures_per_second")
            if not isinstance(rate, int | float) or not 0 < rate <= MOST_RATE:
                return f"pictures_per_second must lie above 0, and be {MOST_RATE:g} at most"
            self.drawing.seconds = 1 / rate
            return ""
        if do == "release":
            self.controller = None if self.controller == (viewer, by) else self.controller
            return ""
        if do != "take" and self.controller not in (None, (viewer, by)):
            return "somebody else controls this training; take over first"
        if do == "step" and (not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS):
            return f"steps must be a whole number from 1 to {MOST_STEPS}"
        self.controller = viewer, by
        if do == "stop":
            training.stop.ask()
        elif do == "step":
            self.left = (self.left or 0) + int(steps)
        elif do != "take":
            self.left = None if do == "go" else 0
        return ""

    def _greet(self, training: Training, milestone: Milestone) -> None:
        """Tell those who have just come, or who missed something, all that they need."""
        for viewer in [viewer for viewer in self.channel.viewers if viewer.is_new and not viewer.waiting]:
            viewer.is_new = False
            recipe, points = self.setup.recipe, [[nimg, round(d, 5), round(g, 5)] for nimg, d, g in self.curve.points]
            hello = {
                "type": "hello",
                "recipe": recipe.name,
                "seed": recipe.seed,
                "batch_size": recipe.schedule.batch_size,
                "total_nimg": self.setup.total,
                "epochs": self.setup.epochs,
                "images": len(self.setup.data),
                "class_names": self.setup.data.class_names,
                "curve": {"steps": self.curve.steps, "points": points},
            }
            self.channel.tell(hello, to=viewer)
            self.channel.tell(self._numbers(training, milestone, []), to=viewer)
            if self.left == 0:
                self.channel.tell(*self._picture(training), to=viewer)

    def _tell(self, training: Training, milestone: Milestone) -> None:
        """Tell all how it goes, with the losses of the steps since they were last told."""
        self.channel.tell(self._numbers(training, milestone, list(self.fresh)))
        self.fresh.clear()

    def _numbers(self, training: Training, milestone: Milestone, fresh: list[Point]) -> dict[str, Any]:
        (first, began), (last, ended) = self.marks[0], self.marks[-1]
        speed = (last - first) / (ended - began) if ended > began else None
        state = "stopping" if training.stopping else "running" if self.left is None else "stepping"
        return {
            "type": "numbers",
            "state": "paused" if self.left == 0 and state == "stepping" else state,
            "nimg": milestone.nimg,
            "epoch": milestone.epoch,
            "losses": [[nimg, round(d, 5), round(g, 5)] for nimg, d, g in fresh],
            "r1": milestone.r1,
            "images_per_second": speed and round(speed, 1),
            "seconds_left": speed and round((self.setup.total - milestone.nimg) / speed, 1),
            "controller": None if self.controller is None else self.controller[1],
            "health": self._health(),
        }

    def _health(self) -> list[dict[str, Any]]:
        """What the watch has said, read again where the events have grown."""
        size = self.setup.run.events_file.stat().st_size
        if size != self.health_size:
            said = [event for event in self.setup.run.events() if isinstance(event, TroubleEvent)]
            self.health = [{**event.as_json(), "remedy": REMEDIES.get(event.kind, "")} for event in said]
            self.health_size = size
        return self.health

    def _picture(self, training: Training) -> tuple[dict[str, Any], bytes]:
        """The grid's pixels, uint8 ``[SAMPLES, C, H, W]``, and the discriminator's logits."""
        setup, state = self.setup, training.state
        images = training.samples(SAMPLES, exact=False).images
        if self.judged is None:
            told, pixels = state.generator.conditional, state.generator.pixels
            self.judged = Judged(setup.data, setup.recipe, told, pixels)
        head = {
            "type": "picture",
            "nimg": state.nimg,
            "shape": list(images.shape),
            "columns": COLUMNS,
            "logits": self.judged.look(state)._asdict(),
        }
        return head, images.numpy().tobytes()


class Saver(Listener):
    """Writes a checkpoint from time to time, and before a signal is obeyed."""

    def __init__(self, setup: Setup) -> None:
        pass

    def wants_milestone(self, training: Training) -> bool:
        return time.perf_counter() - training.saved_at >= CHECKPOINT_SECONDS

    def on_milestone(self, training: Training, milestone: Milestone) -> None:
        if not milestone.finished and (training.stopping or self.wants_milestone(training)):
            training.save()


LISTENERS: tuple[Callable[[Setup], Listener], ...] = (  # in the order in which they hear
    Progress,
    OtherWork,
    Numbers,
    Log,
    Pictures,
    HealthWatch,
    Contentment,
    Live,
    Saver,  # after Live, where the end may be asked for in a pause
)


def listeners_of(setup: Setup) -> list[Listener]:
    """All listeners of one training."""
    return [make(setup) for make in LISTENERS]


def epoch_event(milestone: Milestone) -> EpochEvent:
    """An epoch's figures as its event; a loss that is no number is null there."""
    losses = {
        name: loss if math.isfinite(loss) else None
        for name, loss in (("loss_d", milestone.loss_d), ("loss_g", milestone.loss_g))
    }
    event = EpochEvent(epoch=milestone.epoch, nimg=milestone.nimg, **losses)
    return event if milestone.r1 is None else event.model_copy(update={"r1": milestone.r1})


# ---- TensorBoard ----------------------------------------------------------------------------------------------------


def check_tensorboard() -> None:
    """See that the `tensorboard` extra is there.

    Raises
    ------
    UsageError
        It is not.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the extra: pip install '.[tensorboard]' in pocketgan's source folder"
        ) from error


class Board:
    """Losses and sample grids by nimg, in TensorBoard's own files."""

    def __init__(self, run: RunFolder) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(run.tensorboard))

    def curves(self, nimg: int, values: Mapping[str, float | None]) -> None:
        """One point on each curve; none where there is no number."""
        for name, value in values.items():
            if value is not None:
                self.writer.add_scalar(name, value, nimg)
