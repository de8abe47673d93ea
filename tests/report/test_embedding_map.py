"""Vectors laid flat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eo_contrast.report.embedding_map import evenly, laid_flat


def cloud(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def test_points_keep_the_distances_of_vectors_that_lie_in_a_plane():
    plane, _ = np.linalg.qr(cloud(9, 9))
    angles = np.random.default_rng(1).uniform(0, 6, 30)
    vectors = (np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane[:2]).astype(np.float32)
    points, share = laid_flat(vectors)
    assert share == pytest.approx(1)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.testing.assert_allclose(
        np.linalg.norm(points[:, None] - points[None], axis=2), apart, atol=1e-5
    )


def test_the_first_axis_keeps_more_and_both_are_centred():
    points, share = laid_flat(cloud(50, 8))
    assert points[:, 0].std() >= points[:, 1].std()
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-12)
    assert 0 < share < 1


def test_a_vectors_length_means_nothing():
    vectors = cloud(20, 6)
    longer = vectors * np.arange(1, 21, dtype=np.float32)[:, None]
    np.testing.assert_allclose(laid_flat(vectors)[0], laid_flat(longer)[0], atol=1e-5)


@pytest.mark.parametrize(("count", "width"), [(1, 5), (2, 5), (5, 1), (3, 2)])
def test_few_vectors_or_short_ones_are_points_too(count, width):
    points, share = laid_flat(cloud(count, width))
    assert points.shape == (count, 2)
    assert np.isfinite(points).all() and 0 <= share <= 1 + 1e-9


@given(count=st.integers(0, 300), most=st.integers(1, 50))
def test_rows_are_chosen_evenly_and_each_once(count, most):
    chosen = evenly(np.arange(count), most)
    assert len(chosen) == min(count, most)
    assert (np.diff(chosen) > 0).all()
