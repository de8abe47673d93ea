"""Masks that bands have for themselves, as a VRT holds them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import write_raster

from eo_contrast.raster.meta import mask_bands
from eo_contrast.raster.reader import RasterSource, open_raster

HEIGHT, WIDTH = 4, 6
VRT_BAND = """
<VRTRasterBand dataType="Byte" band="{band}">
  <SimpleSource>
    <SourceFilename relativeToVRT="1">values.tif</SourceFilename><SourceBand>1</SourceBand>
  </SimpleSource>
  {mask}
</VRTRasterBand>"""
VRT_MASK = """
<MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>
  <SourceFilename relativeToVRT="1">masks.tif</SourceFilename><SourceBand>{band}</SourceBand>
</SimpleSource></VRTRasterBand></MaskBand>"""


@pytest.fixture
def masks() -> np.ndarray:
    """Of two bands: the first lacks its upper rows, the second its left columns."""
    masks = np.full((2, HEIGHT, WIDTH), 255, np.uint8)
    masks[0, :1] = 0
    masks[1, :, :2] = 0
    return masks


@pytest.fixture
def raster(tmp_path: Path, masks: np.ndarray) -> Path:
    """Three bands, of which two have masks."""
    write_raster(tmp_path / "values.tif", np.full((1, HEIGHT, WIDTH), 7, np.uint8))
    write_raster(tmp_path / "masks.tif", masks)
    bands = "".join(
        VRT_BAND.format(band=band, mask=VRT_MASK.format(band=band) if band < 3 else "")
        for band in (1, 2, 3)
    )
    path = tmp_path / "a.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}">{bands}</VRTDataset>'
    )
    return path


@pytest.mark.parametrize("own_mask_only", [False, True])
@pytest.mark.parametrize("indexes", [(1,), (2,), (2, 1), (3, 2, 1)])
def test_a_pixel_is_valid_where_the_masks_of_all_chosen_bands_say_so(
    raster, masks, indexes, own_mask_only
):
    with open_raster(raster) as (dataset, meta):
        source = RasterSource(dataset, meta, indexes, own_mask_only=own_mask_only)
        valid = source.read(0, HEIGHT, 0, WIDTH).valid
    expected = (masks[[index - 1 for index in indexes if index < 3]] > 0).all(axis=0)
    assert source.may_be_invalid
    np.testing.assert_array_equal(valid, expected)


def test_masks_of_other_bands_do_not_count(raster):
    with open_raster(raster) as (dataset, meta):
        source = RasterSource(dataset, meta, (3,))
        assert meta.masked
        assert not source.may_be_invalid
        assert source.read(0, HEIGHT, 0, WIDTH).valid.all()


def test_a_mask_that_all_bands_share_is_read_once(tmp_path):
    def mask(dataset) -> None:
        dataset.write_mask(np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) > 0)

    path = write_raster(tmp_path / "a.tif", np.ones((2, HEIGHT, WIDTH), np.uint8), edit=mask)
    with rasterio.open(path) as dataset:
        assert mask_bands(dataset, (2, 1)) == [2]
