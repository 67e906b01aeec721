"""Devices: random numbers, layouts and transfers as docs/devices.md promises them.

Tests marked `gpu` run where CUDA is; the others hold the same logic on the CPU.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from pocketgan.core import devices, rng
from pocketgan.core.devices import find_device, memory_format, multiplies_bf16, sent
from pocketgan.core.errors import UsageError
from pocketgan.core.pixels import images_for
from pocketgan.data.augment import jitter, rotate
from pocketgan.data.image_set import ImageSet
from pocketgan.models.judge import Judge
from pocketgan.networks.classifiers import build_classifier
from pocketgan.networks.contracts import Dropout, channels_last
from pocketgan.recipes import GAN_PRESETS, classifier_recipe, gan_recipe
from pocketgan.training.checkpoint import load_newest, save_checkpoint
from pocketgan.training.classifiers import train_classifier_steps
from pocketgan.training.loop import train_steps
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import FiniteCheck

CPU, META, MPS = torch.device("cpu"), torch.device("meta"), torch.device("mps")


@pytest.fixture
def other_rng(monkeypatch: pytest.MonkeyPatch) -> torch.Generator:
    """A random generator that stands for a GPU's global one."""
    stand_in, found = torch.Generator().manual_seed(99), rng._global_rngs()
    monkeypatch.setattr(rng, "_global_rngs", lambda: [*found, stand_in])
    return stand_in


def test_seeded_seeds_every_global_generator_and_restores_it(other_rng: torch.Generator) -> None:
    def drawn() -> list[torch.Tensor]:
        return [torch.rand(3), torch.rand(3, generator=other_rng)]

    before = [torch.get_rng_state(), other_rng.get_state()]
    with rng.seeded(3, "dropout", 128):
        first = drawn()
    assert all(map(torch.equal, before, [torch.get_rng_state(), other_rng.get_state()]))
    drawn()
    with rng.seeded(3, "dropout", 128):
        assert all(map(torch.equal, first, drawn()))
    with rng.seeded(3, "dropout", 256):
        assert not any(map(torch.equal, first, drawn()))


def test_seeded_restores_after_an_error(other_rng: torch.Generator) -> None:
    before = other_rng.get_state()
    with pytest.raises(RuntimeError, match="invalid for input"), rng.seeded(0, "dropout"):
        torch.rand(1, generator=other_rng).view(2)
    assert torch.equal(before, other_rng.get_state())


