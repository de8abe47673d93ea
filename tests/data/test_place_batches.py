"""Views of places: aligned, in units, and the same whatever reads them and however often."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eo_contrast.catalog.grids import finest_grid
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.catalog.packed import STORAGE, open_pack, packed
from eo_contrast.catalog.table import read_catalogue, write_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.data.place_batches import Draw, Slot, place_batch_at, place_batches
from eo_contrast.data.place_sources import open_places
from eo_contrast.data.places import open_place, place_rows
from eo_contrast.errors import InputError
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

SEASONS = (Slot("anchor", "s2-l2a", 0), Slot("positive", "s2-l2a", 1), Slot("radar", "s1-grd", 0))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An archive of seven places with three dates a sensor, its catalogue and its pack."""
    root = tmp_path_factory.mktemp("places")
    write_archive(root / "a", "ssl4eo-v1", ArchivePlan(7, 3, 48, 1), lambda *_: None)
    ingest(root / "a", root / "whole.parquet")
    table = read_catalogue(root / "whole.parquet")
    places = table.column("place_id").to_pylist()
    splits = pa.array(["test" if place.endswith(("2", "5")) else "train" for place in places])
    position = table.schema.get_field_index("split")
    write_catalogue(root / "c.parquet", table.set_column(position, "split", splits))
    write_pack(plan_pack(root / "c.parquet"), root / "pack")
    return root


def same(one, other):
    return (
        one.places == other.places
        and one.dates == other.dates
        and all(torch.equal(one.counts[name], other.counts[name]) for name in one.counts)
    )


def test_a_pack_holds_what_its_archive_s_views_are(root):
    source = open_places(root / "pack")
    pack = open_pack(root / "pack")
    for number, place in enumerate(pack.places.column("place_id").to_pylist()):
        rows = place_rows(root / "c.parquet", place)
        grid = finest_grid(rows)
        for product, layer in pack.layers.items():
            images = [row for row in rows if row["product"] == product]
            assert source.dates(number, product) == len(images) == 3
            for date, row in enumerate(images):
                view = read_view(row, grid=grid, bands=layer.bands)
                counts = pack.arrays[product][number, date]
                valid = counts != layer.storage.nodata
                assert (valid == view.valid).all()
                values = np.where(valid, counts * layer.storage.scale, 0)
                np.testing.assert_allclose(values, view.values, atol=0.51 * layer.storage.scale)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 40), st.integers(0, 5), st.sampled_from([None, 8, 31]))
def test_packed_or_not_a_batch_is_the_same(root, step, seed, crop):
    draw = Draw(SEASONS, batch_size=3, crop=crop, seed=seed)
    read = [place_batch_at(open_places(root / name), draw, step) for name in ("pack", "c.parquet")]
    side = crop or 48
    assert read[0].counts["anchor"].shape == (3, 12, side, side)
    assert read[0].places == read[1].places
    for slot in SEASONS:
        one, other = (each.counts[slot.name].int() for each in read)
        # A crop is warped by itself: a value on the edge of rounding may fall to either side.
        assert (one - other).abs().max() <= 1
        assert (one != other).float().mean() < 0.01


def test_threads_processes_and_no_reader_ahead_give_the_same_batches(root):
    draw = Draw(SEASONS, batch_size=2, crop=16, seed=3)
    source = open_places(root / "pack")
    alone = [place_batch_at(source, draw, step) for step in range(2, 6)]
    for workers in (0, 2):
        ahead = list(place_batches(root / "pack", draw, 2, 6, workers=workers))
        assert len(ahead) == 4
        assert all(same(one, other) for one, other in zip(alone, ahead, strict=True))


def test_processes_share_a_step_as_one_would_do_it_alone(root):
    source = open_places(root / "pack")
    whole = place_batch_at(source, Draw(SEASONS, batch_size=4, seed=5), 3)
    parts = [
        place_batch_at(source, Draw(SEASONS, batch_size=2, seed=5, rank=rank, world_size=2), 3)
        for rank in (0, 1)
    ]
    assert whole.places == parts[0].places + parts[1].places
    for name, counts in whole.counts.items():
        assert torch.equal(counts, torch.cat([part.counts[name] for part in parts]))


def test_an_epoch_visits_every_place_once_in_an_order_of_its_own(root):
    source = open_places(root / "pack")
    draw = Draw(SEASONS, batch_size=7)
    first, second = (place_batch_at(source, draw, step).places for step in (0, 1))
    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second


