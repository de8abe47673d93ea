"""An image of an archive, as its layout's names and side files tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """One image: the bands of one sensor over one place at one time, or a label.

    Attributes:
        id: unique in its archive; names the place, the product and the time.
        place_id: equal for images that show the same ground.
        sensor: s1, s2, rgb or label.
        product: s2-l1c, s2-l2a, s1-grd, s1-rtc, rgb, map or label.
        bands: their names, in the order of ``files``, or of the one file's bands.
        files: one file a band, or one for all.
        part: which part of the files it is, as its layout counts; empty: all of them.
        date: when it was taken, in UTC; None: the archive does not tell.
        scale, offset: value = scale * (count + offset), in ``unit``.
        unit: reflectance, dB or linear (backscattered power); empty: of none.
        nodata: count that stands for no data; None: none does.
        split: train, val or test where the archive says; else empty.
        label: class of the whole image where the archive says; else empty.
        facts: what else the archive tells that is worth keeping, as text.
    """

    id: str
    place_id: str
    sensor: str
    product: str
    bands: tuple[str, ...]
    files: tuple[Path, ...]
    part: tuple[int, ...] = ()
    date: datetime | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    nodata: float | None = None
    split: str = ""
    label: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageKind:
    """What all images in one kind of folder of an archive have alike; see :class:`Image`."""

    sensor: str
    product: str
    bands: tuple[str, ...]
    scale: float = 1.0
    nodata: float | None = None
    offset: float = 0.0

    def image(
        self,
        id: str,
        place_id: str,
        path: Path,
        *,
        split: str = "",
        date: datetime | None = None,
        part: tuple[int, ...] = (),
    ) -> Image:
        """An image of this kind, of one file or a part of it."""
        return Image(
            id=id,
            place_id=place_id,
            sensor=self.sensor,
            product=self.product,
            bands=self.bands,
            files=(path,),
            part=part,
            date=date,
            scale=self.scale,
            offset=self.offset,
            nodata=self.nodata,
            split=split,
        )


@dataclass(frozen=True)
class Skipped:
    """A file or folder that belongs to the layout and cannot be used."""

    path: Path
    reason: str
