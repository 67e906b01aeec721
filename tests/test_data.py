"""Image sets: the file format, the splits, the stream of batches, and the doors between bytes, floats and latents."""

from __future__ import annotations

import gzip
import io
import math
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.pixels import PixelRange, grid, to_bytes, to_floats, to_png
from pocketgan.core.rng import BLOCK, balanced_labels, latents, rng
from pocketgan.data.augment import rotate
from pocketgan.data.idx import idx_header, is_idx, read_idx
from pocketgan.data.image_set import ImageSet
from pocketgan.data.load import load_images
from pocketgan.data.splits import choose_rows
from pocketgan.data.stream import BatchStream

IDX_ARRAYS = arrays(np.uint8, st.lists(st.integers(0, 6), min_size=1, max_size=4).map(tuple))
VAL_DIGEST = "d5a3628bd68c240c1172d8822a217012da634e216e7916d2d7966356642504dd"

each_example_in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_images(count: int, channels: int = 1, height: int = 9, width: int = 12, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, height, width), generator=random, dtype=torch.uint8)


# IDX


@each_example_in_one_folder
@given(array=IDX_ARRAYS, zipped=st.booleans())
def test_idx_round_trip(tmp_path: Path, array: np.ndarray, zipped: bool) -> None:
    content = idx_header(array.shape) + array.tobytes()
    file = tmp_path / "any-name"
    file.write_bytes(gzip.compress(content) if zipped else content)
    assert is_idx(file.read_bytes()[:4])
    read = read_idx(file)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array, strict=True)


@each_example_in_one_folder
@given(array=IDX_ARRAYS, zipped=st.booleans(), data=st.data())
def test_idx_cut_short_anywhere_or_too_long_is_refused(
    tmp_path: Path, array: np.ndarray, zipped: bool, data: st.DataObject
) -> None:
    content = idx_header(array.shape) + array.tobytes()
    whole = gzip.compress(content) if zipped else content
    file = tmp_path / "file"
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(PocketganError, match=str(file)):
        read_idx(file)
    file.write_bytes(gzip.compress(content + b"\0") if zipped else content + b"\0")
    with pytest.raises(PocketganError, match=str(file)):
        read_idx(file)


@pytest.mark.parametrize(
    "header", [b"\0\0\x0d\x01\0\0\0\x01x", b"\1\0\x08\x01\0\0\0\x01x", b"\0\0\x08\x00", b"\x89PNG"]
)
def test_idx_of_another_type_or_magic_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "file").write_bytes(header)
    with pytest.raises(PocketganError, match="not an IDX file"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_that_claims_too_much_is_refused_before_it_is_read(tmp_path: Path, zipped: bool) -> None:
    content = b"\0\0\x08\x03" + struct.pack(">3I", 2**31, 2**16, 2**16)
    (tmp_path / "file").write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(PocketganError, match="claims"):
        read_idx(tmp_path / "file")


# MNIST and its splits


def test_fit_and_val_part_the_training_images() -> None:
    train, fit, val = load_images("mnist"), load_images("mnist", "fit"), load_images("mnist", "val")
    assert (len(train), len(fit), len(val), len(load_images("mnist", "test"))) == (60_000, 50_000, 10_000, 10_000)
    assert fit.labels is not None
    assert val.labels is not None
    assert train.labels is not None
    rows = lambda part: Counter(image.numpy().tobytes() for image in part.images)  # noqa: E731
    assert rows(fit) + rows(val) == rows(train)


def test_val_holds_classes_in_proportion_and_never_changes() -> None:
    train, val = load_images("mnist").labels, load_images("mnist", "val").labels
    assert train is not None
    assert val is not None
    exact = train.bincount() / 6
    assert (val.bincount() - exact).abs().max() < 1
    assert load_images("mnist", "val").digest == VAL_DIGEST


def test_mnist_is_mnist() -> None:
    test = load_images("mnist", "test")
    assert test.shape == (1, 28, 28)
    assert test.labels is not None
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]  # the famous first ten
    assert test.class_names == tuple("0123456789")
    assert "CC BY-SA" in test.provenance["licence"]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_chosen_rows_are_as_many_as_asked_and_in_proportion(labels: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(labels)))
    chosen = choose_rows(labels, count, seed=3)
    assert chosen.shape == (len(labels),)
    assert int(chosen.sum()) == count
    taken = Counter(label for label, take in zip(labels, chosen.tolist(), strict=True) if take)
    for label, size in Counter(labels).items():
        assert abs(taken[label] - count * size / len(labels)) < 1


