"""So2Sat LCZ42, synthesised: patches of local climate zones in three HDF5 files.

Of the seventeen zones the landscape has eight. The filtered intensities are the world's speckled
power; the complex channels beside them are of that power, with phases that mean nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import ORDERS
from eo_contrast.errors import WorldError
from eo_contrast.progress import Advance
from eo_contrast.synth.archives.eurosat import labelled_tiles
from eo_contrast.synth.archives.images import ArchivePlan, SyntheticImage
from eo_contrast.synth.districts import Kind
from eo_contrast.synth.land_types import BUILT, TREES, LandType, shares
from eo_contrast.synth.noise import hash_units, stream
from eo_contrast.synth.radar import PIXEL_M
from eo_contrast.synth.sites import (
    Raster,
    Site,
    inner,
    optical_bands,
    passes,
    radar_bands,
    skies,
)

COLUMNS = 17
ZONES = MappingProxyType(
    {
        "Compact mid rise": 1,
        "Open low rise": 5,
        "Large low rise": 7,
        "Sparsely built": 8,
        "Dense trees": 10,
        "Scattered trees": 11,
        "Low plants": 13,
        "Water": 16,
    }
)
"""Those of the landscape, and their columns of a label."""
YEAR = 2017
COUNTS = 10_000
COHERENCE = 0.3
# Bytes for what HDF5 writes of its own, of a file and of each row.
ROOM, ROOM_A_ROW = 65_536, 4096
# Of each five patches three are for training.
FILES = ("training", "training", "training", "validation", "testing")
SPLITS = MappingProxyType({"training": "train", "validation": "val", "testing": "test"})


def so2sat(plan: ArchivePlan) -> Iterator[SyntheticImage]:
    """Radar and optics of each patch, as many of each zone as the landscape gives."""
    metres = dict.fromkeys(ORDERS["so2sat-s2"], PIXEL_M)
    rows: Counter[str] = Counter()
    tiles = labelled_tiles(plan, local_climate_zone, len(ZONES))
    for given, (place, label, _, site) in enumerate(tiles):
        name = FILES[given % len(FILES)]
        row, rows[name] = rows[name], rows[name] + 1
        (sky, _), *_ = skies(plan.seed, place, 1, YEAR)
        (overflight, _), *_ = passes(plan.seed, place, 1, YEAR)
        counts = optical_bands(site, sky, "s2-l1c", metres)
        for number, product, bands in (
            (1, "s1-grd", radar_bands(site, overflight, linear=True)),
            (2, "s2-l1c", {band: _reflectance(each) for band, each in counts.items()}),
        ):
            yield SyntheticImage(
                files=(f"{name}.h5",),
                bands=bands,
                product=product,
                place=place,
                unit="linear" if number == 1 else "",
                label=label,
                split=SPLITS[name],
                part=(number, row),
            )


def local_climate_zone(site: Site) -> str:
    """The zone of a place by what lies on it; empty where none of ``ZONES`` describes it."""
    of = shares(inner(site, site.types))
    kinds = inner(site, site.cover.districts.kind)
    built, trees = (sum(of[each] for each in some) for some in (BUILT, TREES))
    rules = (
        ("Water", of[LandType.WATER] > 0.6),
        ("Large low rise", built > 0.3 and float((kinds == Kind.COMMERCIAL).mean()) > 0.5),
        ("Compact mid rise", built > 0.3 and float((kinds == Kind.CITY).mean()) > 0.5),
        ("Open low rise", built + of[LandType.GARDEN] > 0.5),
        ("Dense trees", trees > 0.6),
        ("Scattered trees", trees > 0.25 and built < 0.2),
        ("Sparsely built", 0.08 < built < 0.25),
        ("Low plants", built < 0.05 and of[LandType.WATER] < 0.1),
    )
    return next((name for name, holds in rules if holds), "")


def write_h5_files(images: Iterator[SyntheticImage], root: Path, advance: Advance) -> int:
    """Write patches row by row as they come; the number of images.

    Raises:
        OSError: the disk is full or failing.
        WorldError: h5py is not installed.
    """
    if find_spec("h5py") is None:
        raise WorldError(f"{root}: needs the package h5py: pip install 'eo-contrast[so2sat]'")
    root.mkdir(parents=True, exist_ok=True)
    done = 0
    with ExitStack() as stack:
        files: dict[str, _RowFile] = {}
        for done, image in enumerate(images, start=1):
            name = image.files[0]
            if name not in files:
                files[name] = stack.enter_context(_row_file(root / name))
            number, row = image.part
            planes = [each.values for each in image.bands.values()]
            channels = _eight_channels(*planes, place=image.place) if number == 1 else planes
            files[name].put(f"sen{number}", row, np.moveaxis(np.asarray(channels), 0, -1))
            files[name].put("label", row, np.arange(COLUMNS) == ZONES[image.label])
            advance(done, image.product)
    return done


@dataclass(frozen=True)
class _RowFile:
    """An HDF5 file of arrays that grow row by row."""

    path: Path
    file: Any

    def put(self, name: str, row: int, values: NDArray[Any]) -> None:
        """Set a row of an array of float64; it is made, and grows, as needed.

        Raises: OSError: the disk is full or failing.
        """
        self.reserve(values.size * 8 + ROOM_A_ROW)
        if name not in self.file:
            self.file.create_dataset(
                name,
                shape=(0, *values.shape),
                maxshape=(None, *values.shape),
                chunks=(1, *values.shape),
                dtype="float64",
            )
        array = self.file[name]
        array.resize(max(row + 1, len(array)), axis=0)
        array[row] = values

    def reserve(self, count: int) -> None:
        """Take room on the disk before HDF5 does: where there is none it crashes the process.

        What it does not use it cuts off when the file is closed.
        """
        with self.path.open("ab") as end:
            end.write(bytes(count))


@contextmanager
def _row_file(path: Path) -> Iterator[_RowFile]:
    with import_module("h5py").File(path, "w") as file:
        # Superblock and root are on the disk before anything is reserved behind them.
        file.flush()
        opened = _RowFile(path, file)
        opened.reserve(ROOM)
        yield opened


def _eight_channels(
    vv: NDArray[np.floating[Any]], vh: NDArray[np.floating[Any]], *, place: int
) -> NDArray[np.float64]:
    """(8, rows, columns): complex VH and VV, their intensities, and their covariance."""
    pixels = np.arange(vv.size).reshape(vv.shape)
    phases = [hash_units(stream(0, f"phase {name}"), place, pixels) for name in ("VH", "VV")]
    signals = [
        np.sqrt(power) * np.exp(2j * np.pi * phase)
        for power, phase in zip((vh, vv), phases, strict=True)
    ]
    covariance = COHERENCE * signals[0] * signals[1].conj()
    parts = [part for signal in signals for part in (signal.real, signal.imag)]
    return np.stack([*parts, vh, vv, covariance.real, covariance.imag]).astype(np.float64)


def _reflectance(counts: Raster) -> Raster:
    return Raster(counts.values / COUNTS, counts.transform)
