"""Any folder of rasters, told by an index or by the names of the files.

An index is ``index.parquet``, ``.gpkg``, ``.geojson``, ``.fgb`` or ``.csv`` in the root: a row a
file, with the column ``file`` (from the root) and, where known, ``place``, ``product``, ``date``,
``bands`` (as ``B02 B03``), ``label``, ``split``, ``unit``, ``scale``, ``offset``, ``nodata``.

Without one, names are read by a pattern: ``{place}/{date}_{product}.tif``, where ``*`` is anything.
Files that differ in ``{band}`` alone are the bands of one image.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyogrio

from eo_contrast.bands import (
    PRODUCTS,
    REFLECTANCE_SCALE,
    baseline_of,
    offset_of,
)
from eo_contrast.bands import band_name as known_band
from eo_contrast.catalog.headers import Described, describe_rasters
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import time_in
from eo_contrast.catalog.pictures import COLOURS
from eo_contrast.errors import InputError
from eo_contrast.raster.reader import open_raster

EXPECTS = "an index (index.parquet, .gpkg, .geojson or .csv) of its rasters, or rasters (--pattern)"
INDEXES = tuple(f"index.{end}" for end in ("parquet", "gpkg", "geojson", "fgb", "csv"))
SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".png", ".jpg", ".jpeg"})
COLUMNS = (
    "file", "place", "product", "date", "bands", "label", "split", "unit", "scale", "offset",
    "nodata",
)  # fmt: skip
EVERY_FILE = "{place}.*"

_SENSORS: Mapping[str, str] = MappingProxyType(
    {name: product.sensor for name, product in PRODUCTS.items()}
    | {"rgb": "rgb", "map": "rgb", "label": "label"}
)
_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "place": r"[^/]+?(?:/[^/]+?)*?",
        "date": r"\d{8}(?:T\d{6})?|\d{4}-\d{2}-\d{2}",
        "band": r"[A-Za-z0-9]+",
        "product": "|".join(map(re.escape, _SENSORS)),
        "split": "train|val|test",
        "label": r"[^/]+?",
    }
)
_FIELD = re.compile(r"\{(\w+)\}|(\*)")


@dataclass(frozen=True)
class FolderRules:
    """What the user says of a folder that has no index.

    Attributes:
        pattern: of the files' paths from the root.
        product: where the pattern tells none.
        bands: their names in the order of the files; empty: by the files themselves, or the
            product's own.
        unit: dB or linear, of radar.
    """

    pattern: str = EVERY_FILE
    product: str = ""
    bands: tuple[str, ...] = ()
    unit: str = ""


def recognises(root: Path) -> bool:
    """Whether there is an index."""
    return _index(root) is not None


def accepts(root: Path) -> bool:
    """Whether there is an index, or any raster."""
    return recognises(root) or any(path.suffix.lower() in SUFFIXES for path in root.rglob("*.*"))


def scan(root: Path, rules: FolderRules | None = None) -> Iterator[Image | Skipped]:
    """Every image of the index, or of the files that fit the pattern.

    Raises: InputError: the index cannot be read or has no column ``file``; the pattern has a
        field that is unknown; no file fits it.
    """
    index = _index(root)
    if index is not None and rules is None:
        for told in _told(index):
            yield _indexed(root, index, told)
        return
    yield from _by_names(root, rules or FolderRules())


def describe(image: Image) -> Described | Skipped:
    """By the header; the bands by the file's own names, or all that the product has.

    Raises: InputError: a file is gone or damaged.
    """
    if image.bands:
        return describe_rasters(image)
    with open_raster(image.files[0]) as (_, meta):
        bands = _bands_of(meta.descriptions, meta.count, image.product)
    if not bands:
        return Skipped(
            image.files[0],
            f"{meta.count} bands without names, and {image.product} has "
            f"{len(_own_bands(image.product)) or 'any number'}; name them (--bands, or the index)",
        )
    told = describe_rasters(replace(image, bands=bands))
    return told if isinstance(told, Skipped) else replace(told, bands=bands)


def _index(root: Path) -> Path | None:
    return next((root / name for name in INDEXES if (root / name).is_file()), None)


def _told(index: Path) -> Iterator[Mapping[str, str]]:
    """The index's rows as text; empty where a column says nothing."""
    try:
        if index.suffix == ".csv":
            with index.open(newline="") as file:
                rows: list[dict[str, Any]] = list(csv.DictReader(file))
        elif index.suffix == ".parquet":
            names = set(pq.read_schema(index).names) & set(COLUMNS)
            rows = pq.read_table(index, columns=sorted(names)).to_pylist()
        else:
            _, table = pyogrio.read_arrow(index, read_geometry=False)
            rows = table.to_pylist()
    except Exception as error:  # of three libraries, which have no class in common
        raise InputError(f"{index}: is not readable as an index ({error})") from error
    if rows and "file" not in rows[0]:
        raise InputError(f"{index}: has no column 'file'; it may have {' '.join(COLUMNS)}")
    for row in rows:
        yield {name: _text(row.get(name)) for name in COLUMNS}


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _indexed(root: Path, index: Path, told: Mapping[str, str]) -> Image | Skipped:
    path = root / told["file"]
    try:
        bands = _named(told["bands"].replace(",", " ").split())
        return _image(
            (path,),
            name=told["file"],
            place=told["place"] or Path(told["file"]).with_suffix("").as_posix(),
            product=told["product"],
            bands=bands,
            date=_date(told["date"]),
            told=told,
        )
    except (InputError, ValueError) as error:
        return Skipped(path, f"{index.name}: {error}")


