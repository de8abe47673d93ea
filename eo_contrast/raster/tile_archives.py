"""Web-map tiles of a raster in one file: MBTiles and PMTiles."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from eo_contrast.errors import InputError, WorldError
from eo_contrast.progress import Advance
from eo_contrast.raster.tile_names import (
    Tile,
)
from eo_contrast.raster.web_tiles import TILE_SIDE, TileSummary, write_tiles

MBTILES_APPLICATION = 0x4D504258  # 'MPBX'


def write_mbtiles(
    raster: Path,
    path: Path,
    *,
    zoom: int | None = None,
    tile_side: int = TILE_SIDE,
    name: str | None = None,
    attribution: str | None = None,
    advance: Advance | None = None,
) -> TileSummary:
    """Write a raster as MBTiles 1.3, an SQLite file; tiles and errors as in :func:`write_xyz`.

    The same raster gives the same bytes with one version of SQLite, which writes its own
    number into the file.

    Args:
        path: is replaced if it exists.
        name: shown to people; None for the raster's file name.
        attribution: shown beside the map, may be HTML.

    Raises:
        WorldError: SQLite cannot write, as on a full disk.
    """
    path.unlink(missing_ok=True)
    with _tile_database(path) as database:

        def put(tile: Tile, png: bytes) -> None:
            row = (tile.z, tile.x, tms_row(tile), png)
            database.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", row)

        summary = write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)
        about = _about(summary, name or raster.stem, attribution)
        places = {
            "bounds": ",".join(f"{degrees:.7f}" for degrees in summary.bounds),
            "center": "{:.7f},{:.7f},{}".format(*summary.center),
            "minzoom": str(summary.minzoom),
            "maxzoom": str(summary.maxzoom),
        }
        lines = sorted({**about, **places}.items())
        database.executemany("INSERT INTO metadata VALUES (?, ?)", lines)
    return summary


def write_pmtiles(
    raster: Path,
    path: Path,
    *,
    zoom: int | None = None,
    tile_side: int = TILE_SIDE,
    name: str | None = None,
    attribution: str | None = None,
    advance: Advance | None = None,
) -> TileSummary:
    """Write a raster as a clustered PMTiles 3 archive; arguments as in :func:`write_mbtiles`.

    Needs thrice the archive's size on the disk of ``path``, and some hundred bytes of memory
    a tile for its directory.

    Raises:
        InputError: as in :func:`write_xyz`, or the package ``pmtiles`` is not installed.
    """
    library = _pmtiles_library()
    with _scratch_file(path) as spool, _scratch_file(path) as sorted_tiles:
        index: list[tuple[int, int, int]] = []

        def put(tile: Tile, png: bytes) -> None:
            tile_id = library.zxy_to_tileid(tile.z, tile.x, tile.y)
            index.append((tile_id, spool.tell(), len(png)))
            spool.write(png)

        summary = write_tiles(raster, put, zoom=zoom, tile_side=tile_side, advance=advance)
        with path.open("wb") as file:
            archive = library.Writer(file)
            # The package's own scratch file lies in /tmp, which is often memory.
            archive.tile_f.close()
            archive.tile_f = sorted_tiles
            for tile_id, offset, length in sorted(index):
                spool.seek(offset)
                archive.write_tile(tile_id, spool.read(length))
            about = _about(summary, name or raster.stem, attribution)
            archive.finalize(_pmtiles_header(summary, library), about)
    return summary


def tms_row(tile: Tile) -> int:
    """Row of ``tile`` counted from the south, as MBTiles does."""
    return (1 << tile.z) - 1 - tile.y


def _about(summary: TileSummary, name: str, attribution: str | None) -> dict[str, str]:
    about = {
        "name": name,
        "format": "png",
        "type": "baselayer" if summary.opaque else "overlay",
        "version": "1",
    }
    return {**about, "attribution": attribution} if attribution else about


@contextmanager
def _tile_database(path: Path) -> Iterator[sqlite3.Connection]:
    """An MBTiles file to insert into; its index is made when the block ends well."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # No journal: after a failure the file is thrown away, not rolled back.
            for line in (
                "PRAGMA page_size = 4096",
                "PRAGMA journal_mode = OFF",
                "PRAGMA synchronous = OFF",
                f"PRAGMA application_id = {MBTILES_APPLICATION}",
                "BEGIN",
                "CREATE TABLE metadata (name TEXT, value TEXT)",
                "CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER,"
                " tile_row INTEGER, tile_data BLOB)",
            ):
                database.execute(line)
            yield database
            database.execute("CREATE UNIQUE INDEX metadata_index ON metadata (name)")
            database.execute(
                "CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)"
            )
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise WorldError(
            f"{path}: writing failed ({error}); free some space and run again"
        ) from error


@dataclass(frozen=True)
class _PmtilesLibrary:
    """The parts of the package ``pmtiles`` in use."""

    Writer: Any
    zxy_to_tileid: Callable[[int, int, int], int]
    tile_type: Any
    tile_compression: Any


def refuse_without_library() -> None:
    """Refuse PMTiles where the package that writes them is missing.

    Raises: InputError
    """
    _pmtiles_library()


def _pmtiles_library() -> _PmtilesLibrary:
    try:
        tile, writer = import_module("pmtiles.tile"), import_module("pmtiles.writer")
    except ImportError as error:
        raise InputError(
            "writing PMTiles needs the package pmtiles; install it by "
            "pip install 'eo-contrast[tiles]', or write mbtiles or xyz"
        ) from error
    return _PmtilesLibrary(
        Writer=writer.Writer,
        zxy_to_tileid=tile.zxy_to_tileid,
        tile_type=tile.TileType.PNG,
        tile_compression=tile.Compression.NONE,
    )


def _pmtiles_header(summary: TileSummary, library: _PmtilesLibrary) -> dict[str, Any]:
    west, south, east, north = (round(degrees * 1e7) for degrees in summary.bounds)
    longitude, latitude, zoom = summary.center
    return {
        "tile_type": library.tile_type,
        "tile_compression": library.tile_compression,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_lon_e7": round(longitude * 1e7),
        "center_lat_e7": round(latitude * 1e7),
        "center_zoom": zoom,
    }


def _scratch_file(path: Path) -> Any:
    """A nameless file on the disk of ``path``."""
    return tempfile.TemporaryFile(dir=path.parent)
