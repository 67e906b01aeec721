"""Devices: random numbers, layouts and transfers as docs/devices.md promises them.

Tests marked `gpu` run where CUDA is; the others hold the same logic on the CPU.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pocketgan.core import devices, rng
from pocketgan.core.devices import find_device, memory_format, multiplies_bf16, sent
from pocketgan.core.pixels import images_for
from pocketgan.data.augment import jitter, rotate
from pocketgan.data.image_set import ImageSet
from pocketgan.networks.contracts import Dropout, channels_last

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
