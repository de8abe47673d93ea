"""Sentinel-2 SAFE, level 1C and 2A: ``S2A_MSIL1C_<time>_N0206_..._T31TDH_<id>.SAFE/``.

Bands are ``GRANULE/*/IMG_DATA/T31TDH_<time>_B02.jp2``, in level 2A below ``R10m``, ``R20m`` and
``R60m`` with the resolution behind the name. A band that comes in several is taken at its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from eo_contrast.bands import BANDS, L1C, L2A, baseline_of, offset_of
from eo_contrast.catalog.images import Image, Skipped
from eo_contrast.catalog.layouts.names import time_in
from eo_contrast.errors import InputError

EXPECTS = "folders S2A_MSIL1C_...SAFE or S2A_MSIL2A_...SAFE"
DEFAULT_QUANTIFICATION = 10_000.0

_PRODUCT = re.compile(
    r"S2[A-D]_MSI(?P<level>L1C|L2A)_\d{8}T\d{6}_N\d{4}_R\d{3}_T(?P<tile>\w{5})_\w+"
)
_BAND = re.compile(r"T\w{5}_\d{8}T\d{6}_(?P<band>B\d[\dA])(_(?P<metres>\d0)m)?")


@dataclass(frozen=True)
class Facts:
    """What the product's own metadata say.

    Attributes:
        offset: counts to add, of every band alike.
        quantification: counts that make a reflectance of 1.
        clouds: percent of the tile, as text, or empty.
    """

    baseline: str
    offset: float
    quantification: float
    clouds: str


def recognises(root: Path) -> bool:
    """Whether the root is a product, or has one in it."""
    return _is_product(root) or any(_is_product(path) for path in root.iterdir())


def scan(root: Path) -> Iterator[Image | Skipped]:
    """Every product in the root and in folders below it, sorted by name."""
    products = [root] if _is_product(root) else sorted(filter(_is_product, root.rglob("*.SAFE")))
    for product in products:
        try:
            yield _image(product)
        except InputError as error:
            yield Skipped(product, str(error))


def _image(product: Path) -> Image:
    match = _PRODUCT.fullmatch(_stem(product))
    assert match is not None  # checked by _is_product
    files = _bands(product)
    order = [name for name in (L1C if match["level"] == "L1C" else L2A) if name in files]
    if not order:
        raise InputError("no band under GRANULE/*/IMG_DATA; was it downloaded whole?")
    facts = _facts(product / f"MTD_MSI{match['level']}.xml", _stem(product))
    told = {"s2:processing_baseline": facts.baseline, "eo:cloud_cover": facts.clouds}
    return Image(
        id=f"s2-safe/{_stem(product)}",
        place_id=f"s2/{match['tile']}",
        sensor="s2",
        product=f"s2-{match['level'].lower()}",
        bands=tuple(order),
        files=tuple(files[name] for name in order),
        date=time_in(product.name),
        scale=1 / facts.quantification,
        offset=facts.offset,
        nodata=0,
        facts={name: value for name, value in told.items() if value},
    )


def _bands(product: Path) -> dict[str, Path]:
    """Each band's file, of those in several resolutions the one nearest to the sensor's."""
    found: dict[str, tuple[int, Path]] = {}
    for path in sorted(product.glob("GRANULE/*/IMG_DATA/**/*.jp2")):
        match = _BAND.fullmatch(path.stem)
        if match is None or match["band"] not in BANDS:
            continue
        name, own = match["band"], BANDS[match["band"]].ground_m
        away = abs(int(match["metres"] or own) - own)
        if name not in found or away < found[name][0]:
            found[name] = (away, path)
    return {name: path for name, (_, path) in found.items()}


def _facts(path: Path, name: str) -> Facts:
    """Raises: InputError: the metadata are missing, damaged, or say something unheard of."""
    if not path.is_file():
        raise InputError(f"no {path.name}, which says what its counts mean")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path.name} is not readable as XML ({error})") from error
    texts: dict[str, list[str]] = {}
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        texts.setdefault(tag, []).append((element.text or "").strip())
    quantifications = texts.get("QUANTIFICATION_VALUE") or texts.get("BOA_QUANTIFICATION_VALUE")
    offsets = set(texts.get("RADIO_ADD_OFFSET", []) + texts.get("BOA_ADD_OFFSET", []))
    baseline = texts.get("PROCESSING_BASELINE", [""])[0]
    if len(offsets) > 1:
        raise InputError(f"{path.name}: bands have different offsets {' '.join(sorted(offsets))}")
    try:
        return Facts(
            baseline=baseline,
            offset=float(offsets.pop()) if offsets else float(offset_of(baseline_of(name))),
            quantification=float((quantifications or [str(DEFAULT_QUANTIFICATION)])[0]),
            clouds=texts.get("Cloud_Coverage_Assessment", [""])[0],
        )
    except ValueError as error:
        raise InputError(f"{path.name}: a number is none ({error})") from error


def _is_product(path: Path) -> bool:
    return bool(_PRODUCT.fullmatch(_stem(path))) and path.is_dir()


def _stem(path: Path) -> str:
    return path.name.removesuffix(".SAFE")