def _by_names(root: Path, rules: FolderRules) -> Iterator[Image | Skipped]:
    pattern = _compiled(rules.pattern)
    images: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    keys = ("place", "date", "product", "split", "label")
    for path in sorted(path for path in root.rglob("*.*") if path.suffix.lower() in SUFFIXES):
        match = pattern.fullmatch(path.relative_to(root).as_posix())
        if match is None:
            yield Skipped(path, f"its name does not fit the pattern {rules.pattern}")
            continue
        found = match.groupdict()
        images[tuple(found.get(key) or "" for key in keys)][found.get("band") or ""] = path
    for values, files in images.items():
        told = dict(zip(keys, values, strict=True)) | {"unit": rules.unit}
        try:
            yield _of_names(told, files, rules)
        except (InputError, ValueError) as error:
            yield Skipped(next(iter(files.values())), str(error))


def _of_names(told: dict[str, str], files: Mapping[str, Path], rules: FolderRules) -> Image:
    product = told["product"] or rules.product
    bands = rules.bands
    if "" not in files:
        named = {known_band(name): path for name, path in files.items()}
        order = _own_bands(product) or tuple(named)
        bands = tuple(name for name in order if name in named)
        files = {name: named[name] for name in bands}
    name = "/".join(value for key, value in told.items() if value and key != "unit")
    place = told["place"] or next(iter(files.values())).stem
    return _image(
        tuple(files.values()),
        name=name or place,
        place=place,
        product=product,
        bands=bands,
        date=_date(told["date"]),
        told=told,
    )


def _image(
    files: tuple[Path, ...],
    *,
    name: str,
    place: str,
    product: str,
    bands: tuple[str, ...],
    date: datetime | None,
    told: Mapping[str, str],
) -> Image:
    """Raises: InputError: the product is not told, or unknown."""
    if product not in _SENSORS:
        what = f"product '{product}': unknown" if product else "its product is not told"
        raise InputError(f"{what}; give one of {' '.join(_SENSORS)}")
    sensor = _SENSORS[product]
    scales = {"s2": REFLECTANCE_SCALE, "rgb": 1 / 255}
    offset = offset_of(baseline_of(files[0].name)) if sensor == "s2" else 0
    return Image(
        id=f"folder/{name}" if told.get("file") else f"folder/{name}/{product}",
        place_id=f"folder/{place}",
        sensor=sensor,
        product=product,
        bands=bands,
        files=files,
        date=date,
        scale=float(told.get("scale") or scales.get(sensor, 1.0)),
        offset=float(told.get("offset") or offset),
        unit=told.get("unit", ""),
        nodata=float(told["nodata"]) if told.get("nodata") else (0 if sensor == "s2" else None),
        split=told.get("split", ""),
        label=told.get("label", ""),
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    """Raises: InputError: a field is unknown, or there twice."""
    parts, end = [], 0
    seen: set[str] = set()
    for match in _FIELD.finditer(pattern):
        field, star = match.groups()
        parts.append(re.escape(pattern[end : match.start()]))
        end = match.end()
        if star:
            parts.append("[^/]*")
            continue
        if field not in _FIELDS or field in seen:
            fault = "is there twice" if field in seen else "is unknown"
            known = " ".join(f"{{{name}}}" for name in _FIELDS)
            raise InputError(f"--pattern {pattern}: {{{field}}} {fault}; known ones are {known}")
        seen.add(field)
        parts.append(f"(?P<{field}>{_FIELDS[field]})")
    parts.append(re.escape(pattern[end:]))
    return re.compile("".join(parts))


def _date(text: str) -> datetime | None:
    """Raises: ValueError: it is no date."""
    if not text:
        return None
    date = time_in(text) or datetime.fromisoformat(text)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _named(names: Sequence[str]) -> tuple[str, ...]:
    """Names of bands in our spelling, where they are a satellite's."""
    return tuple(_spelled(name) for name in names)


def _spelled(name: str) -> str:
    try:
        return known_band(name)
    except InputError:
        return name


def _bands_of(descriptions: Sequence[str | None], count: int, product: str) -> tuple[str, ...]:
    """Bands of a file: by its own names, else all of the product's; empty: neither fits."""
    own = _own_bands(product)
    named = _named([name or "" for name in descriptions])
    if all(named) and (not own or set(named) <= set(own)) and len(set(named)) == count:
        return named
    if not own:
        return tuple(f"{product}{n}" if count > 1 else product for n in range(1, count + 1))
    return own if len(own) == count else ()


def _own_bands(product: str) -> tuple[str, ...]:
    if product in ("rgb", "map"):
        return COLOURS
    return PRODUCTS[product].bands if product in PRODUCTS else ()
