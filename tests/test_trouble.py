"""What a training does when the health watch sees trouble: stop, roll back, or warn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pocketgan.api import train
from pocketgan.cli import main
from pocketgan.core.errors import UsageError
from pocketgan.data.load import load_images
from pocketgan.recipes import gan_recipe
from pocketgan.training import health, listeners
from pocketgan.training.checkpoint import checkpoints
from pocketgan.training.health import Watch
from pocketgan.training.state import TrainState
from pocketgan.training.trouble import FiniteCheck, Trouble, TroubleError, after_rollbacks

BATCH, STEPS = 16, 40


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where every training saves every step, and its data lie."""
    monkeypatch.setattr(listeners, "CHECKPOINT_SECONDS", 0.0)
    few = load_images("mnist").rows(torch.arange(160))
    assert few.labels is not None
    np.savez(tmp_path / "data.npz", images=few.images[:, 0].numpy(), labels=few.labels.numpy())
    return tmp_path


def options(folder: Path) -> dict[str, Any]:
    return {"source": str(folder / "data.npz"), "nimg": BATCH * STEPS, "batch_size": BATCH, "quiet": True}


def break_at(monkeypatch: pytest.MonkeyPatch, *nimgs: int) -> list[float]:
    """Let numbers stop being finite at these places, once each; the rates that steps are then made with are noted."""
    left, rates, plain = list(nimgs), [], FiniteCheck.read

    def read(self: FiniteCheck, losses: torch.Tensor) -> list[float]:
        rates.append(self.state.optimizer_g.param_groups[0]["lr"])
        if left and self.state.nimg == left[0]:
            left.pop(0)
            raise TroubleError(Trouble("not finite", self.state.nimg, "a number stopped being finite: planted"))
        return plain(self, losses)

    monkeypatch.setattr(FiniteCheck, "read", read)
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
    values["data"] = values.pop("source")
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
    assert model.facts.nimg == BATCH * STEPS
    wanted = {name: value for name, value in options(troubled).items() if name != "quiet"}
    assert model.recipe == gan_recipe("mlp", wanted)  # as it was asked for: the same command finds it complete
    seeds = {after_rollbacks(model.recipe, count).seed for count in range(4)}
    assert len(seeds) == 4


def test_after_three_rollbacks_it_stops(troubled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_at(monkeypatch, 160, 160, 160, 160)
    with pytest.raises(TroubleError, match="after 3 rollbacks, at nimg 160"):
        train("mlp", out=troubled / "run", on_trouble="rollback", **options(troubled))
    assert len(events(troubled / "run", "rollback")) == 3


def test_a_rollback_to_the_very_start_begins_with_other_weights(
    troubled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "CHECKPOINT_SECONDS", 1000.0)
    break_at(monkeypatch, 160)
    model = train("mlp", out=troubled / "run", on_trouble="rollback", **options(troubled))
    monkeypatch.undo()
    other = after_rollbacks(model.recipe, 1)
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
                save = listeners.save_checkpoint

                def save_and_stop(folder: Path, state: TrainState) -> Path:
                    path = save(folder, state)  # noqa: B023
                    if state.nimg == 320:
                        raise KeyboardInterrupt
                    return path

                patch.setattr(listeners, "save_checkpoint", save_and_stop)
                with pytest.raises(KeyboardInterrupt):
                    train("mlp", out=troubled / name, on_trouble="rollback", **options(troubled))
                patch.setattr(listeners, "save_checkpoint", save)
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
    assert [event["epoch"] for event in events(run, "epoch")] == [1, 2, 3, 4]  # one ended where the watch stopped it
    assert len(events(run, "warning")) == (0 if policy == "rollback" else 1)
    assert [event["nimg"] for event in events(run, "rollback")] == ([304] if policy == "rollback" else [])


@pytest.mark.catches("end not looked at")
@pytest.mark.parametrize(("policy", "code"), [(None, 0), ("warn", 0), ("stop", 3), ("rollback", 3)])
def test_the_end_of_a_short_training_is_looked_at(policy: str | None, code: int, troubled: Path) -> None:
    """Rates that are far too high, in 40 steps: no look falls on any of them."""
    run, wanted = troubled / "run", options(troubled) | {"lr_g": 0.5}
    if not code:
        train("mlp", out=run, on_trouble=policy, **wanted)
    else:
        for _ in range(2):  # the same command again finds the same end
            with pytest.raises(TroubleError, match=r"at nimg 640 the generator .* try a lower --lr-g") as error:
                train("mlp", out=run, on_trouble=policy, **wanted)
            assert error.value.exit_code == code
            assert not (run / "model").exists()
        assert len(checkpoints(run / "checkpoints")) > 0
        train("mlp", out=run, on_trouble="warn", **wanted)
    assert (run / "model" / "model.json").is_file()
    warnings = [event["kind"] for event in events(run, "warning")]
    assert warnings.count("generator's steps") == 1
    train("mlp", out=troubled / "well", on_trouble="stop", **options(troubled))
    assert events(troubled / "well", "warning") == []


@pytest.mark.catches("moments not looked at")
def test_what_is_saved_was_looked_at(troubled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = listeners.save_checkpoint

    def save_and_break(folder: Path, state: TrainState) -> Path:
        path = save(folder, state)
        moments = next(iter(state.optimizer_g.state.values()))
        moments["exp_avg_sq"].fill_(torch.inf)  # the next step's weights stay finite
        return path

    monkeypatch.setattr(listeners, "save_checkpoint", save_and_break)
    with pytest.raises(TroubleError, match="a moment of the generator's optimiser"):
        train("mlp", out=troubled / "run", **options(troubled))
    assert len(checkpoints(troubled / "run" / "checkpoints")) == 1


def test_an_unknown_policy_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--on-trouble roll is unknown; did you mean 'rollback'"):
        train("mlp", out=tmp_path / "run", nimg=100, on_trouble="roll", quiet=True)
    assert not (tmp_path / "run").exists()