# The stream


def test_every_epoch_shows_every_row_once_in_an_order_of_its_own() -> None:
    stream = BatchStream(count=10, batch=4, seed=0)
    shown = torch.cat([stream.rows(nimg) for nimg in range(0, 20, 4)])
    first, second = shown[:10], shown[10:]
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert first.tolist() != second.tolist()


@given(st.integers(1, 30), st.integers(1, 70), st.integers(0, 50), st.integers(0, 1000))
def test_rows_depend_on_nothing_but_their_place(count: int, batch: int, step: int, seed: int) -> None:
    """A stream that comes late draws what one that ran from the start draws; so a resume needs no state."""
    ran = BatchStream(count, batch, seed)
    for before in range(step):
        ran.rows(before * batch)
    late = BatchStream(count, batch, seed).rows(step * batch)
    assert late.shape == (batch,)
    assert torch.equal(ran.rows(step * batch), late)


def test_another_seed_gives_another_order() -> None:
    assert not torch.equal(BatchStream(1000, 100, 0).rows(0), BatchStream(1000, 100, 1).rows(0))


# Rotation


@pytest.mark.parametrize("channels", [1, 3])
def test_no_degrees_change_nothing(channels: int) -> None:
    images = random_images(5, channels)
    assert torch.equal(rotate(images, 0.0, rng(0)), images)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (20, 44)])
def test_rotation_agrees_with_pillow(height: int, width: int) -> None:
    """The same angles turned by Pillow: only pixels whose source lies on a border between two may differ."""
    images = random_images(40, 1, height, width)
    turned = rotate(images, 90.0, rng(1))
    angles = (torch.rand(40, generator=rng(1)) * 2 - 1) * 90.0
    agreed = {}
    for sign in (1, -1):
        expected = [
            np.asarray(Image.fromarray(image[0].numpy()).rotate(sign * angle, Image.Resampling.NEAREST))
            for image, angle in zip(images, angles.tolist(), strict=True)
        ]
        agreed[sign] = float((turned[:, 0].numpy() == np.stack(expected)).mean())
    assert max(agreed.values()) > 0.99
    assert min(agreed.values()) < 0.5


def test_rotation_fills_corners_with_black_and_invents_no_value() -> None:
    images = torch.full((30, 3, 16, 16), 200, dtype=torch.uint8)
    turned = rotate(images, 45.0, rng(2))
    assert set(turned.unique().tolist()) == {0, 200}
    assert bool((turned[:, :, 7:9, 7:9] == 200).all())
    assert torch.equal(turned, rotate(images, 45.0, rng(2)))


# ImageSet


def test_digest_tells_pixels_labels_order_and_shape_apart() -> None:
    images, labels, names = random_images(6), torch.arange(6) % 2, ("a", "b")
    base = ImageSet(images, labels, names)
    other = images.clone()
    other[3, 0, 4, 5] += 1
    variants = [
        ImageSet(images),
        ImageSet(other, labels, names),
        ImageSet(images, 1 - labels, names),
        ImageSet(images.flip(0), labels.flip(0), names),
        ImageSet(images.transpose(2, 3).reshape(6, 1, 12, 9), labels, names),
        ImageSet(images.reshape(6, 1, 12, 9), labels, names),
    ]
    assert len({base.digest, *(variant.digest for variant in variants)}) == 7
    assert ImageSet(images.clone(), labels.clone(), names, name="other", split="test").digest == base.digest


def test_rows_keep_images_and_labels_together() -> None:
    images = random_images(8)
    whole = ImageSet(images, torch.arange(8), tuple("abcdefgh"), "some", "val", {"data": "x"})
    for index in (torch.tensor([5, 2, 2]), torch.arange(8) > 5):
        part = whole.rows(index)
        assert part.labels is not None
        assert torch.equal(part.images, images[part.labels])
        assert (part.name, part.split, part.provenance, part.class_names) == (
            "some",
            "val",
            {"data": "x"},
            whole.class_names,
        )


