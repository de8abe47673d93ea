"""How an image of a catalogue is looked at: its values as red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.grids import Row, grid_of
from eo_contrast.catalog.views import View, read_view

STRETCH = (2, 98)
RATIO_DECIBEL = 20.0
TRUE_COLOUR = ("B04", "B03", "B02")
RGB_BANDS = ("red", "green", "blue")

Contrast = tuple[float, float]


def read_middle(row: Row, side: int) -> View:
    """The middle of an image, at most ``side`` pixels high and wide, in the bands shown.

    Raises: InputError: the image cannot be read.
    """
    grid = grid_of(row)
    bands = shown_bands(row["sensor"], row["bands"])
    height, width = min(side, grid.height), min(side, grid.width)
    if (height, width) == (grid.height, grid.width):
        return read_view(row, bands=bands)
    top, left = (grid.height - height) // 2, (grid.width - width) // 2
    if grid.crs is not None:
        return read_view(row, grid=grid.window(top, left, height, width), bands=bands)
    # Pixels without a position are no ground that a part could be asked for by.
    whole = read_view(row, bands=bands)
    part = np.s_[top : top + height, left : left + width]
    return View(whole.bands, whole.values[:, *part], whole.valid[part])


def contrast(views: Sequence[View]) -> Contrast | None:
    """What is shown as black and as white where several images are to be compared.

    Returns: None: none has a pixel with data.
    """
    values = [view.values[:, view.valid].ravel() for view in views]
    known = np.concatenate(values) if values else np.empty(0)
    if not known.size:
        return None
    low, high = np.percentile(known, STRETCH)
    return float(low), float(high)


def colours(row: Row, view: View, limits: Contrast | None = None) -> NDArray[np.float32]:
    """Red, green and blue (rows, columns, 3), 0..1; white where there is no data.

    Args:
        limits: of reflectance, shown as black and white; None: percentiles of the view's own.
    """
    names = list(view.bands)
    if row["product"] == "label":
        return _classes(view)
    picked = _radar(view, names) if row["sensor"] == "s1" else _three(view, names, limits)
    return np.where(view.valid[..., None], np.moveaxis(picked, 0, -1), np.float32(1))


def shown_bands(sensor: str, names: Sequence[str]) -> Sequence[str]:
    """Those of an image's bands that it is shown in."""
    if sensor in ("s1", "label"):
        return names
    wanted = RGB_BANDS if "red" in names else TRUE_COLOUR
    return wanted if set(wanted) <= set(names) else names[:1]


def _three(view: View, names: Sequence[str], limits: Contrast | None) -> NDArray[np.float32]:
    wanted = (tuple(shown_bands("", names)) * 3)[:3]
    values: NDArray[np.float32] = view.values[[names.index(name) for name in wanted]]
    limits = limits or contrast([View(wanted, values, view.valid)])
    if wanted[0] == "red" or limits is None:
        return values
    low, high = limits
    scaled = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    return np.asarray(scaled, np.float32)


def _radar(view: View, names: Sequence[str]) -> NDArray[np.float32]:
    """VV, VH and their ratio, as radar is mostly shown; one polarisation as grey."""
    product = PRODUCTS["s1-grd"]
    planes = [
        (view.values[names.index(name)] - product.lowest[name])
        / (product.highest[name] - product.lowest[name])
        for name in names
    ]
    if len(planes) == 1:
        planes = planes * 3
    else:
        planes = [*planes, (view.values[0] - view.values[1]) / RATIO_DECIBEL]
    shown: NDArray[np.float32] = np.clip(np.stack(planes), 0, 1)
    return shown


def _classes(view: View) -> NDArray[np.float32]:
    """A colour a class, the same for the same number in every picture."""
    codes = view.values[0].astype(np.int64)
    hues = np.stack([(codes * step % 97) / 97 for step in (37, 61, 83)], axis=-1)
    return np.where(view.valid[..., None], 0.15 + 0.8 * hues, 1).astype(np.float32)