def test_seeding_reaches_cuda_only_where_it_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins = torch.Generator(), torch.Generator()
    monkeypatch.setattr(torch.cuda, "default_generators", stand_ins)
    for in_use in (False, True):
        monkeypatch.setattr(torch.cuda, "is_initialized", lambda in_use=in_use: in_use)
        assert [stand_in in rng._global_rngs() for stand_in in stand_ins] == [in_use, in_use]


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The devices that tensors are moved to inside the test."""
    seen: list[torch.device] = []
    plain = torch.Tensor.to

    def to(self: torch.Tensor, *words: object, **options: object) -> torch.Tensor:
        seen.extend(torch.device(word) for word in words if isinstance(word, torch.device | str))
        return plain(self, *words, **options)

    monkeypatch.setattr(torch.Tensor, "to", to)
    return seen


def test_dropout_is_drawn_where_its_input_is(moves: list[torch.device]) -> None:
    layer, x = Dropout(0.3).train(), torch.ones(2, 3, 4, 4, device=META)
    with rng.seeded(0, "dropout"):
        before = torch.get_rng_state()
        assert layer(x).device == META
        assert torch.equal(before, torch.get_rng_state()), "the CPU drew for another device"
    assert layer(torch.ones(2, 3, 4, 4)).device == CPU
    assert not moves


def test_augmentation_draws_from_the_device_of_its_random_generator() -> None:
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    assert rotate(images, 10.0, rng.rng(0, device=CPU)).device == CPU
    on_meta = images.to(META)
    assert rotate(on_meta, 10.0, rng.rng(0)).device == META
    assert jitter(on_meta, 10.0, 0.1, 1.0, rng.rng(0)).device == META


@pytest.mark.parametrize(
    ("device", "expected"),
    [(CPU, torch.channels_last), (torch.device("cuda"), torch.channels_last), (MPS, torch.contiguous_format)],
)
def test_the_memory_format_is_the_devices(device: torch.device, expected: torch.memory_format) -> None:
    assert memory_format(device) is expected


def test_networks_and_images_take_the_memory_format(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    assert images_for(images, CPU).is_contiguous(memory_format=torch.channels_last)
    weight = channels_last(nn.Conv2d(4, 4, 3)).get_parameter("weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr("pocketgan.networks.contracts.memory_format", lambda device: memory_format(MPS))
    assert channels_last(nn.Conv2d(4, 4, 3)).get_parameter("weight").is_contiguous()


def test_what_is_there_already_is_not_copied() -> None:
    there = torch.arange(3)
    assert sent(there, CPU) is there
    assert sent(there, META).device == META


def test_bf16_that_is_emulated_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert not multiplies_bf16(torch.device("cuda"))
    assert not multiplies_bf16(MPS)


@pytest.fixture
def own_settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Restores what `compute_repeatably` sets."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    return monkeypatch


def test_a_cuda_device_computes_repeatably_and_a_cpu_is_left_alone(own_settings: pytest.MonkeyPatch) -> None:
    find_device("cpu")
    assert not torch.are_deterministic_algorithms_enabled()
    own_settings.setattr(devices.torch, "empty", lambda *_, **__: None)  # as if the device were there
    try:
        find_device("cuda")
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_a_gpu_that_is_there_and_does_not_work_is_told_with_a_remedy(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA driver initialization failed\nand more")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices.torch, "empty", broken)
    with pytest.raises(UsageError) as caught:
        find_device(asked)
    told = f"--device {asked}: cuda does not work here (CUDA driver initialization failed); give --device cpu"
    assert str(caught.value) == told


# ---- training, on a device that has shapes and no numbers ------------------------------------------------------------


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What is read from the meta device. To read otherwise than by `tolist`, or to mix devices, is an error there."""
    seen: list[torch.Tensor] = []
    plain = torch.Tensor.tolist

    def tolist(self: torch.Tensor) -> object:
        if self.device != META:
            return plain(self)
        seen.append(self)
        return [0.5] * self.numel()

    monkeypatch.setattr(torch.Tensor, "tolist", tolist)
    # torch has no random generator and no fused optimiser for this device
    monkeypatch.setattr(rng.torch, "Generator", lambda device="cpu", make=torch.Generator: make())
    for name in ("Adam", "AdamW"):
        make = getattr(torch.optim, name)
        monkeypatch.setattr(torch.optim, name, lambda *words, fused, make=make, **options: make(*words, **options))
    return seen


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("name", GAN_PRESETS)
def test_a_step_waits_for_the_device_once(
    name: str, checked: bool, digits: ImageSet, reads: list[torch.Tensor]
) -> None:
    steps, batch = 4, 16
    options = {"nimg": steps * batch, "batch_size": batch, "precision": "fp32", "ema_share": 0.1, "underrepresented": 0}
    recipe = gan_recipe(name, options)
    state = new_state(recipe, digits.shape, 10, META)
    finite = FiniteCheck(state) if checked else None
    *_, last = train_steps(state, digits, recipe, finite=finite)
    assert last.finished
    assert [tensor.numel() for tensor in reads] == [3 if checked else 2] * steps
    assert last.loss_d == 0.5


@pytest.mark.parametrize("name", ["judge", "tstr", "cnn"])
def test_a_classifiers_step_waits_for_the_device_once(
    name: str, digits: ImageSet, reads: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[torch.Tensor] = []
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: read.append(self) or torch.zeros(self.shape))
    recipe = classifier_recipe(name, {"epochs": 1, "batch_size": 100})
    network = channels_last(build_classifier(recipe.architecture, digits.shape, 10, 0).to(META))
    *_, last = train_classifier_steps(network, digits, recipe, META)
    assert last.nimg == len(digits)
    assert len(read) == 10
    assert not reads


