"""Metrics against other people's code, closed forms and brute force."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketgan.metrics.appearance import PART, appearance, strokes
from pocketgan.metrics.distances import Moments, frechet_distance, kernel_distances, moments
from pocketgan.metrics.neighbours import SUBSETS, closeness, manifold, nearest, nearest_other, radii
from pocketgan.metrics.spread import PAIRS, STUDENT, halves, spread


def features(count: int, dim: int, seed: int, scale: float = 1.0) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def whole(count: int) -> Tensor:
    return torch.ones(1, count, dtype=torch.bool)


@pytest.mark.parametrize(
    ("real", "fake", "dim", "scale"), [(300, 300, 16, 1.0), (400, 250, 8, 1.3), (200, 350, 64, 0.6)]
)
def test_precision_recall_density_and_coverage_are_prdcs(real: int, fake: int, dim: int, scale: float) -> None:
    from prdc import compute_prdc

    one, other = features(real, dim, 1), features(fake, dim, 2, scale)
    expected = compute_prdc(one.numpy(), other.numpy(), 5)
    found = manifold(one, other, whole(fake))
    for name, value in expected.items():
        assert getattr(found, name).item() == pytest.approx(float(value), abs=1e-9), name


def test_subsets_in_one_pass_are_what_each_would_be_alone() -> None:
    real, fake = features(150, 6, 3), features(120, 6, 4, 1.2)
    sets = halves(120)[:5]
    together, kernels = manifold(real, fake, sets), kernel_distances(real, fake, sets)
    for row, chosen in enumerate(sets):
        part = fake[chosen]
        alone = manifold(real, part, whole(len(part)))
        for name in ("precision", "recall", "density", "coverage"):
            assert getattr(together, name)[row].item() == pytest.approx(getattr(alone, name).item(), abs=1e-12), name
        assert kernels[row].item() == pytest.approx(kernel_distances(real, part, whole(len(part))).item(), abs=1e-12)


def test_the_frechet_distance_is_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    one, other = moments(features(500, 24, 5)), moments(features(400, 24, 6, 1.5) + 0.3)
    expected = _compute_fid(one.mean, one.covariance, other.mean, other.covariance)
    assert frechet_distance(one, other) == pytest.approx(expected.item(), rel=1e-9)


def test_the_kernel_distance_is_torchmetrics() -> None:
    from torchmetrics.image.kid import poly_mmd

    one, other = features(300, 24, 7), features(300, 24, 8, 1.2)
    expected = poly_mmd(one, other)
    assert kernel_distances(one, other, whole(300)).item() == pytest.approx(expected.item(), rel=1e-9)


@given(st.integers(1, 12), st.integers(0, 2**31), st.floats(0.1, 5.0), st.floats(-3.0, 3.0))
@settings(max_examples=30)
def test_gaussians_with_one_covariance_up_to_a_factor_have_a_closed_form(
    dim: int, seed: int, factor: float, shift: float
) -> None:
    root = torch.randn(dim, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    covariance = root @ root.T
    one = Moments(torch.zeros(dim, dtype=torch.float64), covariance)
    other = Moments(torch.full((dim,), shift, dtype=torch.float64), covariance * factor**2)
    expected = dim * shift**2 + (1 - factor) ** 2 * covariance.trace().item()
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-6 * covariance.trace().item())
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-6, abs=1e-6 * covariance.trace().item())


def test_the_frechet_distance_knows_features_that_never_vary() -> None:
    flat = torch.cat([features(50, 3, 9), torch.zeros(50, 2, dtype=torch.float64)], 1)
    assert frechet_distance(moments(flat), moments(flat)) == pytest.approx(0.0, abs=1e-9)


def test_the_kernel_distance_is_unbiased() -> None:
    values = [kernel_distances(features(60, 4, s), features(60, 4, 1000 + s), whole(60)).item() for s in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 200**0.5
    assert min(values) < 0


def test_turning_the_features_changes_no_distance() -> None:
    one, other = features(200, 10, 10), features(180, 10, 11, 1.1)
    turn = torch.linalg.qr(features(10, 10, 12)).Q
    before = manifold(one, other, whole(180))
    after = manifold(one @ turn, other @ turn, whole(180))
    assert [v.item() for v in before[:4]] == [v.item() for v in after[:4]]
    assert frechet_distance(moments(one @ turn), moments(other @ turn)) == pytest.approx(
        frechet_distance(moments(one), moments(other)), rel=1e-9
    )


def test_neighbours_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketgan.metrics.neighbours.CHUNK_ELEMENTS", 700)  # several bands
    one, other = features(90, 7, 13), features(70, 7, 14)
    every = torch.cdist(one, other)
    found = nearest(one, other)
    assert torch.allclose(found.distance, every.min(1).values)
    assert torch.equal(found.row, every.argmin(1))
    own = torch.cdist(one, one).fill_diagonal_(torch.inf)
    assert torch.allclose(nearest_other(one).distance, own.min(1).values)
    assert torch.allclose(radii(one, 5).sqrt(), own.sort(1).values[:, 4])


def test_copies_lie_at_distance_0_of_their_rows() -> None:
    training, held_out = features(200, 9, 15).float(), features(100, 9, 16).float()
    rows = torch.tensor([7, 150, 3])
    found = closeness(training[rows], training, held_out)
    assert torch.equal(found.row, rows)
    assert found.distance.abs().max() == 0
    assert found.subset_distances.shape == found.held_out_distances.shape == (3, SUBSETS)


def test_fresh_points_lie_as_near_to_training_rows_as_to_held_out_ones() -> None:
    training, held_out, fresh = (features(n, 5, 17 + n).float() for n in (3000, 2500, 2000))
    found = closeness(fresh, training, held_out)
    assert found.subset_distances.mean() == pytest.approx(found.held_out_distances.mean().item(), rel=0.02)
    copied = closeness(training[:1000], training, held_out)
    assert copied.subset_distances.mean() < 0.9 * copied.held_out_distances.mean()


def test_appearance_of_pictures_that_one_can_work_out() -> None:
    images = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    images[1] = 255
    images[2, 0, 2, 6] = 255  # one bright pixel, 2.5 right of the centre and 1.5 above it
    images[3, 0, ::2] = 255  # stripes
    brightness, sharpness, right, down = appearance(images).T
    assert brightness.tolist() == pytest.approx([0, 1, 1 / 64, 0.5])
    assert sharpness[:2].tolist() == [0, 0]
    assert sharpness[3].item() == pytest.approx(0.5 / 0.25)  # no change along rows, all of it between them
    assert right.tolist() == pytest.approx([0, 0, 2.5, 0])
    assert down.tolist() == pytest.approx([0, 0, -1.5, -0.5])


@pytest.mark.parametrize("figures", [appearance, strokes])
def test_the_figures_of_an_image_do_not_depend_on_the_others(figures: Callable[[Tensor], Tensor]) -> None:
    images = (features((2 * PART + 1) * 3, 72, 20) * 60 + 100).clamp(0, 255).to(torch.uint8).reshape(-1, 3, 8, 9)
    found = figures(images)
    for row in (0, PART - 1, PART, 2 * PART):
        assert torch.allclose(found[row], figures(images[row : row + 1])[0], rtol=1e-12)


@given(st.integers(2, 400))
@settings(max_examples=20)
def test_halves_share_no_image_and_leave_none(count: int) -> None:
    sets = halves(count)
    assert len(sets) == 1 + 2 * PAIRS
    assert sets[0].all()
    assert (sets[1::2] ^ sets[2::2]).all()
    assert (sets.sum(1)[1:] - count / 2).abs().max() <= 0.5


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    """Of 400 samples of 60 numbers, the interval from halves must hold the true mean in about 95 %."""
    sets = halves(60)
    held = 0
    for seed in range(400):
        numbers = features(60, 1, 5000 + seed).squeeze(1)
        _, low, high = spread(torch.stack([numbers[chosen].mean() for chosen in sets]))
        held += low <= 0 <= high
    assert 0.91 <= held / 400 <= 0.985


def test_the_interval_is_students() -> None:
    from scipy.stats import t

    assert pytest.approx(t.ppf(0.975, PAIRS)) == STUDENT
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert spread(torch.ones(1 + 2 * PAIRS)) == (1.0, 1.0, 1.0)
