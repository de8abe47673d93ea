"""Training's batches and the windows of scoring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sources import Source, coloured, mapped

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.catalog.packed import Layer
from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.batches import (
    Draw,
    Material,
    Window,
    batch_at,
    images_of,
    labels_of,
    read,
    windows_over,
)
from eo_contrast.landcover.label_sets import IGNORED
from eo_contrast.landcover.labels import LabelConfig, labelled_places

CPU = torch.device("cpu")
TURNED = AugmentConfig(flip_horizontal=0.5, flip_vertical=0.5, quarter_turns=True)
KEYS = [(0, number) for number in range(8)]


def material(source: Source, task="classification", size=16, **sensors: str) -> Material:
    given = sensors or {"rgb": "rgb"}
    return Material(
        source,
        {name: sensor_input(source.layers[product]) for name, product in given.items()},
        labelled_places(
            source, task, LabelConfig(), products=list(given.values()), side=source.size
        ),
        size,
    )


def draw(places: int = 16, **changed: int) -> Draw:
    return replace(Draw(seed=0, places=places, batch_size=4, rank=0, world_size=1), **changed)


def test_an_epoch_shows_each_place_once():
    given = material(coloured())
    seen = [at for step in range(4) for at in batch_at(given, draw(), step).positions]
    assert sorted(seen) == list(range(16))


def test_epochs_come_in_different_orders():
    given = material(coloured())
    orders = [
        [
            at
            for step in range(4 * epoch, 4 * epoch + 4)
            for at in batch_at(given, draw(), step).positions
        ]
        for epoch in range(2)
    ]
    assert orders[0] != orders[1]


def test_what_does_not_fill_a_batch_is_left_out():
    assert draw(18).steps_per_epoch == 4
    given = material(coloured(48))
    samples = {each for step in range(12) for each in batch_at(given, draw(18), step).samples}
    assert max(samples) == 2 * 18 + 15
    assert len(samples) == 48


def test_two_processes_see_what_one_would():
    given = material(coloured())
    one = batch_at(given, draw(), 5)
    shares = [batch_at(given, draw(world_size=2, rank=rank), 5) for rank in (0, 1)]
    assert sum((share.positions for share in shares), ()) == one.positions
    assert sum((share.samples for share in shares), ()) == one.samples
    whole = torch.cat([share.counts["rgb"] for share in shares])
    assert torch.equal(whole, one.counts["rgb"])


def test_positions_alone_are_those_of_the_images():
    given = material(coloured())
    alone = batch_at(given, draw(), 2, reads=False)
    assert alone.positions == batch_at(given, draw(), 2).positions
    assert not alone.counts


def test_images_are_standardised_by_band():
    given = material(coloured())
    images = images_of(given, read(given, [3], Window(0, 0, 16)), CPU)["rgb"]
    expected = (given.source.arrays["rgb"][3] / 255 - 0.5) / 0.25
    torch.testing.assert_close(images[0], torch.from_numpy(expected).float())


def test_pixels_without_data_are_the_mean():
    source = coloured()
    source.arrays["rgb"][0, :, 2, 3] = -32768
    given = material(source)
    images = images_of(given, read(given, [0], Window(0, 0, 16)), CPU)["rgb"]
    assert (images[0, :, 2, 3] == 0).all()


def test_larger_places_show_their_middle_and_smaller_ones_are_enlarged():
    source = coloured(size=16)
    for size in (8, 24):
        given = material(source, size=size)
        side = given.seen
        images = images_of(given, read(given, [0], Window(0, 0, side)), CPU)["rgb"]
        assert side == min(size, 16)
        assert images.shape == (1, 3, size, size)


def test_bands_come_in_the_encoders_order():
    source = mapped()
    given = material(source, "segmentation", s2="s2-l2a")
    turned = sensor_input(source.layers["s2-l2a"], ["B04", "B02"])
    given = replace(given, sensors={"s2": turned})
    counts = read(given, [1], Window(0, 0, 16))["s2"]
    expected = source.arrays["s2-l2a"][1][[2, 0]]
    assert torch.equal(counts[0], torch.from_numpy(expected))


def test_training_sees_every_part_of_places_whose_pixels_are_labelled():
    source = mapped()
    given = material(source, "segmentation", size=12, s2="s2-l2a")
    numbers, seen = given.labelled.splits["train"].places.tolist(), np.zeros((16, 16), bool)
    for step in range(60):
        batch = batch_at(given, draw(8), step)
        for row, position in enumerate(batch.positions):
            place = numbers[position]
            image, codes = source.arrays["s2-l2a"][place], given.labelled.maps.whole(place)
            window = _where(batch.counts["s2"][row].numpy(), image)
            assert np.array_equal(codes[window], batch.labels[row].numpy())
            seen[window] = True
    assert seen.all()


def _where(part: np.ndarray, image: np.ndarray) -> tuple[slice, slice]:
    """The only window of an image (bands, S, S) that is a part of it."""
    side = part.shape[-1]
    windows = [
        (slice(top, top + side), slice(left, left + side))
        for top, left in np.ndindex(*[each - side + 1 for each in image.shape[1:]])
    ]
    (found,) = (each for each in windows if np.array_equal(image[:, *each], part))
    return found


def test_training_sees_the_same_windows_again():
    given = material(mapped(), "segmentation", size=6, s2="s2-l2a")
    first, again = (batch_at(given, draw(8), 3).counts["s2"] for _ in range(2))
    assert torch.equal(first, again)
    shares = [batch_at(given, draw(8, world_size=2, rank=rank), 3).counts["s2"] for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), first)


def test_labels_turn_with_the_images():
    given = material(mapped(), "segmentation", s2="s2-l2a", s1="s1-grd")
    places = list(range(8))
    counts = read(given, places, Window(0, 0, 16))
    stored = torch.from_numpy(np.stack([given.labelled.maps.whole(place) for place in places]))
    images = images_of(given, counts, CPU, augment=TURNED, keys=KEYS)
    labels = labels_of(stored, CPU, classes=2, side=16, augment=TURNED, keys=KEYS)
    for name in ("s2", "s1"):
        dark = images[name][:, 0] < images[name][:, 0].mean()
        assert (dark == (labels == 1)).float().mean() > 0.99
    assert not torch.equal(labels, stored.long())


@given(seed=st.integers(0, 999))
def test_turning_labels_changes_no_count_of_any_class(seed):
    drawn = np.random.default_rng(seed).integers(0, 3, (4, 9, 9)).astype(np.uint8)
    drawn[drawn == 2] = IGNORED
    stored = torch.from_numpy(drawn)
    keys = [(seed, number) for number in range(4)]
    labels = labels_of(stored, CPU, classes=2, side=9, augment=TURNED, keys=keys)
    for before, after in zip(stored, labels, strict=True):
        assert torch.equal(
            torch.bincount(before.long().flatten(), minlength=256),
            torch.bincount(after.flatten(), minlength=256),
        )


def test_labels_cut_larger_keep_their_classes():
    stored = torch.zeros(4, 16, 16, dtype=torch.uint8)
    stored[:, :, 8:] = 5
    cut = AugmentConfig(crop_area=(0.2, 1.0))
    labels = labels_of(stored, CPU, classes=6, side=16, augment=cut, keys=KEYS[:4])
    assert set(labels.unique().tolist()) <= {0, 5}


@given(source_side=st.integers(1, 200), side=st.integers(1, 200))
def test_windows_show_every_pixel_once(source_side, side):
    side = min(side, source_side)
    seen = np.zeros(source_side, int)
    for start, fresh in windows_over(source_side, side):
        assert 0 <= start <= source_side - side
        seen[start : start + side][fresh] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_date_is_drawn_as_far_through_the_year_for_each_sensor(share):
    source = mapped()
    dated = _Dated(source, {"s1-grd": 2, "s2-l2a": 4})
    given = replace(material(source, "segmentation", s1="s1-grd", s2="s2-l2a"), source=dated)
    read(given, [0], Window(0, 0, 16), [share])
    assert dated.asked == [("s1-grd", int(2 * share)), ("s2-l2a", int(4 * share))]


class _Dated:
    """A source with several dates, all alike, that remembers which are asked for."""

    def __init__(self, source: Source, dates: dict[str, int]) -> None:
        self._source, self._dates = source, dates
        self.size = source.size
        self.layers: dict[str, Layer] = dict(source.layers)
        self.splits, self.labels = source.splits, source.labels
        self.asked: list[tuple[str, int]] = []

    def dates(self, number: int, product: str) -> int:
        return self._dates[product]

    def crop(self, number: int, product: str, date: int, top: int, left: int, side: int):
        self.asked.append((product, date))
        return self._source.crop(number, product, 0, top, left, side)
