"""One training in its run's folder: begun or gone on with, recorded, watched, saved, stopped."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pocketgan.core.devices import exactness
from pocketgan.core.errors import UsageError
from pocketgan.core.signals import Stop, held_back
from pocketgan.core.terminal import Bar, Display
from pocketgan.core.threads import Crowding
from pocketgan.data.image_set import ImageSet
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import data_facts, made_with, save_state_dict, weights_digest
from pocketgan.networks.contracts import parameter_count
from pocketgan.recipes import Recipe, rebuild_command
from pocketgan.runs.events import append_event, cut_events, read_events
from pocketgan.training.checkpoint import checkpoints, is_good, load_newest, save_checkpoint
from pocketgan.training.health import GUIDED_SAMPLES, Goodness, Policy, Watch
from pocketgan.training.listeners import Board, draw_samples, log_epoch, samples_of, timed, wants_samples
from pocketgan.training.loop import Milestone, train_steps
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import ROLLBACKS, FiniteCheck, Trouble, TroubleError, after_rollbacks

CHECKPOINT_SECONDS = 10.0  # at most this much training, and the step that runs then, is lost with a kill


@dataclass
class Training:
    """One training on one folder, which the caller holds alone.

    `begin` puts the newest checkpoint into `state`, or starts; `run_to_the_end` trains and writes the model.
    """

    run: Path
    recipe: Recipe  # as it is stored in the run
    data: ImageSet
    device: torch.device
    display: Display
    watch: Watch
    good: Goodness | None
    policy: Policy | None
    resumes: bool  # there is a run to go on with
    inexact: bool  # and it may go on under other versions or threads
    board: Board | None = None
    state: TrainState = field(init=False)
    finite: FiniteCheck = field(init=False)
    saved_at: float = field(init=False, default_factory=time.perf_counter)

    @property
    def events(self) -> Path:
        """The run's log of all that is a function of recipe and seed."""
        return self.run / "events.jsonl"

    def begin(self) -> None:
        """Start, or go on from the newest checkpoint that is whole.

        Raises
        ------
        UsageError
            The run cannot go on bit for bit here, and `inexact` was not asked for.
        """
        self.state = self._fresh(self.recipe)
        skipped = load_newest(self.run / "checkpoints", self.state)
        if self.resumes:
            for line in skipped:
                self.display.line(f"passed over: {line}")
            changed = _changes(self.state)
            if changed and not self.inexact:
                raise UsageError(
                    f"--out {self.run} cannot go on bit for bit: {'; '.join(changed)}; make them the same, or add "
                    "--inexact to go on all the same"
                )
            self._cut_logs()
            self._settle()
            self.display.line(f"resumed at nimg {self.state.nimg}")
            if changed:
                append_event(self.events, {"event": "inexact", "nimg": self.state.nimg, "changed": changed})
        if not read_events(self.events):
            total = self.recipe.schedule.total_nimg(len(self.data))
            start = {"event": "start", "nimg": 0, "recipe": self.recipe.name, "seed": self.recipe.seed}
            append_event(
                self.events, {**start, "total_nimg": total, "images": len(self.data), "data": self.data.digest}
            )

    def run_to_the_end(self) -> Model:
        """Train, and write the model.

        Raises
        ------
        KeyboardInterrupt, Terminated
            A signal came. A checkpoint was written first; a second signal does not wait for it.
        TroubleError
            The health watch saw trouble, and the policy is to stop or the rollbacks are used up.
        """
        with held_back() as stop:
            while True:
                try:
                    reason = self._train(stop)
                    break
                except TroubleError as error:
                    self._answer(error)
            append_event(self.events, {"event": "finish", "nimg": self.state.nimg, "reason": reason})
            model = self._snapshot()
            save_state_dict(model.generator, self.run / "G.pkl")
            save_state_dict(self.state.discriminator, self.run / "D.pkl")
            model.save(self.run / "model")  # last: it marks the run as complete
        stop.obey()
        return model

    def _train(self, stop: Stop) -> str:
        """Train to the end of the budget or of the guide's demands; which of them it was."""
        total = self.recipe.schedule.total_nimg(len(self.data))
        epochs = (total - self.recipe.schedule.batch_size) // len(self.data) + 1
        model = self._snapshot()
        self.finite = FiniteCheck(self.state)
        crowding = Crowding(torch.get_num_threads() if self.device.type == "cpu" else 1)

        def after_step(state: TrainState, losses: list[float]) -> bool:
            return stop.came is not None or self._save_is_due()

        recipe = after_rollbacks(self.recipe, self._rollbacks())
        steps = train_steps(self.state, self.data, recipe, after_step, clusters_of=self.recipe, finite=self.finite)
        with self.display.bar(f"training {self.recipe.name}", total) as bar:
            for milestone, spent in timed(steps):
                self.state.seconds += spent
                self._show(milestone, epochs, bar)
                if (note := crowding.note()) is not None:
                    self.display.line(note)
                if milestone.epoch_ended:
                    self._end_epoch(milestone, model)
                if self.watch.due(self.state):
                    self._look()
                if milestone.epoch_ended and self._is_good(model):
                    self.display.line(f"stopped: the guide is satisfied at epoch {milestone.epoch}")
                    return "until good"
                if not milestone.finished and (stop.came is not None or self._save_is_due()):
                    self._save()
                    if stop.came is not None:
                        self.display.line(f"stopped and saved at nimg {self.state.nimg}")
                        stop.obey()
        if self.good is not None:
            self.display.line("the budget ended before the guide was satisfied")
        return "budget"

    def _show(self, milestone: Milestone, epochs: int, bar: Bar) -> None:
        speed = milestone.nimg / self.state.seconds
        losses = f"D {milestone.loss_d:.3f}  G {milestone.loss_g:.3f}"
        if milestone.r1 is not None:
            losses += f"  R1 {milestone.r1:.3g}"
        bar.update(milestone.nimg, f"epoch {milestone.epoch}/{epochs}  {speed:,.0f} images/s  {losses}")
        if milestone.epoch_ended:
            self.display.line(f"epoch {milestone.epoch}/{epochs}  {losses}  {speed:,.0f} images/s")

    def _end_epoch(self, milestone: Milestone, model: Model) -> None:
        self.finite.everything()
        log_epoch(self.run, milestone, self.state.seconds, milestone.nimg / self.state.seconds, self.board)
        if wants_samples(milestone, self.recipe):
            draw_samples(self.run, model, self.state, milestone, self.display, self.board)

    def _is_good(self, model: Model) -> bool:
        return self.good is not None and self.good.reached(samples_of(model, self.state, GUIDED_SAMPLES).images)

    def _save_is_due(self) -> bool:
        return time.perf_counter() - self.saved_at >= CHECKPOINT_SECONDS

    def _save(self) -> None:
        self.finite.everything()
        save_checkpoint(self.run / "checkpoints", self.state)
        self.saved_at = time.perf_counter()

    def _fresh(self, recipe: Recipe) -> TrainState:
        return new_state(recipe, self.data.shape, len(self.data.class_names), self.device)

    def _cut_logs(self) -> None:
        for name in ("events.jsonl", "timings.jsonl"):
            cut_events(self.run / name, self.state.nimg)

    def _settle(self) -> None:
        """After a rollback to the very start, the rollback's seed gives the first weights too."""
        if self.state.nimg == 0 and self._rollbacks():
            self.state = self._fresh(after_rollbacks(self.recipe, self._rollbacks()))

    def _warned(self) -> set[str]:
        return {event["kind"] for event in read_events(self.events) if event.get("event") == "warning"}

    def _rollbacks(self) -> int:
        return sum(event.get("event") == "rollback" for event in read_events(self.events))

    def _look(self) -> None:
        """Let the watch look. A warning is given once for each kind of trouble."""
        for trouble in self.watch.look(self.state):
            if (self.policy or "warn") != "warn":
                self._save()  # so that the same command can go on with --on-trouble warn
                raise TroubleError(trouble)
            if trouble.kind not in self._warned():
                self.display.line(f"warning: {trouble}")
                append_event(self.events, _event("warning", trouble))

    def _answer(self, error: TroubleError) -> None:
        """Roll back, or stop by raising again."""
        if self.policy != "rollback":
            append_event(self.events, _event("trouble", error.trouble))
            raise error
        if self._rollbacks() >= ROLLBACKS:
            append_event(self.events, _event("trouble", error.trouble))
            raise TroubleError(error.trouble, f"after {ROLLBACKS} rollbacks, ")
        folder = self.run / "checkpoints"
        for path in reversed(checkpoints(folder)):
            if is_good(path):
                break
            shutil.rmtree(path)
        self.state = self._fresh(self.recipe)
        load_newest(folder, self.state)
        self._cut_logs()
        number = self._rollbacks() + 1
        append_event(
            self.events, {**_event("rollback", error.trouble), "nimg": self.state.nimg, "from_nimg": error.trouble.nimg}
        )
        self._settle()
        self.display.line(f"{error}; rollback {number} of at most {ROLLBACKS}, to nimg {self.state.nimg}")

    def _snapshot(self) -> Model:
        """The state as a model; its networks are the state's own, not copies."""
        state = self.state
        facts = {
            "command": rebuild_command(self.recipe),
            "nimg": state.nimg,
            "weights": "ema" if state.ema is not None else "live",
            "parameters": {
                "generator": parameter_count(state.generator),
                "discriminator": parameter_count(state.discriminator),
            },
            "data": data_facts(self.data),
            "took_part": _took_part(self.recipe),
            "made_with": made_with(state.device),
        }
        return Model(state.sampler, state.discriminator, self.recipe, self.data.shape, self.data.class_names, facts)


def _took_part(recipe: Recipe) -> list[str]:
    """Digests of the classifiers that selected; a judge among them must not score the model."""
    return [weights_digest(Classifier.load(recipe.schedule.guide).network)] if recipe.schedule.until_good else []


def _changes(state: TrainState) -> list[str]:
    """What is other here than where the state's checkpoint was made, in words."""
    here = exactness(state.device)
    return [
        f"{name} was {then}, is {here.get(name)}" for name, then in state.made_with.items() if here.get(name) != then
    ]


def _event(name: str, trouble: Trouble) -> dict[str, str | int]:
    return {"event": name, "nimg": trouble.nimg, "kind": trouble.kind, "words": trouble.words}
