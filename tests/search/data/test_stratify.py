import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.data.stratify import complement, stratified_sample


@st.composite
def labels_and_size(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    class_sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12))
    labels = np.repeat(np.arange(len(class_sizes)), class_sizes)
    np.random.default_rng(draw(st.integers(0, 100))).shuffle(labels)
    return labels, draw(st.integers(len(class_sizes), len(labels)))


@given(labels_and_size(), st.integers(0, 5))
def test_a_sample_has_its_size_and_no_image_twice(case: tuple[np.ndarray, int], seed: int) -> None:
    labels, size = case
    sample = stratified_sample(labels, size, seed=seed)
    assert len(sample) == size
    assert np.array_equal(sample, np.unique(sample))
    rest = complement(sample, len(labels))
    assert np.array_equal(np.sort(np.concatenate((sample, rest))), np.arange(len(labels)))


@given(labels_and_size())
def test_every_class_is_there_and_none_exceeds_its_share(case: tuple[np.ndarray, int]) -> None:
    labels, size = case
    exact = np.bincount(labels) * size / len(labels)
    shares = np.bincount(labels[stratified_sample(labels, size, seed=0)], minlength=len(exact))
    assert (shares >= 1).all()
    assert (shares <= np.maximum(np.ceil(exact), 1)).all()


def test_shares_are_exact_where_they_are_whole() -> None:
    labels = np.tile(np.arange(10), 500)
    assert np.bincount(labels[stratified_sample(labels, 700, seed=0)]).tolist() == [70] * 10


def test_a_smaller_sample_lies_within_a_larger_one() -> None:
    labels = np.tile(np.arange(10), 50)
    small, large = (stratified_sample(labels, size, seed=4) for size in (100, 300))
    assert set(small.tolist()) < set(large.tolist())


def test_the_sample_of_a_seed_never_changes() -> None:
    labels = np.tile(np.arange(3), 8)
    assert stratified_sample(labels, 6, seed=1).tolist() == [2, 9, 14, 16, 18, 19]
    assert stratified_sample(labels, 6, seed=2).tolist() != [2, 9, 14, 16, 18, 19]


@pytest.mark.parametrize("taken", [[], [0, 3], [0, 1, 2, 3]])
def test_complement_is_what_is_left(taken: list[int]) -> None:
    left = complement(np.array(taken, dtype=np.int64), 4)
    assert sorted(left.tolist() + taken) == [0, 1, 2, 3]
