"""What an encoder eats of a sensor: bands by name, in the product's unit, and their scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from eo_contrast.bands import PRODUCTS, positions
from eo_contrast.catalog.packed import Layer, Storage
from eo_contrast.config import Config
from eo_contrast.errors import InputError

RGB = "rgb"
RGB_MEAN, RGB_DEVIATION = 0.5, 0.25
"""Of pictures whose statistics nobody gives: about those of natural ones."""


class SensorInput(Config):
    """Bands of one product, and what brings each to mean 0 and deviation 1."""

    product: str = Field(description="exactly: s2-l1c, s2-l2a, s1-grd, s1-rtc or rgb")
    bands: tuple[str, ...] = Field(min_length=1, description="by name, in the encoder's order")
    unit: str = Field(description="reflectance, dB, or 0..1 of rgb")
    lowest: tuple[float, ...] = Field(description="what values are clipped to, by band")
    highest: tuple[float, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in ("lowest", "highest", "mean", "deviation"):
            if len(getattr(self, name)) != len(self.bands):
                raise ValueError(
                    f"{name} has {len(getattr(self, name))} numbers for {len(self.bands)} bands"
                )
        if len(set(self.bands)) != len(self.bands):
            raise ValueError(f"bands {' '.join(self.bands)}: one is named twice")
        if min(self.deviation) <= 0:
            raise ValueError("deviation: is to be above 0 for every band")
        if any(low >= high for low, high in zip(self.lowest, self.highest, strict=True)):
            raise ValueError("lowest: is to be below highest for every band")
        return self


def sensor_input(layer: Layer, bands: Sequence[str] | None = None) -> SensorInput:
    """The input that a layer gives, scaled by its product's statistics.

    Args:
        bands: some of the layer's, in the order wanted; None: all.

    Raises: InputError: a band that the layer lacks, or a product that is no image.
    """
    chosen = tuple(bands) if bands is not None else layer.bands
    positions(layer.bands, chosen)
    if layer.product == RGB:
        count = len(chosen)
        return SensorInput(
            product=RGB,
            bands=chosen,
            unit="0..1",
            lowest=(0.0,) * count,
            highest=(1.0,) * count,
            mean=(RGB_MEAN,) * count,
            deviation=(RGB_DEVIATION,) * count,
        )
    if layer.product not in PRODUCTS:
        raise InputError(
            f"product {layer.product}: an encoder sees {' '.join(PRODUCTS)} or {RGB}; choose one"
        )
    product = PRODUCTS[layer.product]
    return SensorInput(
        product=product.name,
        bands=chosen,
        unit=product.unit,
        lowest=tuple(product.lowest[band] for band in chosen),
        highest=tuple(product.highest[band] for band in chosen),
        mean=tuple(product.statistics[band].mean for band in chosen),
        deviation=tuple(product.statistics[band].deviation for band in chosen),
    )


def unpacked(counts: Tensor, storage: Storage) -> tuple[Tensor, Tensor | None]:
    """Values that stored counts mean, and where there are any.

    Args:
        counts: whole numbers of any shape, as a pack has them.

    Returns: float32 of the same shape in the product's unit, 0 where there is no data; bool, True
        where there is; None: everywhere.
    """
    values = counts * storage.scale
    if not _has(counts, storage.nodata):
        return values, None
    nowhere = counts == storage.nodata
    return values.masked_fill_(nowhere, 0), ~nowhere


def _has(counts: Tensor, number: int) -> bool:
    """Whether any count is the number; that no data is mostly the type's least is quick to ask."""
    if number == torch.iinfo(counts.dtype).min and counts.numel():
        return bool(counts.amin() == number)
    return bool((counts == number).any())


def standardised(values: Tensor, valid: Tensor | None, sensor: SensorInput) -> Tensor:
    """(clip(value) - mean) / deviation by band, and 0, the mean, where there is no data.

    Args:
        values: float (N, bands, H, W) in the sensor's unit, bands in the sensor's order.
        valid: bool of the same shape, True where there is data; None: everywhere.

    Returns: of the shape of ``values``; what is not valid counts for nothing, not even as NaN.
    Raises: InputError: another number of bands than the sensor's.
    """
    if values.shape[1] != len(sensor.bands):
        raise InputError(
            f"images of {values.shape[1]} bands: {sensor.product} is scaled for "
            f"{' '.join(sensor.bands)}"
        )
    lowest, highest, mean, deviation = (
        torch.tensor(numbers, dtype=values.dtype, device=values.device)[:, None, None]
        for numbers in (sensor.lowest, sensor.highest, sensor.mean, sensor.deviation)
    )
    # In place after the first step: new memory costs more than the arithmetic.
    scaled = torch.maximum(values, lowest)
    torch.minimum(scaled, highest, out=scaled)
    scaled.sub_(mean).div_(deviation)
    return scaled if valid is None else scaled.masked_fill_(~valid, 0.0)
