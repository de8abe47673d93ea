"""Images of a catalogue as colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.views import View, read_view
from eo_contrast.report.image_colours import colours, contrast, read_middle
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan


def first_row(folder: Path, layout: str, product: str):
    plan = ArchivePlan(places=1, dates=1, size=41)
    write_archive(folder / layout, layout, plan, lambda _done, _what="": None)
    ingest(folder / layout, folder / "c.parquet")
    rows = read_catalogue(folder / "c.parquet").to_pylist()
    return next(row for row in rows if row["product"] == product)


@pytest.mark.parametrize(
    ("layout", "product", "bands"),
    [
        ("eurosat-rgb", "rgb", ("red", "green", "blue")),
        ("ssl4eo-v1", "s2-l2a", ("B04", "B03", "B02")),
        ("ssl4eo-v1", "s1-grd", ("VV", "VH")),
    ],
)
def test_the_middle_is_cut_from_the_whole_in_the_bands_shown(tmp_path, layout, product, bands):
    row = first_row(tmp_path, layout, product)
    height, width = row["proj:shape"]
    top, left = (height - 16) // 2, (width - 16) // 2
    middle, whole = read_middle(row, 16), read_view(row, bands=bands)
    assert middle.bands == bands
    expected = whole.values[:, top : top + 16, left : left + 16]
    np.testing.assert_allclose(middle.values, expected, atol=1e-6)
    assert read_middle(row, 500).values.shape == whole.values.shape


def reflectances(values: np.ndarray) -> View:
    return View(("B04", "B03", "B02"), values, np.ones(values.shape[1:], bool))


def test_images_that_are_compared_share_their_black_and_white():
    row = {"product": "s2-l2a", "sensor": "s2"}
    ramp = np.linspace(0, 0.2, 48, dtype=np.float32).reshape(3, 4, 4)
    dark, light = reflectances(ramp), reflectances(ramp + np.float32(0.5))
    np.testing.assert_allclose(colours(row, dark), colours(row, light), atol=1e-4)
    limits = contrast([dark, light])
    assert colours(row, dark, limits).max() < colours(row, light, limits).min()


def test_nothing_has_no_contrast_and_is_white():
    view = View(("B04", "B03", "B02"), np.zeros((3, 4, 4), np.float32), np.zeros((4, 4), bool))
    assert contrast([view]) is None
    assert contrast([]) is None
    assert (colours({"product": "s2-l2a", "sensor": "s2"}, view) == 1).all()
