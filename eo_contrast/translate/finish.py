"""From finished pieces to what the user asked for: the raster, and what is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing
from eo_contrast.inference.journal import Journal
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.meta_text import meta_from_text, meta_to_text
from eo_contrast.raster.pieces import piece_count, read_piece
from eo_contrast.raster.writer import write_raster

Format = Literal["cog", "gtiff"]
SUFFIXES: Mapping[str, tuple[str, ...]] = {"cog": (".tif", ".tiff"), "gtiff": (".tif", ".tiff")}


@dataclass(frozen=True)
class Finish:
    """What is made of the finished pieces.

    Attributes:
        format: of the output.
        compat: for readers of 2015: DEFLATE, no sparse blocks.
        masked: the pieces have a mask.
    """

    format: Format = "cog"
    compat: bool = False
    masked: bool = False


def record_of(meta: RasterMeta, finish: Finish) -> dict[str, Any]:
    """What a journal keeps, so that ``merge`` can finish the run."""
    return {"meta": meta_to_text(meta), "finish": asdict(finish)}


def refuse_unfit_output(out: Path, finish: Finish, *, overwrite: bool) -> None:
    """Refuse an output that exists, or whose name does not fit its format.

    Raises: InputError
    """
    refuse_existing(out, overwrite=overwrite)
    suffixes = SUFFIXES[finish.format]
    if out.suffix.lower() not in suffixes:
        raise InputError(
            f"{out}: --format {finish.format} makes a file; give a name that ends in {suffixes[0]}"
        )


def finish_output(journal: Journal) -> tuple[str, ...]:
    """Make the output of a journal's pieces, whole or not at all; the journal stays.

    Returns: what the output cannot hold of the metadata.
    Raises:
        InputError: pieces are missing.
        WorldError: the disk is full or failing, or a piece is damaged.
    """
    run = journal.read()
    meta, finish = meta_from_text(run["meta"]), Finish(**run["finish"])
    files = journal.finished()
    missing = [piece for piece in range(piece_count(meta.height)) if piece not in files]
    if missing:
        raise InputError(
            f"{journal.output}: {len(missing)} of {piece_count(meta.height)} pieces are missing, "
            f"the first of rows {missing[0] * 512}; run the shards that lack, then merge"
        )
    pieces = (read_piece(files[piece], masked=finish.masked) for piece in sorted(files))
    return write_raster(
        journal.output,
        meta,
        pieces,
        format=finish.format,
        compat=finish.compat,
        masked=finish.masked,
    )