@pytest.mark.parametrize("world_size", [1, 2])
def test_no_place_is_twice_in_a_step_of_whole_epochs(root, world_size):
    source = open_places(root / "pack")
    for step in range(8):
        together = [
            place
            for rank in range(world_size)
            for place in place_batch_at(
                source,
                Draw(SEASONS, 3 // world_size, rank=rank, world_size=world_size, whole_epochs=True),
                step,
            ).places
        ]
        assert len(set(together)) == len(together)


def test_samples_of_whole_epochs_are_numbered_past_what_is_left_out(root):
    draw = Draw(SEASONS, 3, whole_epochs=True)
    source = open_places(root / "pack")
    numbers = [place_batch_at(source, draw, step).samples for step in range(3)]
    assert numbers == [(0, 1, 2), (3, 4, 5), (7, 8, 9)]


def test_an_epoch_too_small_for_a_step_is_refused(root):
    with pytest.raises(InputError, match="batch of 8 places: there are 7"):
        place_batch_at(open_places(root / "pack"), Draw(SEASONS, 8, whole_epochs=True), 0)


def test_dates_drawn_with_replacement_may_be_one(root):
    source = open_places(root / "pack")
    found = [
        place_batch_at(source, Draw(SEASONS, 7, repeat_dates=True), step) for step in range(30)
    ]
    pairs = [
        pair
        for batch in found
        for pair in zip(batch.dates["anchor"], batch.dates["positive"], strict=True)
    ]
    equal = sum(one == other for one, other in pairs) / len(pairs)
    assert 0.23 < equal < 0.43  # a third, of three dates
    assert all(batch.dates["anchor"] == batch.dates["radar"] for batch in found)


def test_splits_are_joined_by_plus(root):
    source = open_places(root / "pack")
    both = place_batch_at(source, Draw(SEASONS, 7, split="train+test"), 0)
    assert sorted(both.places) == list(range(7))


def test_slots_of_other_numbers_show_other_dates_and_of_one_number_the_same(root):
    source = open_places(root / "pack")
    batch = place_batch_at(source, Draw(SEASONS, batch_size=7), 0)
    for anchor, positive, radar in zip(*batch.dates.values(), strict=True):
        assert anchor != positive
        assert anchor == radar


def test_only_places_of_the_split_are_drawn(root):
    source = open_places(root / "pack")
    splits = set(source.splits)
    assert splits == {"train", "test"}
    for split in splits:
        draw = Draw(SEASONS, batch_size=9, split=split)
        drawn = place_batch_at(source, draw, 0).places
        assert {source.splits[place] for place in drawn} == {split}


def test_values_are_in_the_product_s_unit_with_no_data_masked(root):
    source = open_places(root / "pack")
    batch = place_batch_at(source, Draw(SEASONS, batch_size=4), 0)
    reflectance, valid = batch.values("anchor")
    assert reflectance.dtype == torch.float32
    assert valid is None
    assert 0 < reflectance.mean() < 1
    decibels, valid = batch.values("radar")
    # The radar's box lies off the optical one: a border of it has no data.
    assert 0.85 < valid.float().mean() < 1
    assert -35 < decibels[valid].mean() < -5
    assert (decibels[~valid] == 0).all()


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (Draw((Slot("a", "s2-l9"),), 1), "product s2-l9: not among those that there are, s1-grd"),
        (Draw(SEASONS, 1, crop=99), "crop 99: the places have 48 pixels"),
        (Draw(SEASONS, 1, split="holdout"), "no place in the split 'holdout' has images of"),
    ],
)
def test_what_cannot_be_drawn_is_refused(root, draw, said):
    with pytest.raises(InputError, match=said):
        next(place_batches(root / "pack", draw, 0, 1, workers=1))


def test_a_pack_is_the_same_to_the_byte_whatever_the_number_of_threads(root):
    write_pack(plan_pack(root / "c.parquet"), root / "again", threads=1)
    for path in (root / "pack").iterdir():
        assert path.read_bytes() == (root / "again" / path.name).read_bytes()


