"""Small real rasters for tests: one call, one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.rpc import RPC
from rasterio.transform import Affine

RGB = ("red", "green", "blue")
UTM_10M = {"crs": "EPSG:32633", "transform": Affine(10, 0, 500_000, 0, -10, 5_400_000)}
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


def write_raster(
    path: Path,
    values: np.ndarray,
    *,
    edit: Callable[[Any], None] = lambda _dataset: None,
    **profile: Any,
) -> Path:
    """A GeoTIFF of ``values`` (bands, rows, columns); ``edit`` sets what ``profile`` cannot."""
    bands, height, width = values.shape
    options = {"photometric": "RGB"} if bands == 3 and values.dtype == np.uint8 else {}
    options |= {"alpha": "NO"} if bands == 4 else {}
    shape = {"count": bands, "height": height, "width": width, "dtype": values.dtype.name}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", **{"driver": "GTiff", **options, **shape, **profile}) as dataset,
    ):
        edit(dataset)
        dataset.write(values)
    return path


def random_values(bands: int, height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    """Values over the whole range of an integer type; for floats with NaN and infinity."""
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = rng.normal(size=(bands, height, width)).astype(kind)
        values.flat[::7] = np.nan
        values.flat[3::11] = np.inf
        return values
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, (bands, height, width), dtype=kind, endpoint=True)
