"""The health watch: what it sees, what it lets pass, and what a training then does."""

from __future__ import annotations

import pytest
import torch

from pocketgan.data.image_set import ImageSet
from pocketgan.recipes import gan_recipe
from pocketgan.training import health
from pocketgan.training.health import BOUNDS, Watch
from pocketgan.training.loop import TICK_STEPS, train_steps
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import FiniteCheck, TroubleError
from soak import health as soak_health

BATCH, STEPS = 16, 40


def state_of(name: str, data: ImageSet) -> TrainState:
    return new_state(gan_recipe(name), data.shape, 10, torch.device("cpu"))


@pytest.mark.catches("NaN not looked for", "NaN looked for after the average")
def test_what_is_not_finite_is_told_in_its_step_and_the_average_never_takes_it() -> None:
    count = soak_health.not_finite(24)
    assert (count.tried, count.failed) == (24, [])


@pytest.mark.catches("weights not looked at")
@pytest.mark.parametrize(
    ("name", "player", "late"),
    [("dcgan-rotate", "d", 0), ("dcgan-rotate", "g", 0), ("mlp", "d", 0), ("mlp-bn", "d", 0), ("mlp", "g", 1)],
)
def test_one_bad_number_in_a_matrix_is_told_in_its_step_or_the_next(
    name: str, player: str, late: int, digits: ImageSet
) -> None:
    """As a fault of memory would make it, in recipes without a moving average."""
    recipe = gan_recipe(name, {"nimg": 6 * BATCH, "batch_size": BATCH, "ema_share": 0.0})
    state = new_state(recipe, digits.shape, 10, torch.device("cpu"))
    matrices = [value for value in getattr(state, f"optimizer_{player}").param_groups[0]["params"] if value.ndim > 1]

    def after_step(state: TrainState, losses: list[float]) -> bool:
        if state.nimg == BATCH:  # the next step's gradient meets it
            matrices[-1].register_hook(lambda gradient: soak_health._set(gradient.clone(), 3, float("nan")))
        return False

    with pytest.raises(TroubleError, match=f"at nimg {(2 + late) * BATCH} a number stopped being finite"):
        for _ in train_steps(state, digits, recipe, after_step, finite=FiniteCheck(state)):
            pass


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
    watch = Watch(digits, gan_recipe("mlp", {"nimg": 300_000}), None)
    floats = one[: len(watch.real)].float() / 127.5 - 1
    state.generator.forward = lambda z, y=None: floats  # type: ignore[method-assign]
    state.nimg = watch.total // 3 - 100
    watch.look(state)
    assert not state.suspicions
    state.nimg += 200
    alarms = [watch.look(state) for _ in range(health.PATIENCE)]
    assert [len(found) for found in alarms] == [0, 0, 3]


@pytest.mark.parametrize(("budget", "first"), [(150, 100), (600, 200), (1800, 600), (10**6, 600)])
def test_the_first_look_follows_the_budget(budget: int, first: int, digits: ImageSet) -> None:
    recipe = gan_recipe("pocket", {"nimg": budget * 128})
    state, watch = state_of("pocket", digits), Watch(digits, recipe, None)

    def due(steps: int) -> bool:
        state.nimg = steps * 128
        return watch.due(state)

    assert next(steps for steps in range(1, 1000) if due(steps)) == first


@pytest.mark.parametrize("steps", [health.JUDGED_STEPS, health.WARM_UP_STEPS])
def test_the_last_look_tells_of_one_image_alone_and_notes_nothing(steps: int, digits: ImageSet) -> None:
    recipe = gan_recipe("mlp-bn", {"nimg": steps * 64})
    state, watch = state_of("mlp-bn", digits), Watch(digits, recipe, None)
    state.nimg, state.armed, state.suspicions = steps * 64, True, {"distinct": 1}
    real = watch.real.float() / 127.5 - 1
    told = []
    for floats in (real, real[:2].repeat(len(real) // 2, 1, 1, 1), real[:1].expand_as(real)):
        state.generator.forward = lambda z, y=None, floats=floats: floats  # type: ignore[method-assign]
        told.append([trouble.kind for trouble in watch.last_look(state)])
    assert told == [[], [], ["variety"] if steps == health.JUDGED_STEPS else []]
    assert (state.armed, state.suspicions) == (True, {"distinct": 1})


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
    # as in the classroom recipes: sure, and the generator goes on learning
    assert not health._won(state, real, fake, odds=True)
    assert health._won(state, 4 * real, 4 * fake, odds=True)
    assert not health._won(state, 4 * real, 4 * fake, odds=False)  # as a critic should
    assert not health._won(state, 4 * fake, 4 * real, odds=True)
    for parameter in state.generator.parameters():
        parameter.grad = torch.full_like(parameter, 1e-12)
    assert health._won(state, real, fake, odds=True)
    assert health._won(state, real, fake, odds=False)


@pytest.mark.catches("growth not looked for")
@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", ["mlp", "pocket", "dcgan-rotate"])
def test_steps_that_are_too_large_are_told_by_the_growth_of_the_weights(
    name: str, player: str, digits: ImageSet
) -> None:
    state, watch = state_of(name, digits), Watch(digits, gan_recipe(name), None)
    batch = gan_recipe(name).schedule.batch_size

    def told(growth: float, steps: int) -> bool:
        state.nimg = steps * batch
        fresh = getattr(state_of(name, digits), player)
        with torch.no_grad():
            for value, start in zip(getattr(state, player).parameters(), fresh.parameters(), strict=True):
                value.copy_(growth * start)
        kinds = set(watch._outgrown(state))
        assert kinds <= {f"{player}'s steps"}
        return bool(kinds)

    assert [told(growth, 600) for growth in (1.0, 1.5, 3.4, 1e30)] == [False, False, True, True]
    assert [told(growth, 60_000) for growth in (5.7, 30.0)] == [False, True]  # the zoo's end at 4.1 and 5.7


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
