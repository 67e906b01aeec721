"""Error rates, intervals and confusions, against independent references."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pocketgan.metrics.labels import confusion, error_rate, label_counts, least_sure, wilson_interval


@given(st.integers(1, 20_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_intervals_are_scipys(pair: tuple[int, int]) -> None:
    errors, count = pair
    expected = binomtest(errors, count).proportion_ci(method="wilson")
    assert wilson_interval(errors, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_error_rates_count_what_they_say() -> None:
    rate = error_rate(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 0, 0]))
    assert (rate.errors, rate.count, rate.error) == (2, 4, 0.5)
    assert str(rate).startswith("2 of 4 read wrongly: 50.00%")


@pytest.mark.parametrize(("read", "labels"), [(torch.zeros(3), torch.zeros(2)), (torch.zeros(0), torch.zeros(0))])
def test_error_rates_need_one_reading_for_each_label(read: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="one reading for each label"):
        error_rate(read, labels)


def test_confusion_has_labels_in_rows_and_readings_in_columns() -> None:
    table = confusion(torch.tensor([1, 1, 0, 2]), torch.tensor([0, 1, 0, 2]), 3)
    assert table == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert label_counts(torch.tensor([1, 1, 0, 2]), 4) == [1, 2, 1, 0]


def test_the_least_sure_come_first() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    assert [(row, read) for row, read, _ in least_sure(probabilities, 2)] == [(1, 1), (2, 1)]
