"""Polygons as GeoPackage, GeoJSON, FlatGeobuf and GeoParquet."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.crs import CRS

from eo_contrast.errors import InputError, WorldError
from eo_contrast.raster.outlines import Polygons

GEOJSON_DIGITS = 7
EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Features:
    """Polygons in the raster's CRS with their columns; ``area_m2`` is NaN where not known."""

    classes: NDArray[np.object_]
    area_m2: NDArray[np.float64]
    colours: NDArray[np.object_]
    polygons: Polygons


@dataclass(frozen=True)
class Target:
    """What to write and where; ``pixel_m`` is None without a place on the Earth."""

    path: Path
    layer: str
    crs: CRS | None
    pixel_m: float | None


def refuse_unwritable(out: Path) -> None:
    """Refuse a path that polygons cannot be written to, before any work.

    Raises:
        InputError: the suffix is not one of ``WRITERS``, or its format needs a package.
    """
    if out.suffix.lower() not in WRITERS:
        raise InputError(
            f"{out}: polygons are written as {', '.join(WRITERS)}; give a name that ends so"
        )
    if out.suffix.lower() == ".parquet":
        try:
            import_module("pyarrow")
        except ImportError as error:
            raise InputError(
                f"{out}: GeoParquet needs the package pyarrow; install it, or write .gpkg"
            ) from error


def _write_gpkg(target: Target, batches: Iterator[Features]) -> None:
    # GeoPackages note when they were changed; the same map is to give the same bytes.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": EPOCH})
    try:
        for index, features in enumerate(batches):
            _write_layer(target, features, "GPKG", append=index > 0)
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def _write_fgb(target: Target, batches: Iterator[Features]) -> None:
    _write_layer(target, _together(batches), "FlatGeobuf")


def _write_geojson(target: Target, batches: Iterator[Features]) -> None:
    # A hundredth of a pixel; a degree is about 111 km.
    digits = math.ceil(-math.log10((target.pixel_m or 1) / 111_000 / 100))
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": str(max(digits, GEOJSON_DIGITS))}
    _write_layer(target, _together(batches), "GeoJSON", options=options)


def _write_layer(
    target: Target,
    features: Features,
    driver: str,
    *,
    append: bool = False,
    options: Mapping[str, str] | None = None,
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.raw.write(
            target.path,
            geometry=shapely.to_wkb(features.polygons),
            field_data=[features.classes, features.area_m2, features.colours],
            fields=["class", "area_m2", "colour"],
            layer=target.layer,
            driver=driver,
            # RFC 7946 cuts polygons in two at the antimeridian.
            geometry_type="Unknown" if driver == "GeoJSON" else "Polygon",
            crs=target.crs and target.crs.to_wkt(version="WKT2_2019"),
            append=append,
            layer_options=dict(options or {}),
        )


def _write_parquet(target: Target, batches: Iterator[Features]) -> None:
    import pyarrow
    from pyarrow import parquet

    # 'crs' left out would mean longitude and latitude.
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": target.crs and target.crs.to_dict(projjson=True),
        "orientation": "counterclockwise",
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    schema = pyarrow.schema(
        [
            ("class", pyarrow.string()),
            ("area_m2", pyarrow.float64()),
            ("colour", pyarrow.string()),
            ("geometry", pyarrow.binary()),
        ],
        metadata={"geo": json.dumps(geo)},
    )
    with parquet.ParquetWriter(target.path, schema) as writer:
        for features in batches:
            columns = [
                pyarrow.array(features.classes, pyarrow.string()),
                pyarrow.array(features.area_m2, from_pandas=True),  # NaN to null
                pyarrow.array(features.colours, pyarrow.string()),
                pyarrow.array(shapely.to_wkb(features.polygons), pyarrow.binary()),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))


def _together(batches: Iterator[Features]) -> Features:
    every = list(batches)
    return Features(
        classes=np.concatenate([each.classes for each in every]),
        area_m2=np.concatenate([each.area_m2 for each in every]),
        colours=np.concatenate([each.colours for each in every]),
        polygons=np.concatenate([each.polygons for each in every]),
    )


WRITERS: dict[str, Callable[[Target, Iterator[Features]], None]] = {
    ".gpkg": _write_gpkg,
    ".geojson": _write_geojson,
    ".parquet": _write_parquet,
    ".fgb": _write_fgb,
}


def verify(out: Path, count: int) -> None:
    """Count what is in the file: GDAL's close stays silent about what was lost."""
    if out.suffix.lower() == ".parquet":
        from pyarrow import parquet

        held = parquet.read_metadata(out).num_rows
    else:
        held = pyogrio.read_info(out, force_feature_count=True)["features"]
    if held != count:
        raise WorldError(f"{out}: holds {held} of {count} polygons; free some space and run again")


@contextmanager
def failures_named(out: Path) -> Iterator[None]:
    try:
        yield
    except (DataSourceError, DataLayerError) as error:
        cause = " ".join(str(error).split())
        raise WorldError(
            f"{out}: writing failed ({cause}); free some space and run again"
        ) from error
