"""The catalogue: a stac-geoparquet file with one row an image.

Each row is a STAC Item whose properties are columns; DuckDB, QGIS and geopandas open it. The one
asset is ``data``; ``files`` names the parts of it where a band has a file of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from shapely.geometry.base import BaseGeometry

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.headers import Described
from eo_contrast.catalog.images import Image
from eo_contrast.errors import InputError
from eo_contrast.files import whole_file

STAC_VERSION = "1.1.0"
EXTENSIONS = ("https://stac-extensions.github.io/projection/v2.0.0/schema.json",)
FACTS = ("s2:processing_baseline", "eo:cloud_cover", "sat:orbit_state")

_BOX = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])
_ASSET = pa.struct([("href", pa.string()), ("roles", pa.list_(pa.string()))])
_LINK = pa.struct([("href", pa.string()), ("rel", pa.string())])
SCHEMA = pa.schema(
    [
        ("type", pa.string()),
        ("stac_version", pa.string()),
        ("stac_extensions", pa.list_(pa.string())),
        ("id", pa.string()),
        ("geometry", pa.binary()),
        ("bbox", _BOX),
        ("links", pa.list_(_LINK)),
        ("assets", pa.struct([("data", _ASSET)])),
        ("collection", pa.string()),
        ("datetime", pa.timestamp("us", tz="UTC")),
        ("place_id", pa.string()),
        ("sensor", pa.string()),
        ("product", pa.string()),
        ("href", pa.string()),
        ("files", pa.list_(pa.string())),
        ("part", pa.list_(pa.int64())),
        ("bands", pa.list_(pa.string())),
        ("dtype", pa.string()),
        ("scale", pa.float64()),
        ("offset", pa.float64()),
        ("unit", pa.string()),
        ("nodata", pa.float64()),
        ("proj:code", pa.string()),
        ("proj:transform", pa.list_(pa.float64())),
        ("proj:shape", pa.list_(pa.int64())),
        ("split", pa.string()),
        ("layout", pa.string()),
        ("label", pa.string()),
        *((name, pa.string()) for name in FACTS),
        ("source_bytes", pa.int64()),
        ("source_modified_ns", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Row:
    """An image, and what its files' headers say.

    Attributes:
        source_bytes, source_modified_ns: of all files together; they tell a changed image.
    """

    image: Image
    layout: str
    described: Described
    source_bytes: int
    source_modified_ns: int


def write_catalogue(path: Path, table: pa.Table) -> None:
    """Write the catalogue, whole or not at all; equal tables give equal bytes.

    Raises: WorldError: the disk is full or failing.
    """
    with whole_file(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def read_catalogue(path: Path | str) -> pa.Table:
    """The catalogue's table, a row an image.

    >>> table = eo_contrast.read_catalogue("catalogue.parquet")
    >>> sorted(set(table.column("product").to_pylist()))
    ['label', 's1-rtc', 's2-l2a']

    Raises: InputError: no such file, not parquet, or not a catalogue of images.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such catalogue; make one with eo-contrast ingest")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: is not readable as a catalogue ({error})") from error
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(
            f"{path}: is no catalogue of eo-contrast: the columns {' '.join(missing)} are missing"
        )
    # Parquet names the elements of lists in its own way.
    return table.select(SCHEMA.names).cast(SCHEMA.with_metadata(table.schema.metadata))


def as_table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table, in the order of their ids, with the metadata of GeoParquet."""
    ordered = sorted(rows, key=lambda row: row.image.id)
    return _with_geo(pa.Table.from_pylist([_item(row) for row in ordered], schema=SCHEMA))


def joined(one: pa.Table, other: pa.Table) -> pa.Table:
    """Both tables' rows; of equal ids that of ``other``; in the order of ids."""
    replaced = set(other.column("id").to_pylist())
    keep = np.array([name not in replaced for name in one.column("id").to_pylist()], dtype=bool)
    kept = one.select(SCHEMA.names).filter(pa.array(keep)).replace_schema_metadata()
    both = pa.concat_tables([kept, other.replace_schema_metadata()])
    return _with_geo(both.sort_by("id").combine_chunks())


def _item(row: Row) -> dict[str, Any]:
    image, told = row.image, row.described
    href, parts = _located(image.files)
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": image.id,
        "geometry": None if told.footprint is None else shapely.to_wkb(told.footprint),
        "bbox": None if told.footprint is None else _box(told.footprint),
        "links": [],
        "assets": {"data": {"href": href, "roles": ["data"]}},
        "collection": row.layout,
        "datetime": image.date,
        "place_id": image.place_id,
        "sensor": image.sensor,
        "product": image.product,
        "href": href,
        "files": parts,
        "part": list(image.part),
        "bands": list(told.bands or image.bands),
        "dtype": told.dtype,
        "scale": image.scale,
        "offset": image.offset,
        "unit": image.unit or _unit(image.product),
        "nodata": image.nodata,
        "proj:code": told.code or None,
        "proj:transform": list(told.transform) or None,
        "proj:shape": list(told.shape),
        "split": image.split,
        "layout": row.layout,
        "label": image.label,
        **{name: image.facts.get(name) for name in FACTS},
        "source_bytes": row.source_bytes,
        "source_modified_ns": row.source_modified_ns,
    }


def _unit(product: str) -> str:
    return PRODUCTS[product].unit if product in PRODUCTS else ""


def _located(files: Sequence[Path]) -> tuple[str, list[str]]:
    """The one file, or the files' common folder and their names in it."""
    whole = [path.resolve() for path in files]
    if len(whole) == 1:
        return str(whole[0]), []
    folder = Path(os.path.commonpath(whole))
    return str(folder), [path.relative_to(folder).as_posix() for path in whole]


def _box(footprint: BaseGeometry) -> dict[str, float]:
    return dict(zip(("xmin", "ymin", "xmax", "ymax"), footprint.bounds, strict=True))


def _with_geo(table: pa.Table) -> pa.Table:
    """Say which column is geometry, as GeoParquet 1.1 does."""
    kinds = sorted({shapely.from_wkb(wkb).geom_type for wkb in _present(table)})
    column = {
        "encoding": "WKB",
        "geometry_types": kinds,
        "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return table.replace_schema_metadata({"geo": json.dumps(geo, sort_keys=True)})


def _present(table: pa.Table) -> Iterator[bytes]:
    return (wkb for wkb in table.column("geometry").to_pylist() if wkb is not None)
