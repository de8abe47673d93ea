"""How the images of published weights were scaled, so that ours can be scaled the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from eo_contrast.bands import L1C, PRODUCTS, VV_VH
from eo_contrast.data.sensors import RGB, SensorInput
from eo_contrast.errors import InputError

_VISIBLE = ("B04", "B03", "B02")
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def _as_reflectance(bands: tuple[str, ...]) -> SensorInput:
    """Reflectance itself, 0..1: what the weights of SSL4EO-S12 were trained on, counts / 10,000."""
    return SensorInput(
        product="s2-l1c",
        bands=bands,
        unit="reflectance",
        lowest=(0.0,) * len(bands),
        highest=(1.0,) * len(bands),
        mean=(0.0,) * len(bands),
        deviation=(1.0,) * len(bands),
    )


def _ssl4eo_radar() -> SensorInput:
    """Two deviations about the mean as 0..1: so its code, while the paper says standardised."""
    statistics = PRODUCTS["s1-grd"].statistics
    lowest = tuple(statistics[band].mean - 2 * statistics[band].deviation for band in VV_VH)
    return SensorInput(
        product="s1-grd",
        bands=VV_VH,
        unit="dB",
        lowest=lowest,
        highest=tuple(statistics[band].mean + 2 * statistics[band].deviation for band in VV_VH),
        mean=lowest,
        deviation=tuple(4 * statistics[band].deviation for band in VV_VH),
    )


def _seco() -> SensorInput:
    """8-bit reflectance stretched from its 2 % to its 98 % quantile, then scaled as ImageNet's."""
    low, high = (0.0, 2.0, 3.0), (129.0, 103.0, 88.0)  # of B04, B03, B02
    spans = [top - bottom for bottom, top in zip(low, high, strict=True)]
    return SensorInput(
        product="s2-l2a",
        bands=_VISIBLE,
        unit="reflectance",
        lowest=tuple(each / 255 for each in low),
        highest=tuple(each / 255 for each in high),
        mean=tuple(
            (bottom + mean * span) / 255
            for bottom, mean, span in zip(low, _IMAGENET_MEAN, spans, strict=True)
        ),
        deviation=tuple(
            deviation * span / 255
            for deviation, span in zip(_IMAGENET_DEVIATION, spans, strict=True)
        ),
    )


def _imagenet() -> SensorInput:
    return SensorInput(
        product=RGB,
        bands=("red", "green", "blue"),
        unit="0..1",
        lowest=(0.0,) * 3,
        highest=(1.0,) * 3,
        mean=_IMAGENET_MEAN,
        deviation=_IMAGENET_DEVIATION,
    )


PUBLISHED: Mapping[str, SensorInput] = MappingProxyType(
    {
        "imagenet": _imagenet(),
        "seco": _seco(),
        "ssl4eo-s1": _ssl4eo_radar(),
        "ssl4eo-s2-all": _as_reflectance(L1C),
        "ssl4eo-s2-rgb": _as_reflectance(_VISIBLE),
    }
)
"""By name: ImageNet's; ServiceNow's SeCo; SSL4EO-S12's MoCo, DINO and DeCUR, torchgeo's too."""


def published_input(name: str) -> SensorInput:
    """The input of published weights.

    Raises: InputError: none is known by this name.
    """
    if name not in PUBLISHED:
        raise InputError(f"input '{name}': unknown; known ones are {' '.join(PUBLISHED)}")
    return PUBLISHED[name]