@pytest.mark.parametrize(
    ("images", "labels", "names"),
    [
        (random_images(3).float(), None, ()),
        (random_images(3)[0, 0], None, ()),
        (random_images(3, channels=2), None, ()),
        (random_images(3), torch.zeros(2, dtype=torch.int64), ("a",)),
        (random_images(3), torch.zeros(3), ("a",)),
        (random_images(3), torch.tensor([0, 1, 2]), ("a", "b")),
        (random_images(3), torch.tensor([0, -1, 1]), ("a", "b")),
    ],
)
def test_what_is_no_image_set_is_refused(
    images: torch.Tensor, labels: torch.Tensor | None, names: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="must"):
        ImageSet(images, labels, names)


# Bytes and floats


@pytest.mark.parametrize(("pixels", "low"), [("signed", -1.0), ("unit", 0.0)])
def test_all_byte_values_survive_the_floats(pixels: PixelRange, low: float) -> None:
    values = torch.arange(256, dtype=torch.uint8)
    floats = to_floats(values, pixels)
    assert floats.dtype == torch.float32
    assert (float(floats.min()), float(floats.max())) == (low, 1.0)
    assert torch.equal(to_bytes(floats, pixels), values)
    assert torch.equal(values, torch.arange(256, dtype=torch.uint8))  # the argument is left as it was


@pytest.mark.parametrize("pixels", ["signed", "unit"])
def test_what_lies_outside_the_range_is_cut(pixels: PixelRange) -> None:
    floats = torch.tensor([-9.0, 9.0, math.inf, -math.inf], requires_grad=True)
    assert to_bytes(floats, pixels).tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_gives_the_pixels_back_and_enlarges_without_blur(channels: int) -> None:
    image = random_images(1, channels)[0]
    for scale in (1, 3):
        read = np.asarray(Image.open(io.BytesIO(to_png(image, scale)))).reshape(9 * scale, 12 * scale, channels)
        np.testing.assert_array_equal(read[::scale, ::scale], image.permute(1, 2, 0).numpy())
        np.testing.assert_array_equal(read, np.repeat(np.repeat(read[::scale, ::scale], scale, 0), scale, 1))


@pytest.mark.parametrize(("count", "columns"), [(1, None), (7, 3), (10, 10), (5, None)])
def test_every_image_lies_in_its_place_of_the_grid(count: int, columns: int | None) -> None:
    images = random_images(count, 3)
    sheet = grid(images, columns, gap=2, background=9)
    across = columns or math.ceil(math.sqrt(count))
    assert sheet.shape == (3, math.ceil(count / across) * 11 + 2, across * 14 + 2)
    covered = torch.zeros(sheet.shape[1:], dtype=torch.bool)
    for place, image in enumerate(images):
        rows = slice(2 + place // across * 11, 2 + place // across * 11 + 9)
        column = slice(2 + place % across * 14, 2 + place % across * 14 + 12)
        assert torch.equal(sheet[:, rows, column], image)
        covered[rows, column] = True
    assert set(sheet[:, ~covered].unique().tolist()) == {9}


# Latents


@given(st.integers(0, 2**62), st.integers(0, 3 * BLOCK), st.integers(0, 2 * BLOCK), st.integers(1, 5))
def test_a_latent_is_known_by_seed_and_index_alone(seed: int, start: int, count: int, dim: int) -> None:
    whole = latents(seed, 0, start + count, dim)
    part = latents(seed, start, start + count, dim)
    assert part.shape == (count, dim)
    assert torch.equal(part, whole[start:])


def test_latents_are_standard_normal_and_each_seed_has_its_own() -> None:
    drawn = latents(0, 0, 4000, 50)
    assert abs(float(drawn.mean())) < 0.01
    assert abs(float(drawn.std()) - 1) < 0.01
    assert len(drawn.unique(dim=0)) == 4000  # no block repeats another
    assert not torch.equal(drawn, latents(1, 0, 4000, 50))


def test_drawing_latents_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    latents(4, 0, 300, 7)
    assert torch.equal(torch.rand(3), expected)


def test_balanced_labels_take_turns_wherever_they_start() -> None:
    assert balanced_labels(0, 12, 5).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert torch.equal(balanced_labels(7, 12, 5), balanced_labels(0, 12, 5)[7:])
