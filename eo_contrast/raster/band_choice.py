"""Which bands of a raster are those that a model names."""

from __future__ import annotations

from collections.abc import Sequence

from rasterio.enums import ColorInterp

from eo_contrast.errors import InputError
from eo_contrast.raster.meta import RasterMeta


def choose_bands(
    meta: RasterMeta,
    wanted: Sequence[str],
    *,
    name: str,
    alpha: int | None,
    way_out: str | None = None,
) -> tuple[int, ...]:
    """1-based indexes of the bands that carry the wanted names, in their order.

    Names are taken from the band descriptions, then from the colour interpretation; a
    raster whose bands have no names, and just as many (alpha apart) as are wanted, is
    taken in its own order.

    Args:
        wanted: what the model's card names, as ``["red", "green", "blue"]``.
        name: the raster's, for the message.
        alpha: index of the band that is transparency.
        way_out: what to do where a band is missing; None: ``--bands``.

    Raises: InputError: a wanted band is missing; lists what there is, and the way out.
    """
    named = _indexes_by_name(meta, alpha)
    if all(band.lower() in named for band in wanted):
        return tuple(named[band.lower()] for band in wanted)
    image = [index for index in range(1, meta.count + 1) if index != alpha]
    if len(image) == len(wanted) and not named:
        return tuple(image)
    missing = next(band for band in wanted if band.lower() not in named)
    found = " ".join(_label(meta, index) for index in image)
    raise InputError(
        f"{name}: no band says that it is '{missing}'; the model needs {' '.join(wanted)}, the "
        f"raster has {len(image)} band{'s' * (len(image) != 1)}: {found}. "
        f"{way_out or _by_option(len(wanted))}"
    )


def _by_option(count: int) -> str:
    numbers = ",".join(str(1 + k) for k in range(count))
    return f"Name them in the model's order, as --bands {numbers}"


def parse_bands(text: str, meta: RasterMeta, *, count: int | None, name: str) -> tuple[int, ...]:
    """1-based indexes from ``--bands``: numbers or band descriptions, separated by commas.

    Args:
        count: how many are needed; None: any.

    Raises: InputError: not ``count`` of them, or one that the raster does not have.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if count is None and not parts:
        raise InputError("--bands: names no band; give numbers or names, as --bands 1,2,3")
    if count is not None and len(parts) != count:
        raise InputError(
            f"--bands {text}: {len(parts)} bands; the model needs {count}, such as "
            f"--bands {','.join(str(1 + k) for k in range(count))}"
        )
    named = _indexes_by_name(meta, None)
    return tuple(_index(part, named, meta.count, text, name) for part in parts)


def _index(part: str, named: dict[str, int], count: int, text: str, name: str) -> int:
    if part.lower() in named:
        return named[part.lower()]
    if part.isascii() and part.isdigit() and 1 <= int(part) <= count:
        return int(part)
    known = f" or {' '.join(named)}" if named else ""
    raise InputError(f"--bands {text}: '{part}' is no band of {name}; it has 1 to {count}{known}")


def _indexes_by_name(meta: RasterMeta, alpha: int | None) -> dict[str, int]:
    named: dict[str, int] = {}
    for index, description in enumerate(meta.descriptions, start=1):
        if description and index != alpha:
            named.setdefault(description.strip().lower(), index)
    without = {ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette, ColorInterp.alpha}
    for index, colour in enumerate(meta.colorinterp, start=1):
        if colour not in without and index not in named.values():
            named.setdefault(colour.name.lower(), index)
    return named


def _label(meta: RasterMeta, index: int) -> str:
    description = meta.descriptions[index - 1] if meta.descriptions else None
    colour = meta.colorinterp[index - 1] if meta.colorinterp else ColorInterp.undefined
    return f"{index} ({description or colour.name})"
