"""The page of one translated raster: source, map and true map, settings, time, scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from eo_contrast.raster.location import Location, file_name
from eo_contrast.raster.meta import RasterMeta, ground_pixel_size_m, refuse_other_grid
from eo_contrast.raster.reader import open_raster
from eo_contrast.report.page import write_page
from eo_contrast.report.pictures import (
    Picture,
    RasterView,
    crop,
    detailed_windows,
    overview,
    png,
    view_of,
)
from eo_contrast.report.score_table import SCORES, Table, class_names, flat_scores, table_of

# About twice the widths they are shown at (sharp on fine screens), and once, for details.
OVERVIEW_SIDE = 800
CROP_SIDE = 384
CROPS = 3
PROVENANCE_PREFIX = "EO_CONTRAST_"


@dataclass(frozen=True)
class Panel:
    """One picture with its heading."""

    heading: str
    picture: Picture


def translation_report(
    source: Location,
    output: Path,
    html: Path,
    *,
    summary: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    truth: Path | None,
) -> Path:
    """Write the page of one translation to ``html``, replacing an older one.

    Args:
        source: the raster that was translated.
        output: the map that was made of it.
        summary: what ``translate`` returns: output, width, height, tiles, skipped_tiles,
            megapixels, seconds {total, read, infer, write}, peak_rss_mib, limited_by.
        scores: what ``evaluate`` gives against the true map; None: not scored.
        truth: the true map on the output's grid; None: there is none.

    Raises:
        InputError: a raster cannot be read, or ``truth`` lies on another grid.
        WorldError: the disk is full or failing.
    """
    rows = {"this map": flat_scores(scores)} if scores else {}
    return write_page(
        html,
        "translation",
        title=f"Map of {file_name(source)}",
        score_tables=score_tables(rows),
        **translation_context(source, output, truth=truth, summary=summary),
    )


def translation_context(
    source: Location, output: Path, *, truth: Path | None, summary: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything that the templates tell of a translation, scores apart."""
    views = {"Satellite": view_of(source), "Translated map": view_of(output)}
    if truth is not None:
        views["True map"] = view_of(truth)
        with open_raster(truth) as (_, of_truth), open_raster(output) as (_, meta):
            refuse_other_grid(truth, of_truth, output, meta)
    return {
        "overviews": overviews(views),
        "crops": crops(views),
        "crop_side": CROP_SIDE,
        "raster_facts": raster_facts(output),
        "provenance": _provenance(output),
        "translate_summary": summary,
    }


def overviews(views: Mapping[str, RasterView]) -> list[Panel]:
    """Each raster whole, decimated where it is large."""
    return [
        Panel(heading, png(overview(view, side=OVERVIEW_SIDE), f"{heading}, whole raster"))
        for heading, view in views.items()
    ]


def crops(views: Mapping[str, RasterView]) -> list[list[Panel]]:
    """The same places of each raster at full resolution, where the source varies most.

    Chosen by the source alone: a choice by the result would flatter it.
    """
    source = next(iter(views.values()))
    if max(source.height, source.width) <= CROP_SIDE:
        return []
    windows = detailed_windows(
        overview(source), (source.height, source.width), side=CROP_SIDE, count=CROPS
    )
    return [
        [
            Panel(heading, png(crop(view, window, 2 * CROP_SIDE), f"{heading}, detail {number}"))
            for heading, view in views.items()
        ]
        for number, window in enumerate(windows, start=1)
    ]


def score_tables(rows: Mapping[str, Mapping[str, float]]) -> list[Table]:
    """One table of overall scores and one of map classes; those without a score are left out."""
    overall = [key for key in SCORES if any(key in row for row in rows.values())]
    classes = class_names(list(rows.values()))
    return [table_of(rows, keys) for keys in (overall, classes) if keys]


def raster_facts(path: Path) -> list[tuple[str, str]]:
    """Size, place and kind of a raster in words."""
    with open_raster(path) as (dataset, meta):
        layout = dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT", "GeoTIFF")
    return [
        ("File", path.name),
        ("Size", f"{meta.width:,} × {meta.height:,} pixels, {meta.count} bands, {meta.dtypes[0]}"),
        ("Pixel on the ground", _pixel_size(meta)),
        ("Coordinate system", _crs_name(meta)),
        ("Layout", "cloud-optimised GeoTIFF" if layout == "COG" else layout),
    ]


def _pixel_size(meta: RasterMeta) -> str:
    size = ground_pixel_size_m(meta)
    if size is None:
        return "not known"
    return f"{size[0]:.3g} × {size[1]:.3g} m"


def _crs_name(meta: RasterMeta) -> str:
    if meta.crs is None:
        return "none"
    code = meta.crs.to_epsg()
    name = meta.crs.to_wkt().split('"')[1] if '"' in meta.crs.to_wkt() else ""
    return f"{name} (EPSG:{code})" if code else name or "local"


def _provenance(path: Path) -> list[tuple[str, str]]:
    with rasterio.open(path) as dataset:
        tags = dataset.tags()
    return [
        (name.removeprefix(PROVENANCE_PREFIX).replace("_", " ").capitalize(), value)
        for name, value in sorted(tags.items())
        if name.startswith(PROVENANCE_PREFIX)
    ]
