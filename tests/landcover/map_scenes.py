"""Land-cover models of random weights, small scenes for them, and maps made the plain way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, write_raster

from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import SensorInput, sensor_input, standardised
from eo_contrast.landcover.map_model import LandCoverModel, load_land_cover_model
from eo_contrast.landcover.nets import LandCoverNet, build_land_cover
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.card import save_model
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import LandCoverCard

S2 = ("B02", "B03", "B04", "B08")
S1 = ("VV", "VH")
CLASSES = ("Forest", "Water", "Urban", "Croplands")
WINDOW = 32
CPU = torch.device("cpu")
HOLE = (slice(20, 45), slice(30, 70))


def eaten(product: str, bands: tuple[str, ...]) -> SensorInput:
    return sensor_input(Layer(product, "", bands, 1, STORAGE[product]))


SENSORS = {
    "s1": eaten("s1-grd", S1),
    "s2": eaten("s2-l2a", S2),
    "rgb": eaten("rgb", ("red", "green", "blue")),
}


def card(*sensors: str, name: str = "resnet18", size: int = WINDOW, **more: Any) -> LandCoverCard:
    """Of ``sensors``, by default s2."""
    fixed = size if name.startswith(("vit", "swin")) else None
    facts = {"kind": "segmentation", "mode": "linear", "size": size, "classes": CLASSES, **more}
    encoder = EncoderCard(
        architecture=EncoderConfig(name=name, size=fixed), sensors=SENSORS, size=size
    )
    return LandCoverCard(**facts, sensors=sensors or ("s2",), encoder=encoder)


def saved(folder: Path, stated: LandCoverCard, *, seed: int = 0) -> Path:
    """A run folder with a model of random weights that tells several classes."""
    net = build_land_cover(stated, seed=seed)
    with torch.no_grad():
        for name, tensor in net.head.named_parameters():
            if name.endswith("weight"):
                tensor.mul_(8)  # else no class stands out
    folder.mkdir(parents=True, exist_ok=True)
    save_model(net.eval(), stated, folder / "model.safetensors")
    return folder


@lru_cache
def loaded(folder: Path) -> LandCoverModel:
    return load_land_cover_model(str(folder), CPU)


def reflectance(height: int, width: int, bands: int = 4) -> NDArray[np.float32]:
    """Smooth waves between 0.02 and 0.45, another in each band, and some noise."""
    rows, columns = np.mgrid[:height, :width] / 9
    waves = [np.sin(rows * (1 + k / 3) + columns / (1 + k)) for k in range(bands)]
    noise = np.random.default_rng(0).normal(0, 0.01, (bands, height, width))
    return (0.23 + 0.19 * np.stack(waves) + noise).clip(0.02, 0.45).astype(np.float32)


def decibel(height: int, width: int) -> NDArray[np.float32]:
    return (-26 + 30 * reflectance(height, width, 2)).astype(np.float32)


def named(*names: str) -> Callable[[Any], None]:
    def edit(dataset: Any) -> None:
        dataset.descriptions = names

    return edit


def optical(path: Path, values: NDArray[Any], *, hole: bool = True, **profile: Any) -> Path:
    """Sentinel-2 counts of reflectance (bands, rows, columns), with a hole of 0."""
    counts = np.rint(values * 1e4).astype(np.uint16)
    if hole:
        counts[:, *HOLE] = 0
    return write_raster(path, counts, **{"edit": named(*S2), "nodata": 0, **UTM_10M, **profile})


def radar(path: Path, values: NDArray[Any], **profile: Any) -> Path:
    """Sentinel-1 decibel (bands, rows, columns), NaN where there are none."""
    return write_raster(path, values, **{"edit": named(*S1), **UTM_10M, **profile})


def plain_probabilities(
    net: LandCoverNet, stated: LandCoverCard, values: NDArray[Any], valid: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """What a map of half-overlapping windows says, added up window by window in doubles.

    Args:
        values: physical ones of all sensors' bands (bands, rows, columns).

    Returns: (classes, rows, columns).
    """
    total = np.zeros((len(stated.classes), *valid.shape))
    by_pixel = stated.kind == "segmentation"
    for rows, down in _windows(valid.shape[0], by_pixel):
        for columns, across in _windows(valid.shape[1], by_pixel):
            images = _seen(stated, values, valid, rows, columns)
            with torch.no_grad():
                told = net(images)[0].softmax(0).double().numpy()
            shares = told.reshape(len(told), 1, 1) if told.ndim == 1 else told
            shares = np.broadcast_to(shares, (len(told), WINDOW, WINDOW))
            shares = shares[:, : len(rows), : len(columns)]
            total[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += (
                shares * down[:, None] * across
            )
    return total


def _windows(length: int, by_pixel: bool) -> Iterator[tuple[range, NDArray[np.float64]]]:
    """The pixels of each window along an axis, and what each weighs."""
    step = WINDOW // 2
    count = 1 + max(0, -(-(length - WINDOW) // step))
    rising = (1 - np.cos(np.pi * (np.arange(step) + 0.5) / step)) / 2
    if not by_pixel:
        rising = (np.arange(step) >= step // 2).astype(float)
    for k in range(count):
        weights = np.concatenate([rising, rising[::-1]])
        if k == 0:
            weights[:step] = 1
        if k == count - 1:
            weights[step:] = 1
        pixels = range(k * step, min(k * step + WINDOW, length))
        yield pixels, weights[: len(pixels)]


def _seen(
    stated: LandCoverCard,
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    rows: range,
    columns: range,
) -> dict[str, torch.Tensor]:
    part = np.ix_(rows, columns)
    padding = ((0, WINDOW - len(rows)), (0, WINDOW - len(columns)))
    images, first = {}, 0
    for name in stated.sensors:
        sensor = stated.encoder.sensors[name]
        own = values[first : first + len(sensor.bands)]
        first += len(sensor.bands)
        seen = np.stack([np.pad(band[part], padding, mode="reflect") for band in own])
        there = np.pad(valid[part], padding, mode="reflect")
        tensor = torch.from_numpy(seen.astype(np.float32))[None]
        where = torch.from_numpy(there)[None, None].expand_as(tensor)
        images[name] = standardised(tensor.nan_to_num(0), where, sensor)
    return images
