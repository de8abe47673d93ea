"""Batches as a function of (seed, step): what is drawn, how it is cropped, how it is fetched."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pair_folders import numbered_pairs, plain_image, random_image, save, tag_table
from PIL import Image
from pydantic import ValidationError

from eo_contrast.data.image_pairs import ImagePairs, ImageRef, find_image_pairs
from eo_contrast.data.loader import (
    CropConfig,
    batch_at,
    epoch_length,
    prefetched_batches,
    to_network_range,
    to_pixels,
    without_scale_jitter,
)
from eo_contrast.errors import InputError

KEPT = CropConfig(load_size=None, crop_size=8)
WHOLE = CropConfig(load_size=None, crop_size=16, flip_horizontal=False)


@pytest.fixture
def pairs(tmp_path):
    return find_image_pairs(numbered_pairs(tmp_path, 7), "train")


@pytest.fixture
def textured(tmp_path):
    for number in range(5):
        half = random_image(number)
        save(tmp_path / "train" / f"{number}.png", np.hstack([half, 255 - half]))
    return find_image_pairs(tmp_path, "train")


def drawn(pairs, steps, **options):
    options = {"seed": 0, "batch_size": 1, "crop": KEPT, **options}
    return [pair for step in range(steps) for pair in batch_at(pairs, step=step, **options).indices]


def pairs_in_memory(images, tags=("",)):
    """Pairs whose A and B images are ``images``, tagged in turn."""
    store = {f"{number}": image for number, image in enumerate(images)}
    refs = tuple(
        ImageRef(path, "whole", tags[number % len(tags)], None) for number, path in enumerate(store)
    )
    return ImagePairs("folders", refs, refs, True, read=lambda ref: store[ref.path])


def test_a_batch_depends_on_its_arguments_alone(textured):
    once = batch_at(textured, seed=3, step=11, batch_size=2, crop=KEPT)
    batch_at(textured, seed=3, step=12, batch_size=2, crop=KEPT)
    again = batch_at(textured, seed=3, step=11, batch_size=2, crop=KEPT)
    assert torch.equal(once.a, again.a)
    assert torch.equal(once.b, again.b)


@pytest.mark.parametrize("other", [{"seed": 1}, {"step": 1}])
def test_another_seed_or_step_gives_another_batch(textured, other):
    options = {"seed": 0, "step": 0, "batch_size": 4, "crop": KEPT}
    batch = batch_at(textured, **options)
    assert not torch.equal(batch.a, batch_at(textured, **(options | other)).a)


@pytest.mark.parametrize("balance", ["none", "tag", "tag-matched"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("step", [0, 5])
def test_processes_together_hold_the_batch_of_one(balance, aligned, step):
    pairs = pairs_in_memory([random_image(number) for number in range(6)], tags=("x", "y"))
    options = {"seed": 4, "step": step, "crop": KEPT, "balance": balance, "aligned": aligned}
    whole = batch_at(pairs, batch_size=6, **options)
    shares = [batch_at(pairs, batch_size=2, rank=r, world_size=3, **options) for r in range(3)]
    assert torch.equal(torch.cat([share.a for share in shares]), whole.a)
    assert torch.equal(torch.cat([share.b for share in shares]), whole.b)


@given(seed=st.integers(0, 2**32), epoch=st.integers(0, 50), batch_size=st.sampled_from([1, 7]))
def test_every_satellite_image_comes_once_an_epoch(seed, epoch, batch_size):
    pairs = pairs_in_memory([plain_image(0)] * 7)
    first = epoch * 7 // batch_size
    visited = [
        a
        for step in range(first, first + 7 // batch_size)
        for a, _ in batch_at(pairs, seed=seed, step=step, batch_size=batch_size, crop=KEPT).indices
    ]
    assert sorted(visited) == list(range(7))


def test_epochs_differ_in_order(pairs):
    visited = [a for a, _ in drawn(pairs, 14)]
    assert visited[:7] != visited[7:]


def test_an_epoch_is_as_long_as_the_larger_domain(pairs):
    fewer = replace(pairs, a=pairs.a[:3], paired=False)
    assert epoch_length(fewer) == 7
    counts = Counter(a for a, _ in drawn(fewer, 7))
    assert sorted(counts.values()) == [2, 2, 3]


def test_maps_are_drawn_evenly_and_independently_of_the_satellite_images(pairs):
    draws = drawn(pairs, 250, batch_size=14)
    expected = len(draws) / 49
    chi_square = sum(
        (Counter(draws)[a, b] - expected) ** 2 / expected for a in range(7) for b in range(7)
    )
    assert chi_square < 85.4  # 48 degrees of freedom: exceeded once in a thousand


def test_the_pixels_are_those_of_the_images_drawn(pairs):
    batch = batch_at(pairs, seed=0, step=0, batch_size=5, crop=KEPT)
    for sample, (a, b) in enumerate(batch.indices):
        assert torch.all(batch.a[sample] == (torch.tensor(float(a)) / 255 - 0.5) / 0.5)
        assert torch.all(batch.b[sample] == (torch.tensor(100.0 + b) / 255 - 0.5) / 0.5)


def test_aligned_crops_show_the_same_ground(textured):
    crop = CropConfig(load_size=None, crop_size=8, flip_vertical=True, quarter_turns=True)
    for step in range(12):
        batch = batch_at(textured, seed=0, step=step, batch_size=2, crop=crop, aligned=True)
        torch.testing.assert_close(batch.a, -batch.b)  # the maps are negatives of the images


def test_unaligned_crops_do_not(textured):
    same = [
        torch.allclose(batch.a, -batch.b)
        for batch in (
            batch_at(textured, seed=0, step=step, batch_size=1, crop=KEPT) for step in range(20)
        )
    ]
    assert not any(same)


def test_aligned_needs_pairs(pairs):
    with pytest.raises(InputError, match="they are no pairs"):
        batch_at(
            replace(pairs, paired=False), seed=0, step=0, batch_size=1, crop=KEPT, aligned=True
        )


@pytest.fixture
def tagged(tmp_path):
    numbered_pairs(tmp_path, 8)
    rows = {f"train/{n:02}.png": "rare" if n == 0 else "common" for n in range(8)}
    tag_table(tmp_path, rows)
    return find_image_pairs(tmp_path, "train")


def test_balance_draws_every_tag_equally_often_in_both_domains(tagged):
    draws = drawn(tagged, 100, batch_size=10, balance="tag")
    rare_a = np.mean([a == 0 for a, _ in draws])
    rare_b = np.mean([b == 0 for _, b in draws])
    both = np.mean([a == 0 and b == 0 for a, b in draws])
    assert (rare_a, rare_b, both) == pytest.approx((0.5, 0.5, 0.25), abs=0.05)


def test_matched_tags_are_the_same_in_both_domains(tagged):
    draws = drawn(tagged, 20, batch_size=10, balance="tag-matched")
    assert all((a == 0) == (b == 0) for a, b in draws)
    assert np.mean([a == 0 for a, _ in draws]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("balance", ["tag", "tag-matched"])
def test_balance_without_tags_is_refused(pairs, balance):
    with pytest.raises(InputError, match="no image has a tag, so balance must be 'none'"):
        batch_at(pairs, seed=0, step=0, batch_size=1, crop=KEPT, balance=balance)


def test_an_image_is_resized_by_pils_bicubic_filter():
    image = random_image(1, width=30, height=20)
    crop = CropConfig(load_size=16, crop_size=16, flip_horizontal=False)
    batch = batch_at(pairs_in_memory([image]), seed=0, step=0, batch_size=1, crop=crop)
    expected = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(to_pixels(batch.a)[0], expected)


def test_crops_reach_every_corner_and_stay_inside():
    rows, columns = np.mgrid[0:10, 0:12].astype(np.uint8)
    image = np.dstack([rows, columns, rows])
    crop = CropConfig(load_size=None, crop_size=8, flip_horizontal=False)
    batch = batch_at(pairs_in_memory([image]), seed=0, step=0, batch_size=150, crop=crop)
    corners = {tuple(int(v) for v in crop[0, 0, :2]) for crop in to_pixels(batch.a)}
    assert corners == {(top, left) for top in range(3) for left in range(5)}


def variants(**options):
    """The distinct results that the crops of one whole 4-pixel image have."""
    image = random_image(1, width=4, height=4)
    crop = CropConfig(load_size=None, crop_size=4, **options)
    batch = batch_at(pairs_in_memory([image]), seed=0, step=0, batch_size=100, crop=crop)
    return image, {pixels.tobytes() for pixels in to_pixels(batch.a)}


def test_horizontal_flips_mirror_columns():
    image, found = variants(flip_horizontal=True)
    assert found == {image.tobytes(), image[:, ::-1].tobytes()}


def test_vertical_flips_mirror_rows():
    image, found = variants(flip_horizontal=False, flip_vertical=True)
    assert found == {image.tobytes(), image[::-1].tobytes()}


def test_quarter_turns_turn():
    image, found = variants(flip_horizontal=False, quarter_turns=True)
    assert found == {np.rot90(image, turns).tobytes() for turns in range(4)}


def test_all_together_give_the_eight_symmetries_of_the_square():
    _, found = variants(flip_vertical=True, quarter_turns=True)
    assert len(found) == 8


def test_without_scale_jitter_images_are_resized_straight_to_the_crop():
    assert without_scale_jitter(CropConfig()).load_size == 256
    assert without_scale_jitter(KEPT).load_size is None


def test_an_image_smaller_than_the_crop_is_named(pairs):
    crop = CropConfig(load_size=None, crop_size=20)
    with pytest.raises(InputError, match=r"\.png: 16x16 pixels, smaller than crop_size 20"):
        batch_at(pairs, seed=0, step=0, batch_size=1, crop=crop)


def test_a_crop_larger_than_the_load_size_is_refused():
    with pytest.raises(ValidationError, match="crop_size 256 is larger than load_size 128"):
        CropConfig(load_size=128, crop_size=256)


def test_a_crop_that_the_generator_cannot_halve_twice_is_refused():
    with pytest.raises(ValidationError, match="multiple of 4"):
        CropConfig(load_size=None, crop_size=130)


def test_pixels_survive_the_way_to_the_network_and_back():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    there = to_network_range(levels)
    assert (there.min(), there.max()) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(there), levels)


@pytest.mark.parametrize("depth", [1, 3, 50])
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (5, 12)])
def test_fetched_batches_come_in_order_and_all(depth, first, last):
    fetched = prefetched_batches(lambda step: step, first, last, depth=depth)
    assert list(fetched) == list(range(first, last))


def test_batches_are_fetched_ahead_while_one_is_used():
    ahead = threading.Event()

    def fetch(step):
        if step == 1:
            ahead.set()
        return step

    batches = prefetched_batches(fetch, 0, 5, depth=1)
    next(batches)
    assert ahead.wait(timeout=10)
    batches.close()


def test_a_failure_comes_at_its_step():
    def fetch(step):
        if step == 3:
            raise InputError("bad.png")
        return step

    batches = prefetched_batches(fetch, 0, 9, depth=4)
    assert [next(batches) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match=r"bad\.png"):
        next(batches)


def test_leaving_early_stops_the_threads():
    before = threading.active_count()
    batches = prefetched_batches(lambda step: step, 0, 10**9, depth=3)
    next(batches)
    batches.close()
    assert threading.active_count() == before
