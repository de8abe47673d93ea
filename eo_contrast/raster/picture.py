"""A raster as a PNG with a world file, and how its bands are shown."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio import Affine
from rasterio.enums import ColorInterp, Resampling

from eo_contrast.errors import InputError
from eo_contrast.raster.meta import RasterMeta
from eo_contrast.raster.reader import open_raster, unplaced_silently
from eo_contrast.raster.writer import gdal_failures_named

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
PNG_LEVEL = 6

Picture = NDArray[np.uint8]
"""(bands + 1, side, side): colours, or classes, and alpha last."""


def write_png(raster: Path, out: Path) -> tuple[Path, ...]:
    """Write a raster as one PNG on its own grid, with all that says where it lies.

    The raster's mask becomes alpha. PNG holds no CRS, so GDAL's ``.png.aux.xml`` stays beside
    it where the raster has one; a ``.pgw`` holds the transform where there is one.

    Returns: the files written: ``out``, then those beside it. A caller that renames ``out``
        renames these too.
    Raises:
        InputError: not of bytes, or the bands are not those of a picture.
        WorldError: the disk is full or failing.
    """
    world, position = out.with_suffix(".pgw"), out.with_name(f"{out.name}.aux.xml")
    for path in (out, world, position):
        path.unlink(missing_ok=True)
    with open_raster(raster) as (dataset, meta), unplaced_silently():
        _refuse_wide_samples(raster, meta)
        with gdal_failures_named(out), _picture_view(raster, dataset, meta) as view:
            rasterio.shutil.copy(view, str(out), driver="PNG", ZLEVEL=PNG_LEVEL)
    if meta.crs is None and meta.gcps_crs is None:
        position.unlink(missing_ok=True)
    if meta.transform is not None:
        world.write_text(_world_file(meta.transform))
    return tuple(path for path in (out, world, position) if path.exists())


@dataclass(frozen=True)
class Look:
    """How bands are seen: 1-based ``colours`` (one or three), ``alpha`` None for a raster
    without, ``palette`` (256, 4) RGBA where the one band holds classes."""

    colours: tuple[int, ...]
    alpha: int | None
    palette: Picture | None

    @property
    def resampling(self) -> Resampling:
        return Resampling.bilinear if self.palette is None else Resampling.nearest


def look_of(raster: Path, meta: RasterMeta) -> Look:
    """Which bands of a raster make its picture: red, green and blue by name, else the first ones.

    Raises: InputError: samples other than uint8, or a number of bands that makes no picture.
    """
    _refuse_wide_samples(raster, meta)
    has_alpha = ColorInterp.alpha in meta.colorinterp
    alpha = 1 + meta.colorinterp.index(ColorInterp.alpha) if has_alpha else None
    others = tuple(band for band in range(1, meta.count + 1) if band != alpha)
    if set(RGB) <= set(meta.colorinterp):
        colours = tuple(1 + meta.colorinterp.index(colour) for colour in RGB)
    elif len(others) >= 3:
        colours = others[:3]
    elif len(others) == 1:
        colours = others
    else:
        raise InputError(f"{raster}: {len(others)} bands make no picture; 1 or 3 are needed")
    palette = None
    if meta.colormap is not None and len(colours) == 1:
        palette = np.zeros((256, 4), np.uint8)
        for value, colour in meta.colormap.items():
            palette[value] = colour
    return Look(colours=colours, alpha=alpha, palette=palette)


def _refuse_wide_samples(raster: Path, meta: RasterMeta) -> None:
    wide = [dtype for dtype in meta.dtypes if dtype != "uint8"]
    if wide:
        raise InputError(
            f"{raster}: holds {wide[0]} values; pictures are of uint8, so write a GeoTIFF instead"
        )


@contextmanager
def _picture_view(raster: Path, dataset: Any, meta: RasterMeta) -> Iterator[Any]:
    """The raster with the bands of a PNG: colours, or a colour table, and alpha where invalid."""
    look = look_of(raster, meta)
    bands = look.colours if look.alpha is None else (*look.colours, look.alpha)
    if not meta.masked and bands == tuple(range(1, meta.count + 1)):
        yield dataset
        return
    with tempfile.TemporaryDirectory() as folder:
        # GDAL's own VRT of it carries CRS, transform, GCPs and tags; only bands are changed.
        copied = Path(folder) / "view.vrt"
        rasterio.shutil.copy(dataset, str(copied), driver="VRT")
        tree = ElementTree.fromstring(copied.read_text())
    for name in tree.iter("SourceFilename"):
        name.text, name.attrib = str(raster.absolute()), {"relativeToVRT": "0"}
    _choose_bands(tree, meta, look)
    with rasterio.open(ElementTree.tostring(tree, encoding="unicode")) as view:
        yield view


def _choose_bands(tree: ElementTree.Element, meta: RasterMeta, look: Look) -> None:
    bands = tree.findall("VRTRasterBand")
    mask = tree.find("MaskBand/VRTRasterBand")
    for element in (*bands, *tree.findall("MaskBand")):
        tree.remove(element)
    chosen = [bands[band - 1] for band in look.colours]
    if look.palette is not None and meta.masked:
        # PNG has no room for a colour table and alpha.
        chosen = [_colour_of_table(chosen[0], component) for component in (1, 2, 3)]
    if look.alpha is not None:
        chosen.append(bands[look.alpha - 1])
    elif mask is not None:
        ElementTree.SubElement(mask, "ColorInterp").text = "Alpha"
        chosen.append(mask)
    for number, element in enumerate(chosen, start=1):
        element.set("band", str(number))
        tree.append(element)


def _colour_of_table(band: ElementTree.Element, component: int) -> ElementTree.Element:
    colour = deepcopy(band)
    for table in colour.findall("ColorTable"):
        colour.remove(table)
    for interpretation in colour.findall("ColorInterp"):
        interpretation.text = ("Red", "Green", "Blue")[component - 1]
    for source in colour.findall("SimpleSource"):
        source.tag = "ComplexSource"
        ElementTree.SubElement(source, "ColorTableComponent").text = str(component)
    return colour


def _world_file(transform: Affine) -> str:
    """Six lines of an ESRI world file; the place is that of the first pixel's centre."""
    a, b, _, d, e, _ = transform[:6]
    x, y = transform @ (0.5, 0.5)
    return "".join(f"{number!r}\n" for number in (a, d, b, e, x, y))
