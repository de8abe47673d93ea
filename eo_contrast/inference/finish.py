"""From finished pieces to what the user asked for: the raster, and what is made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eo_contrast.errors import InputError, disk_errors_named
from eo_contrast.files import (
    flush_to_disk,
    refuse_existing,
    refuse_strangers,
    whole_file,
    whole_folder,
)
from eo_contrast.inference.journal import Journal
from eo_contrast.raster.class_map import as_probabilities, legend_path, write_legend
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.meta_text import meta_from_text, meta_to_text
from eo_contrast.raster.pieces import BLOCK, piece_count, read_piece
from eo_contrast.raster.reader import Pixels
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
        colours: RGB colours of each class, for the polygons of a picture.
        masked: the pieces have a mask.
        legend: name and colour of each class, of a map of class numbers: they are written beside
            it, and pixels are counted by class; None: it is no such map.
        probabilities: write those of the classes, which the pieces hold behind their numbers, to
            this GeoTIFF; None: do not.
    """

    format: Format = "cog"
    compat: bool = False
    stac: bool = True
    vector: str | None = None
    colours: Mapping[str, tuple[tuple[int, int, int], ...]] | None = None
    masked: bool = False
    legend: tuple[tuple[str, tuple[int, int, int]], ...] | None = None
    probabilities: str | None = None

    @property
    def besides(self) -> tuple[Path, ...]:
        """Files that the user named besides the output."""
        named = (self.vector, self.probabilities)
        return tuple(Path(path) for path in named if path is not None)


@dataclass(frozen=True)
class Finished:
    """What came of it.

    Attributes:
        lost: what the rasters cannot hold of the metadata, in words.
        facts: ``classes``, pixels of each by name, of a map with a legend.
    """

    lost: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def settled_finish(finish: Finish, *, masked: bool) -> Finish:
    """With what the job decides; another process finishes the same wherever it runs."""

    def absolute(path: str | None) -> str | None:
        return path and str(Path(path).resolve())

    return replace(
        finish,
        masked=masked,
        vector=absolute(finish.vector),
        probabilities=absolute(finish.probabilities),
    )


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
    for path in (*beside(out, finish.format), *finish.besides):
        refuse_existing(path, overwrite=overwrite)
    if len({path.resolve() for path in (out, *finish.besides)}) <= len(finish.besides):
        raise InputError(f"{out}: is named for two results; give each a file of its own")
    if finish.vector is not None:
        from eo_contrast.raster.vector_files import refuse_unwritable

        refuse_unwritable(Path(finish.vector))
    probabilities = finish.probabilities
    if probabilities is not None and Path(probabilities).suffix.lower() not in SUFFIXES["cog"]:
        raise InputError(
            f"{probabilities}: probabilities are a GeoTIFF; give a name that ends in .tif"
        )


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


def finish_output(journal: Journal) -> Finished:
    """Make the outputs of a journal's pieces, each whole or not at all; the journal stays.

    Raises:
        InputError: pieces are missing.
        WorldError: the disk is full or failing, or a piece is damaged.
    """
    run = journal.read()
    meta, finish = meta_from_text(run["meta"]), _finish_of(run["finish"])
    out = journal.output
    if finish.format in ("cog", "gtiff"):
        raster = journal.folder / out.name
    else:
        raster = journal.folder / f"{out.stem}.tif"
    counts = np.zeros(256, np.int64)
    lost = _write_raster(journal, raster, meta, finish, counts)
    facts = {} if finish.legend is None else {"classes": _by_name(finish, counts)}
    if finish.legend is not None and finish.probabilities is not None:
        lost = (*lost, *_write_probabilities(journal, meta, finish))
    colours = _colours(finish)
    if finish.vector is not None and colours is not None:
        from eo_contrast.raster.vectors import write_polygons

        with whole_file(Path(finish.vector)) as partial:
            write_polygons(raster, partial, colours)
    for path in beside(out, finish.format):
        path.unlink(missing_ok=True)
    if finish.stac:
        _write_stac(journal, meta, finish, run)
    if finish.legend is not None:
        _place_legend(raster, out, finish, counts)
    _MADE_OF_RASTER[finish.format](raster, out)
    return Finished(lost, facts)


def _finish_of(recorded: Mapping[str, Any]) -> Finish:
    """As it was before JSON made lists of tuples."""
    legend = recorded["legend"]
    if legend is not None:
        legend = tuple((name, (red, green, blue)) for name, (red, green, blue) in legend)
    return Finish(**{**recorded, "legend": legend})


def _colours(finish: Finish) -> Mapping[str, tuple[tuple[int, int, int], ...]] | None:
    """Colours of each class, of a map of class numbers in the order of the numbers.

    ``colours`` were sorted by name on their way through the journal.
    """
    if finish.legend is None:
        return finish.colours
    return {name: (colour,) for name, colour in finish.legend}


def _by_name(finish: Finish, counts: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, int]:
    return {name: int(counts[number]) for number, (name, _) in enumerate(finish.legend or ())}


def _write_raster(
    journal: Journal,
    raster: Path,
    meta: RasterMeta,
    finish: Finish,
    counts: np.ndarray[Any, np.dtype[np.int64]],
) -> tuple[str, ...]:
    """Write the result; of a map of classes count the pixels of each number into ``counts``."""

    def own_bands() -> Iterator[Pixels]:
        for pixels in _pieces(journal, meta, finish):
            if finish.legend is not None:
                counts[:] += np.bincount(pixels.values[0].ravel(), minlength=len(counts))
            yield Pixels(values=pixels.values[: meta.count], valid=pixels.valid)

    return write_raster(
        raster,
        meta,
        own_bands(),
        format="gtiff" if finish.format == "gtiff" else "cog",
        compat=finish.compat,
        masked=finish.masked,
    )


def _write_probabilities(journal: Journal, meta: RasterMeta, finish: Finish) -> tuple[str, ...]:
    shares = (
        Pixels(values=pixels.values[meta.count :], valid=pixels.valid)
        for pixels in _pieces(journal, meta, finish)
    )
    names = [name for name, _ in finish.legend or ()]
    return write_raster(
        Path(str(finish.probabilities)),
        as_probabilities(meta, names),
        shares,
        format="gtiff" if finish.format == "gtiff" else "cog",
        compat=finish.compat,
        masked=False,
    )


def _pieces(journal: Journal, meta: RasterMeta, finish: Finish) -> Iterator[Pixels]:
    """All of them, top to bottom."""
    files = journal.finished()
    missing = [piece for piece in range(piece_count(meta.height)) if piece not in files]
    if missing:
        raise InputError(
            f"{journal.output}: {len(missing)} of {piece_count(meta.height)} pieces are missing, "
            f"the first begins at row {missing[0] * BLOCK}; run the shards that lack, then merge"
        )
    return (read_piece(files[piece], masked=finish.masked) for piece in sorted(files))


def _place_legend(
    raster: Path, out: Path, finish: Finish, counts: np.ndarray[Any, np.dtype[np.int64]]
) -> None:
    """Put the names beside the map, before it, so that it is never there without them."""
    if finish.legend is None or finish.format not in ("cog", "gtiff"):
        return
    made = legend_path(raster)
    with disk_errors_named(out):
        write_legend(made, finish.legend, counts[: len(finish.legend)].tolist())
        flush_to_disk(made)
    _as_it_is(made, legend_path(out))


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
