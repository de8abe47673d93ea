"""What synth writes, ingest reads: pixels, bands, labels, dates, units of every layout."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import zarr
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

from eo_contrast.bands import decibel
from eo_contrast.catalog.grids import grid_of
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.catalog.views import read_view
from eo_contrast.synth.archives import ARCHIVES, image_count, write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.synth.archives.series import RADAR_MOVED

# Five places: two scenes of SEN12MS, both splits of DFC2020, years before and after baseline 04.00.
PLAN = ArchivePlan(places=5, dates=2, size=30, seed=3)


def quietly(_done: int, _what: str = "") -> None:
    pass


@pytest.fixture(scope="module", params=ARCHIVES)
def layout(request):
    return request.param


@pytest.fixture(scope="module")
def archive(layout, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("archive") / layout
    assert write_archive(root, layout, PLAN, quietly) == image_count(layout, PLAN)
    return root


@pytest.fixture(scope="module")
def summary(archive):
    return ingest(archive, archive.with_suffix(".parquet"))


@pytest.fixture(scope="module")
def pairs(layout, archive, summary):
    """Each image as it was written, with the row that tells of its files."""
    rows = read_catalogue(archive.with_suffix(".parquet")).to_pylist()
    by_files = {(*files_of(row), *row["part"]): row for row in rows}
    images = list(ARCHIVES[layout].images(PLAN))
    return [
        (image, by_files[(*(archive / name for name in image.files), *image.part)])
        for image in images
    ]


def files_of(row):
    root = Path(row["href"])
    return [root / name for name in row["files"]] if row["files"] else [root]


def stored(path: Path, part: tuple[int, ...]):
    if path.suffix in (".jpg", ".png"):
        return np.moveaxis(np.asarray(Image.open(path)), -1, 0)
    if path.suffix == ".zip":
        store = zarr.storage.ZipStore(path, mode="r")
        return zarr.open_group(store, mode="r", zarr_format=2)["bands"][part]
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            channels = np.moveaxis(file[f"sen{part[0]}"][part[1]], -1, 0)
        return channels[[5, 4]] if part[0] == 1 else channels
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_every_image_is_found_and_the_layout_with_it(layout, summary):
    assert summary["layout"] == layout
    assert summary["skipped"] == []
    assert summary["rows"] == image_count(layout, PLAN)
    assert summary["places"] == PLAN.places


def test_bands_products_dates_labels_and_splits_are_those_written(pairs):
    for image, row in pairs:
        assert tuple(row["bands"]) == tuple(image.bands)
        assert row["product"] == image.product
        assert row["datetime"] == image.date
        assert row["label"] == image.label
        assert row["split"] == image.split


def test_images_of_one_place_have_one_place_id(pairs):
    places = {(image.place, row["place_id"]) for image, row in pairs}
    assert len(places) == PLAN.places == len({place for place, _ in places})


@pytest.mark.filterwarnings("ignore", category=NotGeoreferencedWarning)
def test_pixels_are_those_written(layout, pairs):
    for image, row in pairs:
        files = files_of(row)
        read = [stored(path, image.part) for path in files]
        planes = read[0] if len(files) == 1 else [plane[0] for plane in read]
        for plane, raster in zip(planes, image.bands.values(), strict=True):
            if layout == "eurosat-rgb":  # JPEG loses a little
                assert np.abs(plane.astype(int) - raster.values).mean() < 5
            else:
                np.testing.assert_array_equal(plane, raster.values)


# A picture loses by JPEG; ground-range products and So2Sat have no grid (see their own tests).
OWN_GRID = sorted(set(ARCHIVES) - {"eurosat-rgb", "s1-grd", "so2sat"})


@pytest.mark.parametrize("layout", OWN_GRID, indirect=True)
def test_values_are_counts_by_scale_and_offset_on_the_finest_grid(pairs):
    for image, row in pairs:
        finest = max(raster.values.shape for raster in image.bands.values())
        names = [name for name, each in image.bands.items() if each.values.shape == finest]
        view = read_view(row, bands=names)
        transform = tuple(image.bands[names[0]].transform)[:6]
        np.testing.assert_allclose(row["proj:transform"], transform, rtol=1e-12)
        assert view.valid.all()
        counts = np.stack([image.bands[name].values for name in names])
        if image.product == "label":
            np.testing.assert_array_equal(view.values, counts)
            continue
        expected = (counts.astype(np.float64) + image.offset) * image.scale
        if image.unit == "linear":
            expected, _ = decibel(counts)
        np.testing.assert_allclose(view.values, expected, rtol=1e-5, atol=1e-6)


def test_nothing_of_a_synthetic_archive_is_wrong(layout, archive, summary):
    problems = verify_table(read_catalogue(archive.with_suffix(".parquet")))
    # Halves of neighbouring patches are shared as in the real archive, which has no split.
    assert [problem for problem in problems if problem.kind != "overlap-of-splits"] == []


@pytest.mark.parametrize("layout", ["s2-safe", "ssl4eo-v1"], indirect=True)
def test_the_counts_added_since_baseline_4_are_told_image_by_image(pairs):
    offsets = {(row["s2:processing_baseline"], row["offset"]) for _, row in pairs} - {(None, 0.0)}
    assert offsets == {("03.01", 0.0), ("04.00", -1000.0)}


@pytest.mark.parametrize("layout", ["ssl4eo-v1"], indirect=True)
def test_the_radar_s_box_of_ssl4eo_lies_pixels_off_the_optical_one(pairs):
    first = {image.product: grid_of(row) for image, row in reversed(pairs) if image.place == 0}
    away = ~first["s2-l1c"].transform @ first["s1-grd"].transform
    assert (away.f, away.c) == RADAR_MOVED