def test_places_larger_than_the_size_are_cut_into_squares(root):
    plan = plan_pack(root / "c.parquet", size=20, dates=2)
    squares = [patch for patch in plan.patches if patch.place_id == plan.patches[0].place_id]
    assert [(patch.row, patch.column) for patch in squares] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert plan.layers["s2-l1c"].dates == 2
    write_pack(plan, root / "squares")
    assert len(open_pack(root / "squares")) == 28
    source, whole = open_places(root / "squares"), open_places(root / "pack")
    # Of three dates two are kept, evenly: the first and the last.
    part = whole.crop(0, "s2-l1c", 2, 4, 24, 20)
    np.testing.assert_allclose(source.crop(1, "s2-l1c", 1, 0, 0, 20), part, atol=1)


def test_a_pack_cut_short_or_of_another_kind_is_refused(root, tmp_path):
    with pytest.raises(InputError, match=r"is no pack \(no pack\.json\)"):
        open_pack(tmp_path)
    write_pack(plan_pack(root / "c.parquet"), tmp_path / "p")
    array = tmp_path / "p" / "s2-l1c.npy"
    array.write_bytes(array.read_bytes()[:1000])
    with pytest.raises(InputError, match="missing or damaged"):
        open_pack(tmp_path / "p")


@given(st.lists(st.floats(-400, 400), min_size=1, max_size=20), st.sampled_from(sorted(STORAGE)))
def test_no_value_becomes_no_data(values, product):
    storage = STORAGE[product]
    array = np.array(values).reshape(1, 1, -1)
    stored = packed(array, np.ones(array.shape[1:], bool), storage)
    assert (stored != storage.nodata).all()
    fits = np.abs(array / storage.scale) < 32767
    if product == "label":
        fits &= array >= 0
    np.testing.assert_allclose((stored * storage.scale)[fits], array[fits], atol=storage.scale)


def test_a_place_opens_as_time_band_y_x(root):
    place = read_catalogue(root / "c.parquet").column("place_id")[0].as_py()
    dataset = open_place(root / "c.parquet", place)
    assert dataset["image"].dims == ("time", "band", "y", "x")
    assert dict(dataset.sizes) == {"time": 9, "band": 15, "y": 48, "x": 48}
    assert (np.diff(dataset["time"].values) >= np.timedelta64(0)).all()
    radar = dataset["image"].sel(band="VV").isel(time=dataset["product"].values == "s1-grd")
    assert -40 < float(radar.mean()) < 0
    optical = dataset["image"].sel(band="B10").isel(time=dataset["product"].values == "s2-l2a")
    assert optical.isnull().all()
    assert dataset.attrs["crs"] == "EPSG:32632"
    assert float(dataset["x"][1] - dataset["x"][0]) == 10
    assert set(open_place(root / "c.parquet", place, products=["s1-grd"])["band"].values) == {
        "VV",
        "VH",
    }


def test_a_place_with_labels_has_them_by_name(tmp_path):
    write_archive(tmp_path / "a", "sen12ms", ArchivePlan(1, 1, 32), lambda *_: None)
    ingest(tmp_path / "a", tmp_path / "c.parquet")
    place = read_catalogue(tmp_path / "c.parquet").column("place_id")[0].as_py()
    dataset = open_place(tmp_path / "c.parquet", place)
    assert dataset["igbp"].dims == ("y", "x")
    assert set(np.unique(dataset["igbp"])) <= set(range(1, 18))


def test_a_place_that_is_not_there_is_told_with_one_that_is(root):
    with pytest.raises(InputError, match="has no place 'mars'; one that it has is 'ssl4eo-v1/"):
        open_place(root / "c.parquet", "mars")
    place = read_catalogue(root / "c.parquet").column("place_id")[0].as_py()
    with pytest.raises(InputError, match="has no rgb, but s1-grd s2-l1c s2-l2a"):
        open_place(root / "c.parquet", place, products=["rgb"])


@pytest.mark.parametrize("layout", ["ssl4eo-v1.1", "so2sat"])
def test_processes_read_files_of_many_places_that_this_one_has_open(layout, tmp_path):
    plan = ArchivePlan(places=3, dates=1, size=32)
    write_archive(tmp_path / "a", layout, plan, lambda *_: None)
    ingest(tmp_path / "a", tmp_path / "c.parquet")
    draw = Draw((Slot("optical", "s2-l1c"), Slot("radar", "s1-grd")), batch_size=2, crop=16)
    here, there = (
        list(place_batches(tmp_path / "c.parquet", draw, 0, 3, workers=workers))
        for workers in (0, 2)
    )
    assert len(here) == len(there) == 3
    for one, other in zip(here, there, strict=True):
        assert one.places == other.places
        assert all(torch.equal(one.counts[name], other.counts[name]) for name in one.counts)
