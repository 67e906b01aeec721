"""The health watch: what it sees, what it lets pass, and what a training then does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pocketgan.cli import main
from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.data.mnist import mnist
from pocketgan.recipes import gan_recipe
from pocketgan.training import health
from pocketgan.training.checkpoint import checkpoints
from pocketgan.training.health import BOUNDS, FiniteCheck, Trouble, TroubleError, Watch
from pocketgan.training.loop import TICK_STEPS
from pocketgan.training.state import TrainState, new_state
from pocketgan.verbs import training
from pocketgan.verbs.train import train
from soak import health as soak_health

BATCH, STEPS = 16, 40


def state_of(name: str, data: ImageSet) -> TrainState:
    return new_state(gan_recipe(name), data.shape, 10, torch.device("cpu"))


@pytest.mark.catches("NaN not looked for", "NaN looked for after the average")
def test_what_is_not_finite_is_told_in_its_step_and_the_average_never_takes_it() -> None:
    count = soak_health.not_finite(24)
    assert (count.tried, count.failed) == (24, [])


def test_a_broken_moment_is_told_before_it_is_saved(digits: ImageSet) -> None:
    """An infinite second moment stops a weight without a sound: the weight stays finite."""
    state = state_of("mlp", digits)
    check = FiniteCheck(state)
    check.everything()
    parameter = next(iter(state.generator.parameters()))
    state.optimizer_g.state[parameter] = {"exp_avg_sq": torch.full_like(parameter, torch.inf)}
    with pytest.raises(TroubleError, match="a moment of the generator's optimiser"):
        check.everything()


def look_at(fakes: torch.Tensor, data: ImageSet, name: str = "mlp", armed: bool = True) -> list[str]:
    """What a watch suspects after one look at a generator that makes these images, uint8 [N, 1, 28, 28]."""
    state = state_of(name, data)
    state.armed = armed
    watch = Watch(data, gan_recipe(name), None)
    count = len(watch.real)
    floats = fakes[:count].float() / 127.5 - 1
    state.generator.forward = lambda z, y=None: floats  # type: ignore[method-assign]
    assert watch.look(state) == []  # one look is never an alarm
    return sorted(state.suspicions)


@pytest.mark.catches("collapse not looked for")
def test_a_look_tells_collapses_from_real_images(digits: ImageSet) -> None:
    noise = torch.randint(0, 3, digits.images.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert look_at(digits.images[500:], digits) == []
    assert look_at(digits.images[:1].expand(64, -1, -1, -1), digits) == ["distinct", "spread", "variety"]
    assert look_at(digits.images[:1].clamp(max=250).expand(64, -1, -1, -1) + noise[:64], digits)[-1] == "variety"
    assert look_at(digits.images[:2].repeat(32, 1, 1, 1), digits) == ["distinct"]


def test_a_conditional_pair_must_vary_within_a_class(digits: ImageSet) -> None:
    """One picture for each class is a collapse, though the pictures differ."""
    watch = Watch(digits, gan_recipe("pocket"), None)
    assert watch.labels is not None
    firsts = {int(label): image for label, image in reversed(list(zip(watch.labels, watch.real, strict=True)))}
    alike = torch.stack([firsts[int(label)] for label in watch.labels])
    assert "variety" in look_at(alike, digits, "pocket")
    assert look_at(watch.real, digits, "pocket") == []


@pytest.mark.catches("warm-up forgotten")
def test_a_generator_that_was_never_varied_is_let_alone_until_a_third_of_the_budget(digits: ImageSet) -> None:
    one = digits.images[:1].expand(64, -1, -1, -1)
    assert look_at(one, digits, armed=False) == []
    state = state_of("mlp", digits)
    watch = Watch(digits, gan_recipe("mlp"), None)
    floats = one[: len(watch.real)].float() / 127.5 - 1
    state.generator.forward = lambda z, y=None: floats  # type: ignore[method-assign]
    state.nimg = watch.total // 3 - 100
    watch.look(state)
    assert not state.suspicions
    state.nimg += 200
    alarms = [watch.look(state) for _ in range(health.PATIENCE)]
    assert [len(found) for found in alarms] == [0, 0, 3]


def test_a_guide_counts_the_classes_of_unconditional_pairs(digits: ImageSet) -> None:
    def guide(images: torch.Tensor) -> torch.Tensor:
        return torch.eye(10)[(images.flatten(1).float().mean(1) / 5).long().clamp(max=9)]

    watch = Watch(digits, gan_recipe("mlp"), guide)
    assert watch.of_real["classes"] > 3
    assert watch._measured(digits.images[:1].repeat(32, 1, 1, 1))["classes"] == pytest.approx(1.0)
    assert "spread" not in watch.of_real


def test_a_discriminator_has_won_by_its_logits_or_by_a_vanished_gradient(digits: ImageSet) -> None:
    state = state_of("mlp", digits)
    for parameter in state.generator.parameters():
        parameter.grad = torch.ones_like(parameter)
    real, fake = torch.full((32,), 6.0), torch.full((32,), -6.0)
    assert not health._won(state, real, fake)  # as in the classroom recipes: sure, and the generator goes on learning
    assert health._won(state, 4 * real, 4 * fake)
    assert not health._won(state, 4 * fake, 4 * real)
    for parameter in state.generator.parameters():
        parameter.grad = torch.full_like(parameter, 1e-12)
    assert health._won(state, real, fake)


def test_an_alarm_needs_bad_looks_to_outnumber_good_ones_and_bounds_leave_a_gap(digits: ImageSet) -> None:
    state = state_of("mlp", digits)
    state.armed = True
    watch = Watch(digits, gan_recipe("mlp"), None)
    good = watch.real.float() / 127.5 - 1
    bad = good[:1].expand_as(good)
    told = []
    for floats in (bad, bad, good, bad, bad, good, good, good):
        state.generator.forward = lambda z, y=None, floats=floats: floats  # type: ignore[method-assign]
        told.append(bool(watch.look(state)))
    assert told == [False, False, False, False, True, False, False, False]
    assert state.suspicions == {}
    assert all(bounds.alarm < bounds.varied for bounds in BOUNDS.values())
    assert health.LOOK_STEPS % TICK_STEPS == 0
    assert health.LOOK_STEPS * health.PATIENCE <= 500


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where every training saves every step, and its data lie."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    few = mnist("train").rows(torch.arange(160))
    assert few.labels is not None
    np.savez(tmp_path / "data.npz", images=few.images[:, 0].numpy(), labels=few.labels.numpy())
    return tmp_path


def options(folder: Path) -> dict[str, Any]:
    return {"source": str(folder / "data.npz"), "nimg": BATCH * STEPS, "batch_size": BATCH, "quiet": True}


def break_at(monkeypatch: pytest.MonkeyPatch, *nimgs: int) -> list[float]:
    """Let numbers stop being finite at these places, once each; the rates that steps are then made with are noted."""
    left, rates = list(nimgs), []

    def after_step(self: FiniteCheck, losses: torch.Tensor) -> None:
        rates.append(self.state.optimizer_g.param_groups[0]["lr"])
        if left and self.state.nimg == left[0]:
            left.pop(0)
            raise TroubleError(Trouble("not finite", self.state.nimg, "a number stopped being finite: planted"))

    monkeypatch.setattr(FiniteCheck, "after_step", after_step)
    return rates


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    return [
        event for event in map(json.loads, (run / "events.jsonl").read_text().splitlines()) if event["event"] == kind
    ]


@pytest.mark.catches("trouble exits like any error")
@pytest.mark.parametrize("policy", [None, "stop", "warn"])
def test_what_is_not_finite_stops_with_exit_code_three(
    policy: str | None, troubled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_at(monkeypatch, 160)
    more = [] if policy is None else ["--on-trouble", policy]
    values = {name.replace("_", "-"): value for name, value in options(troubled).items() if name != "quiet"}
    given = [str(part) for name, value in values.items() for part in (f"--{name}", value)]
    with pytest.raises(SystemExit) as end:
        main(["train", "mlp", "--quiet", "--out", str(troubled / "run"), *given, *more])
    assert end.value.code == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("pocketgan: at nimg 160 a number stopped being finite: planted; try lower rates")
    assert [path.name for path in checkpoints(troubled / "run" / "checkpoints")][-1] == "nimg-000000000160"
    assert events(troubled / "run", "trouble")[0]["nimg"] == 160


@pytest.mark.catches("rollback keeps the seed")
def test_a_rollback_goes_on_from_the_last_good_checkpoint_with_half_the_rate(
    troubled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = break_at(monkeypatch, 160, 320)
    model = train("mlp", out=troubled / "run", on_trouble="rollback", **options(troubled))
    found = events(troubled / "run", "rollback")
    assert [(event["nimg"], event["from_nimg"]) for event in found] == [(160, 160), (320, 320)]
    assert rates[0] == 2e-4
    assert set(rates) == {2e-4, 1e-4, 5e-5}
    assert model.facts["nimg"] == BATCH * STEPS
    wanted = {name: value for name, value in options(troubled).items() if name != "quiet"}
    assert model.recipe == gan_recipe("mlp", wanted)  # as it was asked for: the same command finds it complete
    seeds = {training.after_rollbacks(model.recipe, count).seed for count in range(4)}
    assert len(seeds) == 4


def test_after_three_rollbacks_it_stops(troubled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, 160, 160, 160, 160)
    with pytest.raises(TroubleError, match="after 3 rollbacks, at nimg 160"):
        train("mlp", out=troubled / "run", on_trouble="rollback", **options(troubled))
    assert len(events(troubled / "run", "rollback")) == 3


def test_a_rollback_to_the_very_start_begins_with_other_weights(
    troubled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 1000.0)
    break_at(monkeypatch, 160)
    model = train("mlp", out=troubled / "run", on_trouble="rollback", **options(troubled))
    monkeypatch.undo()
    other = training.after_rollbacks(model.recipe, 1)
    again = train(other, out=troubled / "again", quiet=True)
    for name, value in model.generator.state_dict().items():
        assert torch.equal(value, again.generator.state_dict()[name])


def test_a_killed_run_resumes_after_its_rollback_as_if_not_killed(
    troubled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for name, stops in (("whole", False), ("stopped", True)):
        with monkeypatch.context() as patch:
            break_at(patch, 160)
            if stops:
                save = training.save_checkpoint

                def save_and_stop(folder: Path, state: TrainState) -> Path:
                    path = save(folder, state)  # noqa: B023
                    if state.nimg == 320:
                        raise KeyboardInterrupt
                    return path

                patch.setattr(training, "save_checkpoint", save_and_stop)
                with pytest.raises(KeyboardInterrupt):
                    train("mlp", out=troubled / name, on_trouble="rollback", **options(troubled))
                patch.setattr(training, "save_checkpoint", save)
            train("mlp", out=troubled / name, on_trouble="rollback", **options(troubled))
        ends.append([(troubled / name / file).read_bytes() for file in ("events.jsonl", "G.pkl", "D.pkl")])
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("policy", "code"), [(None, 0), ("warn", 0), ("stop", 3), ("rollback", 0)])
def test_a_collapse_is_answered_by_the_policy(
    policy: str | None, code: int, troubled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1]
    monkeypatch.setattr(Watch, "due", lambda self, state: True)
    monkeypatch.setattr(health, "PATIENCE", 1)

    def look(self: Watch, state: TrainState) -> list[Trouble]:
        if state.nimg < 320 or (policy == "rollback" and not left):
            state.suspicions = {}
            return []
        left.clear()
        state.suspicions = {"variety": 1}
        return [Trouble("variety", state.nimg, "the generator has collapsed: planted")]

    monkeypatch.setattr(Watch, "look", look)
    run = troubled / "run"
    if code:
        with pytest.raises(TroubleError, match="at nimg 320 the generator has collapsed: planted; try another --seed"):
            train("mlp", out=run, on_trouble=policy, **options(troubled))
        train("mlp", out=run, on_trouble="warn", **options(troubled))  # the same run goes on, if that is wanted
    else:
        train("mlp", out=run, on_trouble=policy, **options(troubled))
    assert len(events(run, "warning")) == (0 if policy == "rollback" else 1)
    assert [event["nimg"] for event in events(run, "rollback")] == ([304] if policy == "rollback" else [])


@pytest.mark.catches("moments not looked at")
def test_what_is_saved_was_looked_at(troubled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = training.save_checkpoint

    def save_and_break(folder: Path, state: TrainState) -> Path:
        path = save(folder, state)
        moments = next(iter(state.optimizer_g.state.values()))
        moments["exp_avg_sq"].fill_(torch.inf)  # the next step's weights stay finite
        return path

    monkeypatch.setattr(training, "save_checkpoint", save_and_break)
    with pytest.raises(TroubleError, match="a moment of the generator's optimiser"):
        train("mlp", out=troubled / "run", **options(troubled))
    assert len(checkpoints(troubled / "run" / "checkpoints")) == 1


def test_an_unknown_policy_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--on-trouble roll is unknown; did you mean 'rollback'"):
        train("mlp", out=tmp_path / "run", nimg=100, on_trouble="roll", quiet=True)
    assert not (tmp_path / "run").exists()