# ---- where CUDA is --------------------------------------------------------------------------------------------------

CUDA = torch.device("cuda")


@pytest.mark.gpu
def test_cuda_seeded_dropout_repeats_and_is_drawn_there() -> None:
    layer, x = Dropout(0.3).train(), torch.ones(64, 3, 8, 8, device=find_device("cuda"))
    with rng.seeded(0, "dropout", 1):
        first = layer(x)
    with rng.seeded(0, "dropout", 1):
        assert torch.equal(first, layer(x))
    with rng.seeded(0, "dropout", 2):
        assert not torch.equal(first, layer(x))
    assert 0.65 < float((first > 0).float().mean()) < 0.75


@pytest.mark.gpu
def test_cuda_augmentation_repeats(digits: ImageSet) -> None:
    images = digits.images.to(find_device("cuda"))
    first, second = (rotate(images, 30.0, rng.rng(0, "rotation", 0, device=CUDA)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, rotate(images, 30.0, rng.rng(0, "rotation", 1, device=CUDA)))


@pytest.mark.gpu
@pytest.mark.parametrize("name", GAN_PRESETS)
def test_cuda_trains_bit_for_bit_and_resumes_so(name: str, digits: ImageSet, tmp_path: Path) -> None:
    recipe = gan_recipe(name, {"nimg": 20 * 32, "batch_size": 32, "precision": "fp32"})

    def fresh() -> TrainState:
        return new_state(recipe, digits.shape, 10, find_device("cuda"))

    whole, half, resumed = fresh(), fresh(), fresh()
    list(train_steps(whole, digits, recipe))
    next(train_steps(half, digits, recipe, lambda state, _: state.nimg == 9 * 32))
    save_checkpoint(tmp_path, half)
    load_newest(tmp_path, resumed)
    assert resumed.nimg == 10 * 32
    list(train_steps(resumed, digits, recipe))
    for kept, again in zip(whole.sampler.state_dict().values(), resumed.sampler.state_dict().values(), strict=True):
        assert torch.equal(kept, again)


@pytest.mark.gpu
@pytest.mark.parametrize("name", GAN_PRESETS)
def test_cuda_waits_once_in_a_step(name: str, digits: ImageSet) -> None:
    recipe = gan_recipe(name, {"nimg": 20 * 32, "batch_size": 32, "precision": "fp32", "underrepresented": 0})
    state = new_state(recipe, digits.shape, 10, find_device("cuda"))
    steps = train_steps(state, digits, recipe, lambda *_: True, finite=FiniteCheck(state))
    for _ in range(10):
        next(steps)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            next(steps)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert len([warning for warning in told if "synchronizing" in str(warning.message)]) == 1


@pytest.mark.gpu
def test_cuda_classifiers_are_seeded(digits: ImageSet) -> None:
    recipe = classifier_recipe("judge", {"epochs": 1})

    def trained() -> dict[str, torch.Tensor]:
        network = build_classifier(recipe.architecture, digits.shape, 10, 0).to(find_device("cuda"))
        list(train_classifier_steps(channels_last(network), digits, recipe, CUDA))
        torch.rand(1, device=CUDA)  # what others draw in between has no say
        return network.state_dict()

    assert all(map(torch.equal, trained().values(), trained().values()))


@pytest.mark.gpu
def test_cuda_features_are_those_of_the_cpu_but_for_rounding(digits: ImageSet) -> None:
    there, here = (Judge.load(device=name).read(digits.images) for name in ("cuda", "cpu"))
    assert there.features.device == CPU
    torch.testing.assert_close(there.features, here.features, rtol=1e-3, atol=1e-3)
    assert float((there.labels == here.labels).float().mean()) > 0.999
