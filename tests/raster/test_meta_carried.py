"""What metadata cannot follow a raster is said, and what follows it stays on its ground."""

from __future__ import annotations

import pytest
from rasterio.rpc import RPC
from rasterio.transform import RPCTransformer

from eo_contrast.raster.meta import RasterMeta, on_grid

RPCS = RPC(
    height_off=10.0,
    height_scale=500.0,
    lat_off=45.0,
    lat_scale=0.1,
    line_den_coeff=[1.0] + [0.0] * 19,
    line_num_coeff=[0.0, 0.0, -1.0] + [0.0] * 17,
    line_off=50.0,
    line_scale=50.0,
    long_off=7.0,
    long_scale=0.1,
    samp_den_coeff=[1.0] + [0.0] * 19,
    samp_num_coeff=[0.0, 1.0] + [0.0] * 18,
    samp_off=30.0,
    samp_scale=30.0,
)


def place_in_pixels(rpcs: RPC, longitude: float, latitude: float) -> tuple[float, float]:
    """Row and column, counted from the raster's corner, by GDAL."""
    with RPCTransformer(rpcs) as transformer:
        row, column = transformer.rowcol([longitude], [latitude], zs=[10.0], op=lambda at: at)
        return float(row[0]), float(column[0])


@pytest.mark.parametrize("factor", [4, 2, 0.5])
def test_rpcs_of_another_grid_place_the_same_ground(factor):
    meta = RasterMeta(driver="GTiff", width=60, height=100, dtypes=("uint8",), rpcs=RPCS)
    moved = on_grid(meta, int(100 / factor), int(60 / factor)).rpcs
    row, column = place_in_pixels(RPCS, 6.94, 45.06)
    assert moved is not None
    assert place_in_pixels(moved, 6.94, 45.06) == pytest.approx((row / factor, column / factor))
