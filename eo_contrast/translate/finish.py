"""From finished pieces to what the user asked for: the raster, and what is made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import (
    flush_to_disk,
    refuse_existing,
    refuse_strangers,
    whole_file,
    whole_folder,
)
from eo_contrast.inference.journal import Journal
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.meta_text import meta_from_text, meta_to_text
from eo_contrast.raster.pieces import BLOCK, piece_count, read_piece
from eo_contrast.raster.writer import write_raster

Format = Literal["cog", "gtiff", "png", "xyz", "mbtiles", "pmtiles"]
SUFFIXES: Mapping[Format, tuple[str, ...]] = {
    "cog": (".tif", ".tiff"),
    "gtiff": (".tif", ".tiff"),
    "png": (".png",),
    "xyz": (),
    "mbtiles": (".mbtiles",),
    "pmtiles": (".pmtiles",),
}
MEDIA_TYPES: Mapping[Format, str] = {
    "cog": "image/tiff; application=geotiff; profile=cloud-optimized",
    "gtiff": "image/tiff; application=geotiff",
    "png": "image/png",
}


@dataclass(frozen=True)
class Finish:
    """What is made of the finished pieces.

    Attributes:
        format: of the output; ``xyz`` is a folder, the rest are files.
        compat: for readers of ten years ago: DEFLATE, no sparse blocks.
        stac: write a STAC Item beside a raster that has a place.
        vector: also write the map's polygons by class to this file; None: do not.
        colours: RGB colours of each class, for the polygons.
        masked: the pieces have a mask.
    """

    format: Format = "cog"
    compat: bool = False
    stac: bool = True
    vector: str | None = None
    colours: Mapping[str, tuple[tuple[int, int, int], ...]] | None = None
    masked: bool = False


def record_of(
    meta: RasterMeta, finish: Finish, *, changed: datetime | None, source: str
) -> dict[str, Any]:
    """What a journal keeps, so that ``merge`` can finish the run.

    Args:
        changed: when the source was last changed, if that is known.
        source: its name, without the folder it lies in and without what opens it on the web.
    """
    time = changed.isoformat() if changed else None
    return {
        "meta": meta_to_text(meta),
        "finish": asdict(finish),
        "changed": time,
        "source": source,
    }


def refuse_unfit_output(out: Path, finish: Finish, *, overwrite: bool) -> None:
    """Refuse outputs that exist, or whose names do not fit their formats.

    Raises: InputError
    """
    refuse_existing(out, overwrite=overwrite)
    suffixes = SUFFIXES[finish.format]
    if suffixes and out.suffix.lower() not in suffixes:
        raise InputError(
            f"{out}: --format {finish.format} makes a file; give a name that ends in {suffixes[0]}"
        )
    if not suffixes and out.suffix.lower() in (".tif", ".tiff"):
        raise InputError(f"{out}: --format {finish.format} makes a folder; give a folder's name")
    if finish.format == "xyz":
        refuse_strangers(out, str.isdecimal, "no --format xyz")
    for path in beside(out, finish.format):
        refuse_existing(path, overwrite=overwrite)
    if finish.vector is not None:
        from eo_contrast.raster.vector_files import refuse_unwritable

        refuse_existing(Path(finish.vector), overwrite=overwrite)
        refuse_unwritable(Path(finish.vector))


def refuse_unfit_result(out: Path, finish: Finish, meta: RasterMeta) -> None:
    """Refuse formats that cannot hold the result, before it is made.

    Args:
        meta: of the result.

    Raises: InputError: values, bands or a place that the format, or the polygons, do not take;
        or a package is missing that writes them.
    """
    if finish.format not in ("cog", "gtiff"):
        from eo_contrast.raster.picture import look_of

        look_of(out, meta)
    if finish.format in ("xyz", "mbtiles", "pmtiles"):
        from eo_contrast.raster.tile_archives import refuse_without_library
        from eo_contrast.raster.tile_plan import plan_tiles
        from eo_contrast.raster.web_tiles import TILE_SIDE

        plan_tiles(out, meta, zoom=None, tile_side=TILE_SIDE)
        if finish.format == "pmtiles":
            refuse_without_library()
    if finish.vector is not None:
        from eo_contrast.raster.vectors import refuse_no_polygons

        refuse_no_polygons(out, Path(finish.vector), meta)


def beside(out: Path, format: Format) -> tuple[Path, ...]:
    """Files beside an output that tell readers of it, and would tell lies of another."""
    if format not in MEDIA_TYPES:
        return ()
    named = [out.with_name(f"{out.name}{end}") for end in (".aux.xml", ".msk", ".ovr")]
    world = out.with_suffix(".pgw" if format == "png" else ".tfw")
    return (*named, world, stac_path(out))


def stac_path(raster: Path) -> Path:
    """Where the STAC Item of a raster lies."""
    return raster.with_name(f"{raster.stem}.stac.json")


def finish_output(journal: Journal) -> tuple[str, ...]:
    """Make the outputs of a journal's pieces, each whole or not at all; the journal stays.

    Returns: what the raster cannot hold of the metadata.
    Raises:
        InputError: pieces are missing.
        WorldError: the disk is full or failing, or a piece is damaged.
    """
    run = journal.read()
    meta, finish = meta_from_text(run["meta"]), Finish(**run["finish"])
    out = journal.output
    if finish.format in ("cog", "gtiff"):
        raster = journal.folder / out.name
    else:
        raster = journal.folder / f"{out.stem}.tif"
    lost = _write_raster(journal, raster, meta, finish)
    if finish.vector is not None and finish.colours is not None:
        from eo_contrast.raster.vectors import write_polygons

        with whole_file(Path(finish.vector)) as partial:
            write_polygons(raster, partial, finish.colours)
    for path in beside(out, finish.format):
        path.unlink(missing_ok=True)
    if finish.stac:
        _write_stac(journal, meta, finish, run)
    _MADE_OF_RASTER[finish.format](raster, out)
    return lost


def _write_raster(
    journal: Journal, raster: Path, meta: RasterMeta, finish: Finish
) -> tuple[str, ...]:
    files = journal.finished()
    missing = [piece for piece in range(piece_count(meta.height)) if piece not in files]
    if missing:
        raise InputError(
            f"{journal.output}: {len(missing)} of {piece_count(meta.height)} pieces are missing, "
            f"the first begins at row {missing[0] * BLOCK}; run the shards that lack, then merge"
        )
    pieces = (read_piece(files[piece], masked=finish.masked) for piece in sorted(files))
    return write_raster(
        raster,
        meta,
        pieces,
        format="gtiff" if finish.format == "gtiff" else "cog",
        compat=finish.compat,
        masked=finish.masked,
    )


def _write_stac(journal: Journal, meta: RasterMeta, finish: Finish, run: dict[str, Any]) -> None:
    media_type = MEDIA_TYPES.get(finish.format)
    if media_type is None or meta.crs is None or meta.transform is None:
        return
    from eo_contrast.raster.stac import has_place, write_stac_item

    if not has_place(meta):
        return
    changed = run["changed"]
    key = run["key"]
    write_stac_item(
        journal.output,
        meta,
        changed=datetime.fromisoformat(changed) if changed else datetime.now(UTC),
        media_type=media_type,
        processing={
            "software": dict(part.split(" ", 1) for part in key["software"] if " " in part),
            "lineage": f"{run['source']} by the model {key['model']}",
        },
        path=stac_path(journal.output),
    )


def _as_it_is(raster: Path, out: Path) -> None:
    with disk_errors_named(out):
        os.replace(raster, out)
        flush_to_disk(out.parent)


def _as_png(raster: Path, out: Path) -> None:
    from eo_contrast.raster.picture import write_png

    made = write_png(raster, raster.with_name(out.name))
    for path in reversed(made):  # the picture comes last, when all that explains it is there
        _as_it_is(path, out.with_name(path.name))


def _as_folder(raster: Path, out: Path) -> None:
    from eo_contrast.raster.web_tiles import write_xyz

    with whole_folder(out) as partial:
        write_xyz(raster, partial)


def _as_mbtiles(raster: Path, out: Path) -> None:
    from eo_contrast.raster.tile_archives import write_mbtiles

    with whole_file(out) as partial:
        write_mbtiles(raster, partial, name=out.stem)


def _as_pmtiles(raster: Path, out: Path) -> None:
    from eo_contrast.raster.tile_archives import write_pmtiles

    with whole_file(out) as partial:
        write_pmtiles(raster, partial, name=out.stem)


_MADE_OF_RASTER: Mapping[Format, Callable[[Path, Path], None]] = {
    "cog": _as_it_is,
    "gtiff": _as_it_is,
    "png": _as_png,
    "xyz": _as_folder,
    "mbtiles": _as_mbtiles,
    "pmtiles": _as_pmtiles,
}
